#!/usr/bin/env python3
"""labd.py - virtual bare metal: QEMU machines, each with an IPMI BMC and a Redfish BMC.

    labd.py serve SPEC        run inside the lab's network namespace until SIGTERM
    labd.py ctl SOCKET OP [MACHINE] [ARGUMENT...]

SPEC is a JSON file; all paths beside it belong to labd:

    {"bridge": "br-prov", "gateway": "172.22.0.1", "images": FOLDER, "attached": true, "machines": [
       {"name": "vm0", "uuid": ..., "mac": ..., "tap": "tap0", "bmc": "172.22.0.10", "firmware": "bios",
        "memory_mib": 1024, "disk_gib": 8, "cpus": 1, "serial": "LAB0000", "user": "admin", "password": ...}]}

Every machine's BMC answers IPMI 2.0 (UDP 623: the server of pyghmi, cipher suites 3 and 17) and Redfish
(TCP 8000: the server of sushy-tools with the driver below in the place of libvirt). Power on starts a QEMU
process and power off ends it. A reboot by the guest ends it too (-action reboot=shutdown) and labd starts it
anew, so that boot order, boot mode and one-shot overrides take effect exactly at the next boot, as on hardware.

Beside SPEC: labd.pid, ctl.sock, events.jsonl (power transitions, with the CPU seconds that QEMU used), and for
each machine NAME/console.log, NAME/console.sock, NAME/disk.qcow2, NAME/qemu.err.

With "attached", labd ends when its standard input closes: a killed owner leaves nothing behind.
"""
import ctypes, functools, http.server, json, os, pathlib, shutil, signal, socket, socketserver, struct, subprocess
import sys, threading, time

OVMF = '/usr/share/OVMF/OVMF_%s_4M%s.fd'
HTTP_PORT, REDFISH_PORT, IPMI_PORT = 8080, 8000, 623
TICKS = os.sysconf('SC_CLK_TCK')


def log(*words):
    print(time.strftime('%H:%M:%S'), *words, file=sys.stderr, flush=True)


