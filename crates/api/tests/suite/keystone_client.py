"""openstacksdk with nothing but a name, a password and Keystone's URL: AUTH_URL USER SCOPE. Prints what it sees as JSON."""

import json
import sys

import openstack

auth_url, user, scope = sys.argv[1:]
where = {"system_scope": "all"} if scope == "system" else {"project_name": scope, "project_domain_id": "default"}
cloud = openstack.connect(
    auth_url=auth_url, username=user, password="secret", user_domain_id="default", region_name="RegionOne", **where
)
nodes = [node.name for node in cloud.baremetal.nodes(details=True)]
try:
    cloud.baremetal.update_node("alpha-1", driver_info={"address": "192.0.2.1"})
    updated = 200
except openstack.exceptions.HttpException as error:
    updated = error.response.status_code
print(json.dumps({"nodes": nodes, "updated": updated}))
