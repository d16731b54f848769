//! LLDP as switches sent it: frames of captures, cut into units as ironic-python-agent hands them on.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;

use inspection::hooks::{AddPorts, Hook, Machine, Options, run};
use model::{Node, Timestamp};
use serde_json::{Map, Value, json};

/// `lldp.detailed.pcap` of Wireshark's sample captures: a Summit 300-48 of Extreme Networks.
const SUMMIT: &str = "0180c200000e000130f9ada088cc\
    0207040001 30f9ada0 0404 05312f31 06020078\
    0817 53756d6d69743330302d34382d506f7274203130303100\
    0a0d 53756d6d69743330302d343800\
    0c4c 53756d6d69743330302d3438202d2056657273696f6e20372e34652e3120284275696c642035292062792052656c656173655f4d61737465722030352f32372f30352030343a35333a313100\
    0e0400140014 100e07060001 30f9ada002000003e900\
    fe0700120f02070100 fe0900120f01036c000010 fe0900120f030100000000 fe0600120f0405f2\
    fe060080c20101e8 fe070080c202010000 fe160080c20301e80f76322d303438382d30332d30353035 fe050080c20400 0000";

/// `lldp.minimal.pcap` of the same: a switch of Extreme Networks tells no more than it must.
const MINIMAL: &str = "0180c200000e0004961f26a788cc 0207040004961f26a7 0404 05312f33 06020078 0000";

/// The units of a frame, behind its Ethernet header: seven bits of type, nine of length, the value.
fn units(frame: &str) -> Value {
    let frame: String = frame.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(&frame[2 * at..2 * at + 2], 16).unwrap();
    let (mut at, mut units) = (14, Vec::new());
    while 2 * at < frame.len() {
        let header = u16::from_be_bytes([byte(at), byte(at + 1)]);
        let end = at + 2 + usize::from(header & 0x1ff);
        units.push(json!([header >> 9, frame[2 * (at + 2)..2 * end]]));
        at = end;
    }
    Value::Array(units)
}

fn machine(plugin_data: &Value) -> Machine {
    let now = Timestamp::from_micros(1);
    let inventory = json!({"interfaces": [
        {"name": "eth0", "mac_address": "52:54:00:00:00:01"},
        {"name": "eth1", "mac_address": "52:54:00:00:00:02", "lldp": units(MINIMAL)},
        {"name": "eth2", "mac_address": "52:54:00:00:00:03", "lldp": null},
        {"mac_address": "52:54:00:00:00:04", "lldp": units(MINIMAL)},
        "bogus",
    ]});
    Machine {
        node: Node::new("ipmi", now),
        ports: Vec::new(),
        taken: BTreeSet::new(),
        inventory: inventory.as_object().unwrap().clone(),
        plugin_data: plugin_data.as_object().unwrap().clone(),
        previous: None,
        now,
    }
}

fn parsed(plugin_data: &Value) -> Map<String, Value> {
    let mut machine = machine(plugin_data);
    run(&Options { hooks: vec![Hook::ParseLldp], ..Options::default() }, &mut machine).unwrap();
    machine.plugin_data.get("parsed_lldp").and_then(Value::as_object).cloned().unwrap_or_default()
}

#[test]
fn what_a_switch_says_of_itself() {
    let found = parsed(&json!({"lldp_raw": {"eth0": units(SUMMIT)}}));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["eth0", "eth1"]);
    assert_eq!(
        found["eth0"],
        json!({
            "switch_chassis_id": "00:01:30:f9:ad:a0",
            "switch_port_id": "1/1",
            "switch_port_description": "Summit300-48-Port 1001",
            "switch_system_name": "Summit300-48",
            "switch_system_description":
                "Summit300-48 - Version 7.4e.1 (Build 5) by Release_Master 05/27/05 04:53:11",
            "switch_capabilities_support": ["Bridge", "Router"],
            "switch_capabilities_enabled": ["Bridge", "Router"],
            "switch_mgmt_addresses": ["00:01:30:f9:ad:a0"],
            "switch_port_autonegotiation_enabled": true,
            "switch_port_autonegotiation_support": true,
            "switch_port_physical_capabilities":
                ["100BASE-TX fdx", "100BASE-TX hdx", "10BASE-T fdx", "10BASE-T hdx"],
            "switch_port_mau_type": "100BASE-TX full duplex",
            "switch_port_link_aggregation_enabled": false,
            "switch_port_link_aggregation_support": true,
            "switch_port_link_aggregation_id": 0,
            "switch_port_mtu": 1522,
            "switch_port_untagged_vlan_id": 488,
            "switch_port_protocol_vlan_enabled": false,
            "switch_port_protocol_vlan_support": false,
            "switch_port_protocol_vlan_ids": [0],
            "switch_port_vlans": [{"id": 488, "name": "v2-0488-03-0505"}],
            "switch_protocol_identities": [""],
        })
    );
    assert_eq!(found["eth1"], json!({"switch_chassis_id": "00:04:96:1f:26:a7", "switch_port_id": "1/3"}));
}

