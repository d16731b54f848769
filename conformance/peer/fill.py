#!/usr/bin/env python3
"""Fills a stock Ironic's SQLite store for measurements: fill.py URL DATABASE NODES AT_WORK

The first node and its ports are made by the API, so that every column is as Ironic writes it; the others are copies of
their rows with names of their own. The last AT_WORK nodes (a quarter of few) are cleaning, with an agent's token and a deploy
interface that takes its heartbeats down.
"""
import json
import sqlite3
import sys
import urllib.request

url, database, nodes, at_work = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
OWNERS = 100


def uuid(index):
    return f"00000000-0000-4000-8000-{index:012x}"


def port_uuid(index):
    return f"00000000-0000-4000-9000-{index:012x}"


def address(index, second):
    return "52:54:%02x:%02x:%02x:%02x" % (second, index >> 16 & 255, index >> 8 & 255, index & 255)


def fields(index):
    return {
        "uuid": uuid(index),
        "name": f"node-{index:05}",
        "driver_info": {
            "redfish_address": f"https://10.0.{index // 250}.{index % 250}",
            "redfish_username": "admin",
            "redfish_password": "0123456789abcdef",
            "deploy_kernel": "http://images.example/agent.kernel",
            "deploy_ramdisk": "http://images.example/agent.initramfs",
        },
        "extra": {"rack": f"r{index // 40:03}", "unit": index % 40},
        "owner": f"project-{index % OWNERS}",
    }


def post(path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {
        "Content-Type": "application/json", "X-OpenStack-Ironic-API-Version": "1.95"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def copy(connection, table, row, **changes):
    row = {**row, **changes}
    del row["id"]
    names = ", ".join(row)
    places = ", ".join("?" * len(row))
    return connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values())).lastrowid


first = fields(0)
# Whoever does not log in is no administrator of other projects; owners are set below.
owner = first.pop("owner")
post("/v1/nodes", {
    **first, "driver": "fake-hardware", "resource_class": "baremetal.large", "network_interface": "noop",
    "storage_interface": "noop",
    "properties": {"cpu_arch": "x86_64", "cpus": 64, "memory_mb": 524288, "local_gb": 960,
                   "capabilities": "boot_mode:uefi"}})
for second in (0, 1):
    post("/v1/ports", {"uuid": port_uuid(second), "node_uuid": uuid(0), "address": address(0, second)})

with sqlite3.connect(database, timeout=60) as connection:
    connection.row_factory = sqlite3.Row
    # As a node that was provided is; the first one is made so before it is copied.
    internal = json.dumps({"last_power_state_change": "2026-11-22T10:00:00.000000"})
    connection.execute("UPDATE nodes SET provision_state = 'available', power_state = 'power on', owner = ?, "
                       "driver_internal_info = ?", (owner, internal))
    node = dict(connection.execute("SELECT * FROM nodes").fetchone())
    port = dict(connection.execute("SELECT * FROM ports LIMIT 1").fetchone())
    traits = ("CUSTOM_GPU", "HW_CPU_X86_VMX")

    def add_traits(node_id):
        for trait in traits:
            connection.execute("INSERT INTO node_traits (node_id, trait, version) VALUES (?, ?, '1.0')", (node_id, trait))

    add_traits(node["id"])
    for index in range(1, nodes):
        own = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in fields(index).items()}
        if index >= nodes - min(at_work, nodes // 4):
            internal = json.loads(node["driver_internal_info"])
            internal["agent_secret_token"] = "bench-token"
            own.update(provision_state="cleaning", deploy_interface="direct", driver_internal_info=json.dumps(internal))
        node_id = copy(connection, "nodes", node, **own)
        add_traits(node_id)
        for second in (0, 1):
            copy(connection, "ports", port, uuid=port_uuid(2 * index + second), node_id=node_id,
                 address=address(index, second))
