"""A stock ironic-python-agent that serves its commands, and touches no hardware: stock_agent.py PORT TOKEN ROOT.

Its only hardware manager offers a step that writes a line to ROOT/notes, and one that fails. The rescue extension puts its
files below ROOT instead of /.
"""
import builtins
import sys

from ironic_python_agent import agent
from ironic_python_agent import hardware
from ironic_python_agent.extensions import rescue
from oslo_config import cfg

port, token, root = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Notes(hardware.HardwareManager):
    HARDWARE_MANAGER_NAME = 'Notes'
    HARDWARE_MANAGER_VERSION = '1'

    def evaluate_hardware_support(self):
        return hardware.HardwareSupport.MAINLINE

    def get_clean_steps(self, node, ports):
        return [{'step': step, 'priority': 0, 'interface': 'deploy', 'reboot_requested': False}
                for step in ('note', 'fail')]

    def wait_for_disks(self):
        pass

    def note(self, node, ports):
        with builtins.open(root + '/notes', 'a') as notes:
            notes.write('note\n')

    def fail(self, node, ports):
        raise RuntimeError('as it was told')


cfg.CONF([])
rescue.open = lambda path, mode: builtins.open(root + path, mode)
hardware._global_managers = [{'name': 'Notes', 'manager': Notes(), 'support': 3}]
here = agent.Host('127.0.0.1', port)
agent.IronicPythonAgent(None, here, here, 1, 1, None, 1, 1, True, token).serve_ipa_api()
