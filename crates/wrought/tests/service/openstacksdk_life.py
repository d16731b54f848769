"""A machine's whole life with openstacksdk. The order is the first argument, what was seen goes to standard output."""

import json
import sys

import openstack

order = json.loads(sys.argv[1])
connection = openstack.connect(
    auth_type="none", endpoint=order["endpoint"], baremetal_endpoint_override=order["endpoint"]
)
baremetal = connection.baremetal
states = []


def move(node, target, **more):
    node = baremetal.set_node_provision_state(node, target, wait=True, timeout=60, **more)
    states.append(node.provision_state)
    return node


node = baremetal.create_node(driver="ipmi", name="sdk-0", driver_info=order["driver_info"], provision_state="enroll")
states.append(node.provision_state)
baremetal.create_port(node_id=node.id, address=order["mac"])
node = move(node, "manage")
node = move(node, "provide")
node = baremetal.update_node(node, instance_info=order["instance_info"])
wanted = ("boot", "deploy", "management", "power")
verdicts = baremetal.validate_node(node, required=wanted)
drive = {"meta_data": {"name": "sdk-0"}, "user_data": "#!/bin/sh\n", "network_data": {"links": []}}
node = move(node, "active", config_drive=drive)
power = baremetal.get_node(node.id).power_state
node = move(node, "deleted")
node = baremetal.get_node(node.id)
baremetal.delete_node(node.id)
print(
    json.dumps(
        {
            "states": states,
            "validated": sorted(name for name in wanted if verdicts[name].result),
            "power": power,
            "instance_info": node.instance_info,
            "left": len(list(baremetal.nodes())),
        }
    )
)
