//! Hooks over inventories as ramdisks send them.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;

use inspection::hooks::{AddPorts, Hook, HookError, KeepPorts, Machine, Options, PciAlias, PciDevice, run};
use model::{MacAddr, Node, Port, Timestamp};
use serde_json::{Value, json};

const ONE: &str = "52:54:00:00:00:01";
const TWO: &str = "52:54:00:00:00:02";
const THREE: &str = "52:54:00:00:00:03";

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

/// Booted from the first interface; the second has a cable and an address, the third has none.
fn machine() -> Machine {
    let now = Timestamp::from_micros(1);
    let inventory = json!({
        "interfaces": [
            {"name": "lo", "mac_address": "00:00:00:00:00:00", "ipv4_address": "127.0.0.1"},
            {"name": "eth0", "mac_address": ONE.to_uppercase(), "ipv4_address": "10.0.0.9", "client_id": "ff:1"},
            {"name": "eth1", "mac_address": TWO, "ipv6_address": "fd00::1%eth1", "lldp": [[5, "7377"]]},
            {"name": "eth2", "mac_address": THREE},
            {"name": "bad", "mac_address": "x"},
        ],
        "boot": {"pxe_interface": "01-52-54-00-00-00-01", "current_boot_mode": "uefi"},
        "cpu": {"architecture": "x86_64", "count": 8, "flags": ["vmx", "aes", "fpu"]},
        "memory": {"physical_mb": 4096},
    });
    Machine {
        node: Node::new("ipmi", now),
        ports: Vec::new(),
        taken: BTreeSet::new(),
        inventory: inventory.as_object().unwrap().clone(),
        plugin_data: serde_json::Map::new(),
        previous: None,
        now,
    }
}

fn options(hooks: &[Hook]) -> Options {
    Options { hooks: hooks.to_vec(), ..Options::default() }
}

fn addresses(machine: &Machine) -> Vec<String> {
    machine.ports.iter().map(|port| port.address.to_string()).collect()
}

#[test]
fn by_default_the_boot_interface_gets_a_port() {
    let mut machine = machine();
    run(&Options::default(), &mut machine).unwrap();
    assert_eq!(addresses(&machine), [ONE]);
    let port = &machine.ports[0];
    assert!(port.pxe_enabled);
    assert_eq!(port.extra.get_str("client-id").as_deref(), Some("ff:1"));
    assert_eq!(machine.node.properties.get_str("cpu_arch").as_deref(), Some("x86_64"));
    assert_eq!(machine.plugin_data["macs"], json!([ONE]));
    let all = machine.plugin_data["all_interfaces"].as_object().unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["eth0", "eth1", "eth2", "lo"]);
    assert_eq!(all["eth1"]["ipv6_address"], "fd00::1");
}

#[test]
fn which_interfaces_get_ports() {
    let added = |add_ports, booted: bool| {
        let mut machine = machine();
        if !booted {
            machine.inventory.remove("boot");
        }
        run(&Options { add_ports, ..Options::default() }, &mut machine).unwrap();
        addresses(&machine)
    };
    assert_eq!(added(AddPorts::All, true), [ONE, TWO, THREE]);
    assert_eq!(added(AddPorts::Active, true), [ONE, TWO]);
    assert_eq!(added(AddPorts::Pxe, false), [ONE, TWO, THREE]);
    assert!(added(AddPorts::Disabled, true).is_empty());
    let mut other = machine();
    other.taken.insert(mac(ONE));
    run(&Options::default(), &mut other).unwrap();
    assert!(other.ports.is_empty(), "the port of another node is left alone");
}