def die_with_parent():
    """The kernel ends this process when labd ends, however labd ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


class Machine:
    """One virtual server: its settings, and its QEMU process while powered on."""

    def __init__(self, lab, spec):
        self.lab, self.spec = lab, spec
        self.name, self.uuid, self.mac, self.bmc = (spec[k] for k in ('name', 'uuid', 'mac', 'bmc'))
        self.firmware = spec['firmware']
        self.secure_boot = False
        self.target, self.once = None, False       # boot override: Pxe, Hdd, Cd or None; for one boot?
        self.media = {'Cd': None, 'Floppy': None}  # device -> image file
        self.bios = {'BootMode': 'Uefi', 'NumLock': 'On', 'ProcTurboMode': 'Enabled'}
        self.process, self.gone, self.lock = None, threading.Event(), threading.RLock()
        self.gone.set()
        self.qmp = None
        self.since, self.cpu_before = None, 0.0    # of this power-on: when, and CPU of its earlier boots
        self.dir = lab.dir / self.name
        self.dir.mkdir(parents=True, exist_ok=True)
        self.disk = self.dir / 'disk.qcow2'
        if not self.disk.exists():
            subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', self.disk, f'{spec["disk_gib"]}G'], check=True)

    # --- power ---------------------------------------------------------------------------------
    def is_on(self):
        return not self.gone.is_set()

    def cpu_seconds(self):
        """CPU seconds that QEMU has used since the power was switched on, reboots included."""
        used = self.cpu_before
        if self.is_on():
            try:
                stat = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
                used += (int(stat[11]) + int(stat[12])) / TICKS
            except (OSError, IndexError):
                pass
        return round(used, 2)

    def argv(self, target):
        s, d = self.spec, self.dir
        order = {'Pxe': ('nic', 'disk', 'cd'), 'Cd': ('cd', 'disk', 'nic')}.get(target, ('disk', 'nic', 'cd'))
        boot = {device: place for place, device in enumerate(order, 1)}
        q = ['qemu-system-x86_64', '-name', self.name, '-uuid', self.uuid, '-nodefaults', '-display', 'none',
             '-accel', os.environ.get('LAB_ACCEL', 'tcg,thread=multi'), '-cpu', os.environ.get('LAB_CPU', 'max,la57=off'),
             '-smp', str(s['cpus']), '-m', str(s['memory_mib']), '-action', 'reboot=shutdown',
             '-machine', ('pc' if self.firmware == 'bios' else 'q35') + ',graphics=off',
             '-smbios', f'type=1,manufacturer=Lab,product=VirtualServer,serial={s["serial"]},uuid={self.uuid}',
             '-qmp', f'unix:{d}/qmp.sock,server=on,wait=off',
             '-chardev', f'socket,id=con,path={d}/console.sock,server=on,wait=off,logfile={d}/console.log,logappend=on',
             '-serial', 'chardev:con', '-device', 'virtio-rng-pci',
             '-drive', f'if=none,id=d0,file={self.disk},format=qcow2,cache=unsafe,discard=unmap',
             '-device', f'virtio-blk-pci,id=disk0,drive=d0,serial={s["serial"]}-0,bootindex={boot["disk"]}',
             '-netdev', f'tap,id=n0,ifname={s["tap"]},script=no,downscript=no',
             # UEFI has its own driver for this NIC: no ROM
             '-device', f'virtio-net-pci,netdev=n0,mac={self.mac},bootindex={boot["nic"]}' + (',romfile=' if self.firmware == 'uefi' else ''),
             '-device', 'virtio-scsi-pci,id=scsi0', '-device', f'scsi-cd,id=cd0,drive=cdrom,bootindex={boot["cd"]}',
             '-drive', 'if=none,id=cdrom,media=cdrom,readonly=on' + (f',file={self.media["Cd"]},format=raw' if self.media['Cd'] else '')]
        if self.media['Floppy']:      # shown as a USB stick: 1.44 MB drives are long gone
            q += ['-device', 'qemu-xhci', '-drive', f'if=none,id=usb0,file={self.media["Floppy"]},format=raw,snapshot=on',
                  '-device', 'usb-storage,drive=usb0,removable=on']
        if self.firmware == 'uefi':
            kind = '.ms' if self.secure_boot else ''
            variables = d / f'nvram{kind}.fd'
            if not variables.exists():
                shutil.copy(OVMF % ('VARS', kind), variables)
            q += ['-drive', f'if=pflash,format=raw,readonly=on,file={OVMF % ("CODE", ".secboot" if kind else "")}',
                  '-drive', f'if=pflash,format=raw,file={variables}']
            if kind:
                q[q.index('q35,graphics=off')] += ',smm=on'
                q += ['-global', 'driver=cfi.pflash01,property=secure,value=on']
        return q

    def on(self):
        with self.lock:
            if not self.is_on():
                self.since, self.cpu_before = time.time(), 0.0
                self._start('power-on')

    def _start(self, event):
        target = self.target
        if self.once:                     # a one-shot override is used up by this boot
            self.target, self.once = None, False
        self.lab.event(self, event, boot=target, firmware=self.firmware)
        with open(self.dir / 'console.log', 'a') as f:
            f.write(f'\n=== {event}, boot {target or "default"}, {self.firmware}\n')
        self.qmp, self.gone = None, threading.Event()
        started = threading.Event()
        threading.Thread(target=self._follow, args=(self.argv(target), self.gone, started), daemon=True).start()
        started.wait()

    def _follow(self, argv, gone, started):
        """Starts QEMU and listens to its events until it ends; starts it again when the guest asked for a reset.

        The thread lives as long as QEMU: the kernel's "parent died" is the death of the thread that forked."""
        reason = None
        try:
            with open(self.dir / 'qemu.err', 'a') as errors:
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=errors, preexec_fn=die_with_parent)
            self.process = process
        except BaseException:
            gone.set()
            raise
        finally:
            started.set()
        try:
            for line in self._monitor(process):
                message = json.loads(line)
                if message.get('event') == 'SHUTDOWN':
                    reason = message['data']['reason']
                if 'error' in message:
                    log(self.name, 'qmp', message['error'])
        except (OSError, ValueError):
            pass
        used = os.wait4(process.pid, 0)[2]
        with self.lock:
            self.cpu_before += used.ru_utime + used.ru_stime
            process.returncode = 0        # reaped above: subprocess shall not wait again
            gone.set()
            reason = reason or 'killed'
            if reason == 'guest-reset' and self.process is process:
                self._start('guest-reset')
            else:
                self.lab.event(self, 'power-off', reason=reason)

    def _monitor(self, process):
        s = socket.socket(socket.AF_UNIX)
        for _ in range(400):              # QEMU makes its socket within milliseconds, or ends
            try:
                s.connect(str(self.dir / 'qmp.sock'))
                break
            except OSError:
                if self._ended(process):
                    return
                time.sleep(0.025)
        f = s.makefile('rw')
        f.readline()
        f.write('{"execute":"qmp_capabilities"}\n')
        f.flush()
        self.qmp = f
        yield from f

    @staticmethod
    def _ended(process):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def command(self, execute, **arguments):
        if self.is_on() and self.qmp:
            self.qmp.write(json.dumps({'execute': execute, 'arguments': arguments}) + '\n')
            self.qmp.flush()

    def off(self):
        with self.lock:
            process, gone, on = self.process, self.gone, self.is_on()
            self.process = None
            if on:
                process.send_signal(signal.SIGKILL)
        if on:
            gone.wait(10)

    def reset(self):
        self.off()
        self.on()

    def soft(self):
        self.command('system_powerdown')

    def nmi(self):
        self.command('inject-nmi')

    def unplug(self):
        """Pulls the disk out of the running machine. The next power on finds it again. (PC machines only: q35's root bus
        has no hotplug.)"""
        self.command('device_del', id='disk0')

    # --- boot override and media ---------------------------------------------------------------
    def boot(self, target, once=False, firmware=None):
        self.target, self.once = target, bool(once and target)
        if firmware:
            self.firmware = firmware
        self.lab.event(self, 'boot-device', boot=target, once=self.once, firmware=self.firmware)

    def insert(self, device, path):
        self.media[device] = path
        self.lab.event(self, 'media', device=device, path=path)
        if device == 'Cd' and path:
            self.command('blockdev-change-medium', id='cd0', filename=str(path), format='raw', **{'read-only-mode': 'read-only'})
        elif device == 'Cd':
            self.command('eject', id='cd0', force=True)

    def info(self):
        return dict(name=self.name, uuid=self.uuid, mac=self.mac, bmc=self.bmc, power='on' if self.is_on() else 'off',
                    boot=self.target, once=self.once, firmware=self.firmware, media=self.media,
                    on_seconds=round(time.time() - self.since, 2) if self.is_on() and self.since else None,
                    cpu_seconds=self.cpu_seconds(), pid=self.process.pid if self.is_on() and self.process else None)


