"""Runs every command of the `baremetal` program of python-ironicclient, in one process, against the API at argv[1].

Each command is used at least once, well where hardware that is not there can; many are used badly, and must then fail
with the API's own words. Writes as JSON how many commands there are, which were not used, and what was wrong.
"""

import contextlib
import importlib.metadata
import io
import json
import shlex
import sys
import tempfile

from ironicclient import shell

URL = sys.argv[1]
USED = set()
WRONG = []
COMMANDS = {
    point.name.replace("_", " ").removeprefix("baremetal ")
    for point in importlib.metadata.entry_points(group=shell._NAMESPACE)
}


def run(line):
    words = shlex.split(line)
    name = max((c for c in COMMANDS if words[: len(c.split())] == c.split()), key=len)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(["--os-auth-type", "none", "--os-endpoint", URL, *words])
        except SystemExit as ended:
            code = ended.code
    return name, code, out.getvalue(), err.getvalue()


def ok(line):
    name, code, out, err = run(line)
    assert code == 0, f"baremetal {line}: {code}\n{out}\n{err}"
    USED.add(name)
    return out


def show(line):
    return json.loads(ok(f"{line} -f json"))


def bad(line, *words):
    name, code, out, err = run(line)
    USED.add(name)
    if code == 0:
        WRONG.append(f"baremetal {line} succeeds: {out}")
    text = (out + err).lower()
    WRONG.extend(f"baremetal {line}: no {word!r} in {text}" for word in words if word.lower() not in text)


def check(found, wanted):
    if found != wanted:
        WRONG.append(f"{found!r} is not {wanted!r}")


NOWHERE = "11111111-2222-4333-8444-555555555555"


def parts():
    rack = show("chassis create --description rack --extra row=1")["uuid"]
    ok(f"chassis set {rack} --description 'rack 2' --extra row=2")
    ok(f"chassis unset {rack} --extra row")
    check(show(f"chassis show {rack}")["extra"], {})
    check(len(show("chassis list")), 1)
    bad(f"chassis show {NOWHERE}", "could not be found")
    ok(f"chassis delete {rack}")
    bad(f"chassis delete {rack}", "failed to delete")

    node = show("node create --driver fake-hardware --name parts")["uuid"]
    bond = show(f"port group create --node {node} --name bond0 --mode 802.3ad --address 52:54:00:00:00:01")["uuid"]
    ok("port group set bond0 --mode active-backup --property miimon=100")
    ok("port group unset bond0 --property miimon")
    check(show("port group show bond0")["mode"], "active-backup")
    check(len(show(f"port group list --node {node}")), 1)
    bad(f"port group create --node {node} --name bond0", "bond0")
    port = show(f"port create 52:54:00:00:00:02 --node {node} --port-group {bond} --physical-network net")["uuid"]
    bad(f"port create 52:54:00:00:00:02 --node {node}", "52:54:00:00:00:02")
    bad(f"port create nonsense --node {node}", "ethernet address")
    ok(f"port set {port} --extra a=1")
    ok(f"port unset {port} --extra a --port-group")
    check(show(f"port show {port}")["portgroup_uuid"], None)
    check(len(show("port list --long")), 1)
    bad(f"port show {NOWHERE}", "could not be found")
    ok(f"port delete {port}")
    ok("port group delete bond0")
    ok(f"node power off {node}")
    volumes(node)
    ok(f"node delete {node}")


def volumes(node):
    connector = show(f"volume connector create --node {node} --type iqn --connector-id iqn.2026-01.example:a")["uuid"]
    bad(f"volume connector create --node {node} --type iqn --connector-id iqn.2026-01.example:a", "iqn.2026")
    ok(f"volume connector set {connector} --extra a=1")
    ok(f"volume connector unset {connector} --extra a")
    check(show(f"volume connector show {connector}")["type"], "iqn")
    check(len(show(f"volume connector list --node {node}")), 1)
    ok(f"volume connector delete {connector}")
    bad(f"volume connector show {connector}", "could not be found")
    target = show(f"volume target create --node {node} --type iscsi --boot-index 0 --volume-id v1 --property a=1")["uuid"]
    bad(f"volume target create --node {node} --type iscsi --boot-index 0 --volume-id v2", "boot_index")
    ok(f"volume target set {target} --volume-id v3")
    ok(f"volume target unset {target} --property a")
    check(show(f"volume target show {target}")["volume_id"], "v3")
    check(len(show("volume target list --long")), 1)
    ok(f"volume target delete {target}")
    bad(f"volume target show {target}", "could not be found")