#[test]
fn ports_that_were_there_stay_change_or_go() {
    let kept = |keep_ports, update_pxe_enabled| {
        let mut machine = machine();
        for address in [TWO, "52:54:00:00:00:99"] {
            machine.ports.push(Port::new(machine.node.uuid, mac(address), machine.now));
        }
        run(&Options { keep_ports, update_pxe_enabled, ..Options::default() }, &mut machine).unwrap();
        machine.ports.iter().map(|port| (port.address.to_string(), port.pxe_enabled)).collect::<Vec<_>>()
    };
    let row = |address: &str, pxe| (address.to_owned(), pxe);
    assert_eq!(
        kept(KeepPorts::All, true),
        [row(TWO, false), row("52:54:00:00:00:99", false), row(ONE, true)]
    );
    assert_eq!(kept(KeepPorts::Present, false), [row(TWO, true), row(ONE, true)]);
    assert_eq!(kept(KeepPorts::Added, true), [row(ONE, true)]);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let verdict = |change: fn(&mut Machine), hooks: &[Hook]| {
        let mut machine = machine();
        change(&mut machine);
        run(&options(hooks), &mut machine)
    };
    let error = |text: Value| {
        let mut machine = machine();
        machine.plugin_data.insert("error".to_owned(), text);
        run(&Options::default(), &mut machine)
    };
    assert_eq!(error(json!("no disks")), Err(HookError::Ramdisk("no disks".to_owned())));
    assert_eq!(error(Value::Null), Ok(()));
    let validate = [Hook::ValidateInterfaces];
    assert!(verdict(|m| drop(m.inventory.remove("interfaces")), &validate).is_err());
    assert!(verdict(|m| drop(m.inventory.insert("interfaces".to_owned(), json!([]))), &validate).is_err());
    let elsewhere = |m: &mut Machine| {
        m.inventory.insert("boot".to_owned(), json!({"pxe_interface": "52:54:00:00:00:99"}));
    };
    assert_eq!(verdict(elsewhere, &validate), Err(HookError::NoInterface(AddPorts::Pxe)));
    assert!(verdict(|m| drop(m.inventory.remove("cpu")), &[Hook::Architecture]).is_err());
    assert!(verdict(|m| drop(m.inventory.remove("memory")), &[Hook::Memory]).is_err());
}

#[test]
fn properties_and_capabilities() {
    let mut machine = machine();
    machine.node.properties.set("capabilities", json!("old:1,boot_mode:bios"));
    let device = json!({"vendor_id": "8086", "product_id": "1583"});
    machine.plugin_data.insert("pci_devices".to_owned(), json!([device, device, {"vendor_id": "1"}]));
    let hooks = [Hook::Cpus, Hook::Memory, Hook::BootMode, Hook::CpuCapabilities, Hook::PciDevices];
    let pci_aliases = vec![PciAlias { device: PciDevice::new("8086", "1583"), name: "nic_40g".to_owned() }];
    run(&Options { pci_aliases, ..options(&hooks) }, &mut machine).unwrap();
    let properties = Value::from(machine.node.properties.to_map());
    assert_eq!((&properties["cpus"], &properties["memory_mb"]), (&json!(8), &json!(4096)));
    assert_eq!(properties["capabilities"], "boot_mode:uefi,cpu_aes:true,cpu_vt:true,nic_40g:2,old:1");
}

#[test]
fn switches_and_networks() {
    let mut machine = machine();
    let units = json!([[1, "04525400aabbcc"], [2, "0545746831"], [5, "73776974636831"], [0, ""]]);
    machine.plugin_data.insert("lldp_raw".to_owned(), json!({"eth0": units, "eth1": []}));
    let mut known = Port::new(machine.node.uuid, mac(TWO), machine.now);
    known.local_link_connection.set("switch_info", json!("kept"));
    machine.ports.push(known);
    let hooks = [Hook::ValidateInterfaces, Hook::Ports, Hook::LocalLinkConnection, Hook::PhysicalNetwork];
    let physical_networks = vec![("10.0.0.0/24".parse().unwrap(), "net-a".to_owned())];
    run(&Options { physical_networks, ..options(&hooks) }, &mut machine).unwrap();
    let link = |index: usize| Value::from(machine.ports[index].local_link_connection.to_map());
    assert_eq!(link(0), json!({"switch_info": "kept"}));
    assert_eq!(
        link(1),
        json!({"switch_id": "52:54:00:aa:bb:cc", "port_id": "Eth1", "switch_info": "switch1"})
    );
    assert_eq!(machine.ports[1].physical_network.as_deref(), Some("net-a"));
    assert_eq!(machine.ports[0].physical_network, None);
}

#[test]
fn broken_lldp_tells_nothing() {
    for units in
        [json!([[2, "zz"]]), json!([[2, "0"]]), json!([[2]]), json!([["2", "07"]]), json!([[5, "ff"]])]
    {
        let mut machine = machine();
        machine.plugin_data.insert("lldp_raw".to_owned(), json!({"eth0": units}));
        run(&options(&[Hook::ValidateInterfaces, Hook::Ports, Hook::LocalLinkConnection]), &mut machine)
            .unwrap();
        assert!(machine.ports[0].local_link_connection.is_empty(), "{units}");
    }
}

#[test]
fn names() {
    for (name, hook) in Hook::ALL {
        assert_eq!(Hook::from_name(name), Some(hook));
    }
    assert_eq!(Hook::from_name("bogus"), None);
}