class Lab:
    """All machines of one run, and the file of their events."""

    def __init__(self, path):
        self.dir = pathlib.Path(path).resolve().parent
        self.spec = json.loads(pathlib.Path(path).read_text())
        self.events, self.lock = open(self.dir / 'events.jsonl', 'a', buffering=1), threading.Lock()
        self.machines = {s['name']: Machine(self, s) for s in self.spec['machines']}

    def event(self, machine, event, **more):
        line = dict(time=round(time.time(), 3), machine=machine.name, event=event, cpu_seconds=machine.cpu_seconds(), **more)
        with self.lock:
            self.events.write(json.dumps(line) + '\n')
        log(machine.name, event, more)


# --- control socket: labd.py ctl, the Rust side, and the IPMI processes -------------------------------
TARGETS = {'pxe': 'Pxe', 'disk': 'Hdd', 'cd': 'Cd', 'default': None}


def control(lab):
    def act(op, name=None, argument=None, *more):
        if op == 'list':
            return [m.info() for m in lab.machines.values()]
        m = lab.machines[name]
        if op == 'boot':
            m.boot(TARGETS[argument], 'once' in more, next((x for x in more if x in ('bios', 'uefi')), None))
        elif op in ('insert', 'eject'):
            m.insert('Cd', argument if op == 'insert' else None)
        elif op in ('on', 'off', 'reset', 'soft', 'nmi', 'unplug'):
            getattr(m, op)()
        elif op != 'info':
            raise ValueError(f'no such operation: {op}')
        return m.info()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                try:
                    answer = {'ok': act(*json.loads(line))}
                except Exception as e:
                    answer = {'error': repr(e)}
                self.wfile.write((json.dumps(answer) + '\n').encode())

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    path = lab.dir / 'ctl.sock'
    path.unlink(missing_ok=True)
    threading.Thread(target=Server(str(path), Handler).serve_forever, daemon=True).start()


