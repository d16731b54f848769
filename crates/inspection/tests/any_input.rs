//! Whatever a ramdisk sends: the hooks never panic, and what they accept keeps node and ports in order.

use std::collections::BTreeSet;

use inspection::hooks::{AddPorts, Hook, KeepPorts, Machine, Options, PciAlias, PciDevice, run};
use model::{MacAddr, Node, Port, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const KNOWN: &str = "52:54:00:00:00:01";

/// Keys that hooks look for, and one that none does.
const KEYS: [&str; 36] = [
    "interfaces",
    "name",
    "mac_address",
    "ipv4_address",
    "ipv6_address",
    "client_id",
    "lldp",
    "boot",
    "pxe_interface",
    "current_boot_mode",
    "cpu",
    "architecture",
    "count",
    "flags",
    "memory",
    "physical_mb",
    "disks",
    "size",
    "serial",
    "rotational",
    "model",
    "pci_devices",
    "vendor_id",
    "product_id",
    "bus",
    "error",
    "root_disk",
    "lldp_raw",
    "parsed_lldp",
    "all_interfaces",
    "valid_interfaces",
    "macs",
    "data",
    "extra",
    "eth0",
    "other",
];

/// Text that means something to one of the hooks, and text that nearly does.
const TEXTS: [&str; 22] = [
    "",
    "eth0",
    "lo",
    KNOWN,
    "52-54-00-00-00-01",
    "01-52-54-00-00-00-01",
    "52:54:00:00:00",
    "10.0.0.9",
    "127.0.0.1",
    "fd00::1%eth0",
    "%",
    "x86_64",
    "uefi",
    "vmx",
    "8086",
    "1583",
    "10de",
    "1eb8",
    "0x",
    "04525400aabbcc",
    "0080c203ffffff",
    "𝄞\u{0}é",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(vec![0_i64, 1, 2, 7, 127, -1, i64::MAX, i64::MIN]).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        select(TEXTS.to_vec()).prop_map(Value::from),
        "([0-9a-f][0-9a-f]){0,20}".prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    vec((select(KEYS.to_vec()), inner), 0..12)
        .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn anything() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 96, 8, |inner| {
        prop_oneof![vec(inner.clone(), 0..8).prop_map(Value::from), object(inner).prop_map(Value::from)]
    })
}

/// An inventory of the right shape whose values are anything: deeper in the hooks than chance would get.
fn shaped() -> impl Strategy<Value = Map<String, Value>> {
    let text = || select(TEXTS.to_vec());
    let unit = (any::<u8>(), leaf()).prop_map(|(kind, value)| json!([kind, value]));
    let interface = (text(), text(), text(), vec(unit, 0..6)).prop_map(|(name, address, ip, lldp)| {
        json!({"name": name, "mac_address": address, "ipv4_address": ip, "ipv6_address": ip, "lldp": lldp})
    });
    let disk = (leaf(), leaf(), leaf())
        .prop_map(|(name, size, serial)| json!({"name": name, "size": size, "serial": serial}));
    (vec(interface, 1..6), vec(disk, 0..4), anything(), anything(), anything()).prop_map(
        |(interfaces, disks, boot, cpu, memory)| {
            let inventory = json!({
                "interfaces": interfaces, "disks": disks, "boot": boot, "cpu": cpu, "memory": memory,
            });
            inventory.as_object().cloned().unwrap_or_default()
        },
    )
}

fn machine(inventory: Map<String, Value>, plugin_data: Map<String, Value>, properties: &Value) -> Machine {
    let now = Timestamp::from_micros(1);
    let mut node = Node::new("ipmi", now);
    node.properties.set("root_device", properties.clone());
    node.properties.set("skip_block_devices", json!([properties]));
    node.properties.set("capabilities", properties.clone());
    let known: Option<MacAddr> = KNOWN.parse().ok();
    let ports = known.map(|address| Port::new(node.uuid, address, now)).into_iter().collect();
    Machine {
        node,
        ports,
        taken: BTreeSet::new(),
        previous: Some(inventory.clone()),
        inventory,
        plugin_data,
        now,
    }
}

fn options(hooks: Vec<Hook>, add_ports: AddPorts, keep_ports: KeepPorts) -> Options {
    Options {
        hooks,
        add_ports,
        keep_ports,
        pci_aliases: vec![PciAlias { device: PciDevice::new("8086", "1583"), name: "nic".to_owned() }],
        physical_networks: "10.0.0.0/8".parse().map(|net| (net, "net-a".to_owned())).into_iter().collect(),
        ..Options::default()
    }
}

/// Runs each hook alone and all together, in the order given.
fn survives(machine: &Machine, options: &Options) -> Result<(), TestCaseError> {
    for hook in &options.hooks {
        let _ = run(&Options { hooks: vec![*hook], ..options.clone() }, &mut machine.clone());
    }
    let mut worked = machine.clone();
    if run(options, &mut worked).is_ok() {
        let addresses: BTreeSet<MacAddr> = worked.ports.iter().map(|port| port.address).collect();
        prop_assert_eq!(addresses.len(), worked.ports.len(), "no address has two ports");
        prop_assert!(worked.ports.iter().all(|port| port.node_uuid == worked.node.uuid));
        prop_assert!(worked.node.properties.get("local_gb").is_some_and(|size| size.is_u64()));
        prop_assert_eq!(worked.node.uuid, machine.node.uuid);
        prop_assert_eq!(worked.node.provision_state, machine.node.provision_state);
        prop_assert_eq!(&worked.inventory, &machine.inventory, "hooks only read the inventory");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_reports(
        inventory in object(anything()),
        plugin_data in object(anything()),
        properties in anything(),
        hooks in Just(Hook::ALL.map(|(_, hook)| hook).to_vec()).prop_shuffle(),
        add in select(vec![AddPorts::All, AddPorts::Active, AddPorts::Pxe, AddPorts::Disabled]),
        keep in select(vec![KeepPorts::All, KeepPorts::Present, KeepPorts::Added]),
    ) {
        survives(&machine(inventory, plugin_data, &properties), &options(hooks, add, keep))?;
    }

    #[test]
    fn reports_of_the_right_shape(
        inventory in shaped(),
        plugin_data in object(anything()),
        properties in prop_oneof![Just(Value::Null), anything()],
        hooks in Just(Hook::ALL.map(|(_, hook)| hook).to_vec()).prop_shuffle(),
        add in select(vec![AddPorts::All, AddPorts::Active]),
    ) {
        survives(&machine(inventory, plugin_data, &properties), &options(hooks, add, KeepPorts::All))?;
    }
}