#[test]
fn units_by_their_tables() {
    let fact = |units: Value| {
        let found = parsed(&json!({"lldp_raw": {"eth0": units}}));
        found.get("eth0").cloned().unwrap_or(Value::Null)
    };
    for (unit, expected) in [
        (json!([1, "0501c0a80001"]), json!({"switch_chassis_id": "192.168.0.1"})),
        (json!([1, "0502fd000000000000000000000000000001"]), json!({"switch_chassis_id": "fd00::1"})),
        (json!([1, "07737731"]), json!({"switch_chassis_id": "sw1"})),
        (json!([2, "03525400aabbcc"]), json!({"switch_port_id": "52:54:00:aa:bb:cc"})),
        (json!([2, "040a"]), Value::Null),
        (json!([2, "0401c0a80001"]), json!({"switch_port_id": "192.168.0.1"})),
        (json!([2, "09aa"]), Value::Null),
        (json!([2, ""]), Value::Null),
        (json!([8, "0501c0a80001020000000100"]), json!({"switch_mgmt_addresses": ["192.168.0.1"]})),
        (json!([8, "05"]), Value::Null),
        (json!([7, "0014"]), Value::Null),
        (json!([127, "0080c2060010"]), json!({"switch_port_management_vlan_id": 16})),
        (json!([127, "0080c2040588cc0100aa"]), json!({"switch_protocol_identities": ["88cc0100aa"]})),
        (json!([127, "0080c2040688cc0100aa"]), Value::Null),
        (
            json!([127, "0080c207030000000a"]),
            json!({
                "switch_port_link_aggregation_enabled": true,
                "switch_port_link_aggregation_support": true,
                "switch_port_link_aggregation_id": 10,
            }),
        ),
        (json!([127, "00120f010300000fff"]), Value::Null),
        (json!([127, "00120f"]), Value::Null),
        (json!([127, "0012bb01000f04"]), Value::Null),
        (json!([5, "ff"]), Value::Null),
        (json!([5, "zz"]), Value::Null),
        (json!([5, "+1"]), Value::Null),
        (json!([5]), Value::Null),
        (json!(5), Value::Null),
    ] {
        assert_eq!(fact(json!([unit])), expected, "{unit}");
    }
    let several = fact(json!([
        [5, "61"],
        [5, "62"],
        [9, "00"],
        [5, "zz"],
        [127, "0080c2030001026131"],
        [127, "0080c2030002026132"],
    ]));
    let vlans = json!([{"id": 1, "name": "a1"}, {"id": 2, "name": "a2"}]);
    assert_eq!(
        several,
        json!({"switch_system_name": "a", "switch_port_vlans": vlans}),
        "the first name stays"
    );
}

#[test]
fn the_place_of_a_port() {
    let hooks = vec![Hook::ValidateInterfaces, Hook::Ports, Hook::LocalLinkConnection];
    let mut machine = machine(&json!({"lldp_raw": {"eth0": units(SUMMIT)}}));
    run(&Options { hooks, add_ports: AddPorts::All, ..Options::default() }, &mut machine).unwrap();
    let link = |index: usize| Value::from(machine.ports[index].local_link_connection.to_map());
    assert_eq!(
        link(0),
        json!({"switch_id": "00:01:30:f9:ad:a0", "port_id": "1/1", "switch_info": "Summit300-48"})
    );
    assert_eq!(link(1), json!({"switch_id": "00:04:96:1f:26:a7", "port_id": "1/3"}));
    assert_eq!(link(2), json!({}));
}

#[test]
fn what_is_known_of_other_interfaces_stays() {
    let found = parsed(&json!({"parsed_lldp": {"eth9": {"switch_port_id": "9"}, "eth1": 5}}));
    assert_eq!(found["eth9"], json!({"switch_port_id": "9"}));
    assert_eq!(found["eth1"]["switch_port_id"], "1/3");
}