def ctl(path, *arguments):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall((json.dumps(arguments) + '\n').encode())
        answer = json.loads(s.makefile().readline())
    if 'error' in answer:
        raise RuntimeError(answer['error'])
    return answer['ok']


# --- IPMI: one process per machine, because pyghmi keeps global state ---------------------------------
def ipmi(path, spec):
    import hashlib, hmac, uuid
    import pyghmi.ipmi.bmc as bmc
    import pyghmi.ipmi.private.serversession as serversession
    import pyghmi.ipmi.private.session as session

    device_of = {0: 'default', 1: 'pxe', 2: 'disk', 5: 'cd'}
    code_of = {None: 0, 'Pxe': 1, 'Hdd': 2, 'Cd': 5}
    name, ask = spec['name'], functools.partial(ctl, path)

    class Bmc(bmc.Bmc):
        def get_power_state(self): return ask('info', name)['power']
        def power_on(self): ask('on', name)
        def power_off(self): ask('off', name)
        def power_reset(self): ask('reset', name)
        power_cycle = power_reset
        def power_shutdown(self): ask('soft', name)
        def pulse_diag(self): ask('nmi', name)
        def get_system_guid(self): return uuid.UUID(spec['uuid'])

        def set_system_boot_options(self, request, session):
            data = request['data']            # pyghmi's own drops "persistent" and "EFI"
            if data[0] & 0x7f != 5:
                return session.send_ipmi_response()
            device = (data[2] >> 2) & 15
            if device not in device_of:
                return session.send_ipmi_response(code=0xcc)
            once = [] if data[1] & 0x40 else ['once']
            ask('boot', name, device_of[device], 'uefi' if data[1] & 0x20 else 'bios', *once)
            session.send_ipmi_response()

        def get_system_boot_options(self, request, session):
            if request['data'][0] != 5:
                return session.send_ipmi_response(code=0x80)
            i = ask('info', name)
            flags = 0x80 * bool(i['boot']) | 0x40 * (not i['once']) | 0x20 * (i['firmware'] == 'uefi')
            session.send_ipmi_response(data=[1, 5, flags, code_of[i['boot']] << 2, 0, 0, 0])

    # pyghmi's server knows cipher suite 3 alone. Suite 17 (RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128) is the
    # same handshake with another hash and a longer code: sha1 is replaced in the messages that the server builds.
    class Session(serversession.ServerSession):
        wide = False

        def create_open_session_response(self, request):
            self.wide = len(request) >= 16 and request[12] & 0x3f == 3
            answer = super().create_open_session_response(request)
            if self.wide:
                answer[16], answer[24] = 3, 4
            return answer

        def hashing(self, message, *arguments):
            if not self.wide:
                return message(*arguments)
            sha1, serversession.hashlib = serversession.hashlib, Sha256
            try:
                return message(*arguments)
            finally:
                serversession.hashlib = sha1

        def _got_rakp1(self, data): return self.hashing(super()._got_rakp1, data)
        def _got_rakp3(self, data): return self.hashing(super()._got_rakp3, data)

        def _send_rakp4(self, tag, status):
            if not self.wide:
                return super()._send_rakp4(tag, status)
            body = bytes(self.Rm) + bytes(self.managedsessionid) + bytes(self.uuiddata)
            code = hmac.new(self.sik, body, hashlib.sha256).digest()[:16]
            payload = bytearray([tag, status, 0, 0]) + self.clientsessionid + code
            self.send_payload(payload, serversession.constants.payload_types['rakp4'], retry=False)
            self.confalgo, self.integrityalgo, self.sequencenumber = 'aes', 'sha256', 1
            self.currhashlib, self.currhashlen = hashlib.sha256, 16
            self.sessionid = struct.unpack('<I', bytes(self.clientsessionid))[0]

    class Sha256:
        sha1 = staticmethod(hashlib.sha256)

    serversession.ServerSession = Session
    Bmc({spec['user']: spec['password']}, port=IPMI_PORT, bmcuuid=uuid.UUID(spec['uuid']), address=spec['bmc'])
    Bmc.listen()