def plans():
    steps = shlex.quote('[{"interface":"deploy","step":"deploy","args":{},"priority":5}]')
    ok(f"deploy template create CUSTOM_A --steps {steps}")
    bad(f"deploy template create CUSTOM_A --steps {steps}", "CUSTOM_A")
    bad(f"deploy template create lower-case --steps {steps}", "lower-case")
    ok("deploy template set CUSTOM_A --extra a=1")
    ok("deploy template unset CUSTOM_A --extra a")
    check(show("deploy template show CUSTOM_A")["extra"], {})
    check(len(show("deploy template list")), 1)
    ok("deploy template delete CUSTOM_A")
    bad("deploy template show CUSTOM_A", "could not be found")
    steps = shlex.quote('[{"interface":"deploy","step":"erase_devices","args":{},"order":1}]')
    ok(f"runbook create --name CUSTOM_R --steps {steps}")
    bad(f"runbook create --name CUSTOM_R --steps {steps}", "CUSTOM_R")
    ok("runbook set CUSTOM_R --public true --extra a=1")
    ok("runbook unset CUSTOM_R --extra a")
    ok("runbook trait add CUSTOM_R CUSTOM_T1 CUSTOM_T2")
    ok("runbook trait remove CUSTOM_R CUSTOM_T1")
    check([row["traits"] for row in show("runbook trait list CUSTOM_R")], ["CUSTOM_T2"])
    check(show("runbook show CUSTOM_R")["public"], True)
    check(len(show("runbook list")), 1)
    ok("runbook delete CUSTOM_R")
    bad("runbook show CUSTOM_R", "could not be found")
    actions = shlex.quote('[{"op":"log","args":{"msg":"here"}}]')
    rule = show(f"inspection rule create --actions {actions} --priority 3")["uuid"]
    bad("inspection rule create --actions '[{\"op\":\"explode\",\"args\":{}}]'", "/actions/0/op")
    ok(f"inspection rule set {rule} --priority 4 --description d")
    ok(f"inspection rule unset {rule} --description")
    check(show(f"inspection rule show {rule}")["priority"], 4)
    check(len(show("inspection rule list")), 1)
    ok(f"inspection rule delete {rule}")
    bad(f"inspection rule show {rule}", "could not be found")


def file():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as made:
        json.dump({"chassis": [{"description": "f", "nodes": [{"name": "filed", "driver": "fake-hardware"}]}]}, made)
        made.flush()
        ok(f"create {made.name}")
    rack = show("node show filed")["chassis_uuid"]
    ok("node delete filed")
    ok(f"chassis delete {rack}")


def site():
    check([row["hostname"] for row in show("conductor list")], ["conductor-1"])
    check(show("conductor show conductor-1")["alive"], True)
    bad("conductor show nobody", "could not be found")
    check("fake-hardware" in [row["name"] for row in show("driver list")], True)
    check(show("driver show fake-hardware")["name"], "fake-hardware")
    bad("driver show nothing", "nothing")
    show("driver property list fake-hardware")
    show("driver raid property list fake-hardware")
    show("driver passthru list fake-hardware")
    bad("driver passthru call fake-hardware no_such_method", "no_such_method")
    show("shard list")


