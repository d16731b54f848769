//! Every hook over reports as they come: one of ironic-python-agent on a virtual machine, and the one that freezes what our
//! own agent sends.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;

use inspection::hooks::{AddPorts, Hook, Machine, Options, PciAlias, PciDevice, run};
use model::{Node, Timestamp};
use serde_json::{Value, json};

fn inspected(report: &str) -> Machine {
    // As the API takes it apart: the inventory, and everything else.
    let report: agent_api::inspection::InspectionReport = serde_json::from_str(report).unwrap();
    let inventory = serde_json::to_value(&report.inventory).unwrap();
    let now = Timestamp::from_micros(1);
    let mut machine = Machine {
        node: Node::new("ipmi", now),
        ports: Vec::new(),
        taken: BTreeSet::new(),
        inventory: inventory.as_object().unwrap().clone(),
        plugin_data: report.data,
        previous: None,
        now,
    };
    let options = Options {
        hooks: Hook::ALL.map(|(_, hook)| hook).to_vec(),
        add_ports: AddPorts::Active,
        pci_aliases: vec![PciAlias { device: PciDevice::new("1af4", "1041"), name: "nics".to_owned() }],
        physical_networks: vec![("192.0.2.0/24".parse().unwrap(), "net-a".to_owned())],
        ..Options::default()
    };
    run(&options, &mut machine).unwrap();
    machine
}

#[test]
fn of_the_stock_agent() {
    let machine = inspected(include_str!("reports/ironic-python-agent.json"));
    assert_eq!(
        Value::from(machine.node.properties.to_map()),
        json!({
            "cpu_arch": "x86_64", "cpus": 2, "memory_mb": 0, "local_gb": 255, "accelerators": [],
            "capabilities":
                "boot_mode:bios,cpu_aes:true,cpu_hugepages:true,cpu_hugepages_1g:true,nics:1",
        })
    );
    assert_eq!(machine.ports.len(), 1);
    assert_eq!(machine.ports[0].address.to_string(), "02:fc:00:00:00:01");
    assert_eq!(machine.ports[0].physical_network.as_deref(), Some("net-a"));
    assert_eq!(machine.plugin_data["root_disk"]["name"], "/dev/vda");
}

#[test]
fn of_our_agent() {
    let machine = inspected(include_str!("../../agent-api/tests/versioning/v1/inspection.json"));
    assert_eq!(
        Value::from(machine.node.properties.to_map()),
        json!({
            "cpu_arch": "x86_64", "cpus": 1, "memory_mb": 1024, "local_gb": 0, "capabilities": "boot_mode:bios",
        })
    );
    assert!(machine.ports[0].pxe_enabled);
}