# --- Redfish: the emulator of sushy-tools over our machines ---------------------------------------------
def redfish(lab):
    import bcrypt, flask
    from sushy_tools import error
    from sushy_tools.emulator import main as emulator
    from sushy_tools.emulator.resources.systems.base import AbstractSystemsDriver
    from werkzeug.serving import WSGIRequestHandler, make_server

    machines = lab.machines

    class Driver(AbstractSystemsDriver):
        driver = '<labd>'

        def _m(self, identity):
            for m in machines.values():
                if identity in (m.uuid, m.name):
                    return m
            raise error.NotFound('no such machine')

        @property
        def systems(self):            # each BMC shows its own machine
            host = flask.request.environ.get('SERVER_NAME')
            return [m.uuid for m in machines.values() if m.bmc == host] or [m.uuid for m in machines.values()]

        def uuid(self, i): return self._m(i).uuid
        def name(self, i): return self._m(i).name
        def get_power_state(self, i): return 'On' if self._m(i).is_on() else 'Off'

        def set_power_state(self, i, state):
            m = self._m(i)
            {'On': m.on, 'ForceOn': m.on, 'ForceOff': m.off, 'GracefulShutdown': m.soft, 'GracefulRestart': m.reset,
             'ForceRestart': m.reset, 'Nmi': m.nmi}[state]()

        def get_boot_device(self, i): return self._m(i).target or 'None'

        def set_boot_device(self, i, target):
            m, enabled = self._m(i), (flask.request.json or {}).get('Boot', {}).get('BootSourceOverrideEnabled')
            if enabled == 'Disabled' or target == 'None':
                return m.boot(None)
            # not given: what is set is kept; a first override is for one boot
            m.boot(target, enabled == 'Once' if enabled else m.once or not m.target)

        def get_boot_mode(self, i): return 'UEFI' if self._m(i).firmware == 'uefi' else 'Legacy'
        def set_boot_mode(self, i, mode): self._m(i).firmware = 'uefi' if mode == 'UEFI' else 'bios'
        def get_secure_boot(self, i): return self._m(i).firmware == 'uefi' and self._m(i).secure_boot
        def set_secure_boot(self, i, on): self._m(i).secure_boot = on
        def get_total_memory(self, i): return max(1, self._m(i).spec['memory_mib'] // 1024)
        def get_total_cpus(self, i): return self._m(i).spec['cpus']
        def get_bios(self, i): return self._m(i).bios
        def set_bios(self, i, attributes): self._m(i).bios.update(attributes)
        def reset_bios(self, i): pass
        def get_versions(self, i): return {'BiosVersion': '1.0.0'}
        def get_nics(self, i): return [{'id': self._m(i).mac, 'mac': self._m(i).mac}]
        def get_processors(self, i): return [{'id': f'CPU{n}', 'socket': f'CPU {n}'} for n in range(self._m(i).spec['cpus'])]

        def get_boot_image(self, i, device):
            path = self._m(i).media.get(device)
            return path or '', True, bool(path)

        def set_boot_image(self, i, device, boot_image=None, write_protected=True): self._m(i).insert(device, boot_image)
        def get_http_boot_uri(self, i): return None
        def set_http_boot_uri(self, uri): pass

    driver = Driver()
    emulator.Application.systems = property(lambda self: driver)
    emulator.app.logger.setLevel('WARNING')

    @emulator.app.after_request
    def override_kind(response):     # sushy-tools always says "Continuous": tell the truth instead
        path = flask.request.path.rstrip('/').split('/')
        if flask.request.method == 'GET' and len(path) == 5 and path[3] == 'Systems' and response.status_code == 200:
            body, m = json.loads(response.get_data()), driver._m(path[4])
            body['Boot']['BootSourceOverrideEnabled'] = 'Once' if m.once else 'Continuous' if m.target else 'Disabled'
            response.set_data(json.dumps(body))
        return response

    class Handler(WSGIRequestHandler):
        protocol_version = 'HTTP/1.1'
        def log_request(self, *_): pass

    passwords = lab.dir / 'htpasswd'
    users = {(m.spec['user'], m.spec['password']) for m in machines.values()}
    passwords.write_text(''.join(f'{u}:{bcrypt.hashpw(p.encode(), bcrypt.gensalt(4)).decode()}\n' for u, p in users))
    emulator.app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(passwords), 'SUSHY_EMULATOR_VMEDIA_VERIFY_SSL': False})
    for m in machines.values():
        server = make_server(m.bmc, REDFISH_PORT, emulator.app, threaded=True, request_handler=Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()


# --- the network's own servers -----------------------------------------------------------------------
def images(lab):
    """An HTTP server for tenant images: http://GATEWAY:8080/NAME."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        def log_message(self, *_): pass

    handler = functools.partial(Handler, directory=lab.spec['images'])
    server = http.server.ThreadingHTTPServer((lab.spec['gateway'], HTTP_PORT), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def router(lab):
    """Router advertisements: without any, iPXE asks six times for a router and waits 16 seconds before it boots."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, lab.spec['bridge'].encode())
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    index = socket.if_nametoindex(lab.spec['bridge'])
    group = socket.inet_pton(socket.AF_INET6, 'ff02::2')
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack('@I', index))
    # RFC 4861 section 4.2, with one prefix option (4.6.2) that is on-link and autonomous
    prefix = struct.pack('>BBBBIII16s', 3, 4, 64, 0xc0, 86400, 14400, 0, socket.inet_pton(socket.AF_INET6, 'fd22::'))
    advertisement = struct.pack('>BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    s.settimeout(5)

    def serve():
        while True:
            try:
                s.sendto(advertisement, ('ff02::1', 0, 0, index))
                while s.recvfrom(2048)[0][:1] != b'\x85':      # until a router solicitation, or 5 seconds
                    pass
            except OSError:
                time.sleep(0)

    threading.Thread(target=serve, daemon=True).start()


def serve(path):
    lab = Lab(path)
    for m in lab.machines.values():
        subprocess.run(['ip', 'addr', 'replace', f'{m.bmc}/24', 'dev', lab.spec['bridge']], check=True)
    for m in lab.machines.values():     # before the first thread starts: a fork copies one thread only
        if os.fork() == 0:
            die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                ipmi(lab.dir / 'ctl.sock', m.spec)
            finally:
                os._exit(1)
    control(lab)
    router(lab)
    images(lab)
    redfish(lab)
    (lab.dir / 'labd.pid').write_text(str(os.getpid()))
    print('ready', flush=True)
    ended = threading.Event()
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: ended.set())
    if lab.spec.get('attached'):
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), ended.set()), daemon=True).start()
    ended.wait()
    for m in lab.machines.values():
        m.off()
    os._exit(0)                          # the children end with this process


if __name__ == '__main__':
    if sys.argv[1:2] == ['serve'] and len(sys.argv) == 3:
        serve(sys.argv[2])
    elif sys.argv[1:2] == ['ctl'] and len(sys.argv) >= 4:
        print(json.dumps(ctl(*sys.argv[2:]), indent=1))
    else:
        sys.exit(__doc__)
