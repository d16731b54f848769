"""A Redfish service of sushy-tools with one machine that is not there, for a test.

    sushy_bmc.py ADDRESS PORT STATE_FOLDER [CERTIFICATE KEY]

Prints "ready" once it listens; user admin, password "password". The machine takes a second to change power. What
sushy-tools drops is added: it always reports a boot override as Continuous, here it is what was set.
"""
import json, pathlib, ssl, sys
import bcrypt, flask
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver
from werkzeug.serving import WSGIRequestHandler, make_server

address, port, state = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
fakedriver.random.randint = lambda low, high: 1     # seconds until a change of power is seen
passwords = state / 'htpasswd'
passwords.write_text(f'admin:{bcrypt.hashpw(b"password", bcrypt.gensalt(4)).decode()}\n')
emulator.app.configure(extra_config={
    'SUSHY_EMULATOR_FAKE_DRIVER': True, 'SUSHY_EMULATOR_STATE_DIR': str(state),
    'SUSHY_EMULATOR_AUTH_FILE': str(passwords), 'SUSHY_EMULATOR_VMEDIA_VERIFY_SSL': False})
frequency = {'now': 'Disabled'}


@emulator.app.after_request
def true_frequency(response):
    path = flask.request.path.rstrip('/').split('/')
    if len(path) == 5 and path[3] == 'Systems' and response.status_code < 300:
        if flask.request.method == 'PATCH':
            boot = flask.request.json.get('Boot', {})
            frequency['now'] = boot.get('BootSourceOverrideEnabled', frequency['now'])
        elif flask.request.method == 'GET':
            body = json.loads(response.get_data())
            body['Boot']['BootSourceOverrideEnabled'] = frequency['now']
            response.set_data(json.dumps(body))
    return response


class Handler(WSGIRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_request(self, *_): pass


context = None
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
server = make_server(address, port, emulator.app, threaded=True, request_handler=Handler, ssl_context=context)
print('ready', flush=True)
server.serve_forever()
