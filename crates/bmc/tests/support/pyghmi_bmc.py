"""A BMC made of pyghmi's server: address, port as arguments; prints "ready" when it listens."""
import sys
import uuid

from pyghmi.ipmi import bmc

UUID = uuid.UUID('12345678-9abc-4def-8123-456789abcdef')


class Machine(bmc.Bmc):
    power = 'off'
    flags = [0, 0, 0, 0, 0]

    def get_power_state(self):
        return self.power

    def power_on(self):
        self.power = 'on'

    def power_off(self):
        self.power = 'off'

    power_shutdown = power_off

    def power_reset(self):
        return None if self.power == 'on' else 0xd5

    power_cycle = power_reset

    def pulse_diag(self):
        pass

    def get_system_guid(self):
        return UUID

    def set_system_boot_options(self, request, session):
        if request['data'][0] & 0x7f != 5:
            return session.send_ipmi_response()
        self.flags = list(request['data'][1:6])
        session.send_ipmi_response()

    def get_system_boot_options(self, request, session):
        if request['data'][0] != 5:
            return session.send_ipmi_response(code=0x80)
        session.send_ipmi_response(data=[1, 5] + self.flags)


Machine({'admin': 'secret'}, port=int(sys.argv[2]), address=sys.argv[1], bmcuuid=UUID)
print('ready', flush=True)
Machine.listen()