def hold(node):
    """What can be asked of a node that rests."""
    ok(f"node set {node} --resource-class gold --extra a=1 --property cpu_arch=x86_64 --driver-info x=1")
    ok(f"node unset {node} --extra a")
    bad(f"node set {node} --name 'not a name'", "not a name")
    check(show(f"node show {node}")["resource_class"], "gold")
    bad(f"node show {NOWHERE}", "could not be found")
    check(len(show("node list --resource-class gold")), 1)
    check(show("node list --provision-state active"), [])
    ok(f"node maintenance set {node} --reason cable")
    check(show(f"node show {node} --fields maintenance_reason")["maintenance_reason"], "cable")
    ok(f"node maintenance unset {node}")
    ok(f"node add trait {node} CUSTOM_A")
    ok(f"node trait add {node} CUSTOM_B")
    bad(f"node trait add {node} lower", "lower")
    check(sorted(row["traits"] for row in show(f"node trait list {node}")), ["CUSTOM_A", "CUSTOM_B"])
    ok(f"node trait remove {node} CUSTOM_B")
    ok(f"node remove trait {node} CUSTOM_A")
    bad(f"node trait remove {node} CUSTOM_A", "CUSTOM_A")
    show(f"node validate {node}")
    show(f"node children list {node}")
    show(f"node bios setting list {node}")
    bad(f"node bios setting show {node} no_such_setting", "no_such_setting")
    show(f"node firmware list {node}")
    show(f"node boot device show {node}")
    ok(f"node boot device set {node} pxe --persistent")
    check(show(f"node boot device show {node}"), {"boot_device": "pxe", "persistent": True})
    check("pxe" in ok(f"node boot device show {node} --supported"), True)
    bad(f"node boot device set {node} floppy", "floppy")
    ok(f"node boot mode set {node} uefi")
    ok(f"node secure boot on {node}")
    ok(f"node secure boot off {node}")
    ok(f"node inject nmi {node}")
    ok(f"node console enable {node}")
    show(f"node console show {node}")
    ok(f"node console disable {node}")
    show(f"node passthru list {node}")
    bad(f"node passthru call {node} no_such_method", "no_such_method")
    ok(f"node vif attach {node} {NOWHERE} --port-uuid {port_of(node)}")
    # The network interface `noop` keeps none.
    check(show(f"node vif list {node}"), [])
    ok(f"node vif detach {node} {NOWHERE}")
    history = show(f"node history list {node}")
    show(f"node history get {node} {history[0]['uuid']}")


def port_of(node):
    uuid = show(f"node show {node}")["uuid"]
    return show(f"port create 52:54:00:00:01:01 --node {uuid}")["uuid"]


def life():
    show("node create --driver fake-hardware --name life --boot-interface fake --deploy-interface fake --network-interface noop --console-interface fake --bios-interface fake --rescue-interface fake --firmware-interface fake --vendor-interface fake --inspect-interface fake --raid-interface fake")
    bad("node create --driver nothing", "nothing")
    bad("node create --driver fake-hardware --name life", "life")
    bad("node deploy life", "enroll")
    ok("node manage life --wait 60")
    hold("life")
    ok("node inspect life --wait 60")
    bad("node inventory save " + NOWHERE, "could not be found")
    step = shlex.quote('[{"interface":"vendor","step":"log_passthrough","args":{}}]')
    ok(f"node clean life --clean-steps {step} --wait 60")
    bad("node clean life --clean-steps '[{\"interface\":\"deploy\"}]'", "step")
    ok("node power on life --power-timeout 60")
    ok("node reboot life")
    ok("node power off life")
    ok("node provide life --wait 60")
    bad("node abort life", "abort")
    bad("node unhold life", "unhold")
    ok("node deploy life --wait 60")
    ok("node rebuild life --wait 60")
    ok(f"node service life --service-steps {step} --wait 60")
    ok("node rescue life --rescue-password secret --wait 60")
    ok("node unrescue life --wait 60")
    ok("node undeploy life --wait 60")
    ok("node manage life --wait 60")
    ok("node adopt life --wait 60")
    ok("node undeploy life --wait 60")
    ok("node delete life")
    bad("node delete life", "life")


def allocations():
    ok("node create --driver fake-hardware --name free --resource-class silver")
    ok("node manage free --wait 60")
    ok("node provide free --wait 60")
    ok("allocation create --name a1 --resource-class silver --wait 60")
    check(show("allocation show a1")["state"], "active")
    bad("allocation create --name a1 --resource-class silver", "a1")
    ok("allocation set a1 --extra a=1")
    ok("allocation unset a1 --extra a")
    check(len(show("allocation list")), 1)
    ok("allocation delete a1")
    bad("allocation show a1", "could not be found")
    bad("allocation create --name a2 --resource-class none --wait 30", "")


for part in [parts, plans, file, site, life, allocations]:
    part()
json.dump({"commands": len(COMMANDS), "unused": sorted(COMMANDS - USED), "wrong": WRONG}, sys.stdout)
