//! Hooks about disks, PCI devices and extra hardware, over what ramdisks send.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::collections::BTreeSet;

use inspection::hooks::{Accelerator, Hook, HookError, Machine, Options, PciDevice, run};
use model::{Node, Timestamp};
use serde_json::{Value, json};

const GIB: u64 = 1 << 30;

fn machine(inventory: &Value, plugin_data: &Value) -> Machine {
    let now = Timestamp::from_micros(1);
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

fn only(hook: Hook) -> Options {
    Options { hooks: vec![hook], ..Options::default() }
}

fn disks() -> Value {
    json!({"disks": [
        {"name": "/dev/sda", "size": 500 * GIB + 7, "serial": "A", "rotational": true, "model": "Slow"},
        {"name": "/dev/sdb", "size": 100 * GIB, "serial": "B", "rotational": false, "model": "Fast"},
        {"name": "/dev/sdc", "size": GIB / 2, "serial": null, "rotational": false},
    ]})
}

fn property(machine: &Machine, name: &str) -> Value {
    machine.node.properties.get(name).unwrap_or_default()
}

#[test]
fn the_root_disk_of_hints() {
    let found = |hints: Value, skip: Value, options: &Options| {
        let mut machine = machine(&disks(), &json!({"root_disk": {"name": "/dev/sdb", "size": 100 * GIB}}));
        if !hints.is_null() {
            machine.node.properties.set("root_device", hints);
        }
        machine.node.properties.set("skip_block_devices", skip);
        run(options, &mut machine).map(|()| {
            assert_eq!(property(&machine, "local_gb"), machine.plugin_data["local_gb"]);
            let name = machine.plugin_data["root_disk"]["name"].as_str().unwrap().to_owned();
            (name, property(&machine, "local_gb"))
        })
    };
    let options = only(Hook::RootDevice);
    let disk = |name: &str, gib: u64| Ok((name.to_owned(), json!(gib)));
    assert_eq!(found(Value::Null, Value::Null, &options), disk("/dev/sdb", 99), "the ramdisk's choice");
    assert_eq!(found(json!({"rotational": true}), Value::Null, &options), disk("/dev/sda", 499));
    assert_eq!(found(json!({"size": ">= 100"}), json!([{"serial": "A"}]), &options), disk("/dev/sdb", 99));
    assert_eq!(found(json!({"name": "/dev/sdc"}), Value::Null, &options), disk("/dev/sdc", 0), "too small");
    let whole = Options { disk_spacing: false, ..options.clone() };
    assert_eq!(found(json!({"serial": "a"}), Value::Null, &whole), disk("/dev/sda", 500));
    for (hints, skip, word) in [
        (json!({"serial": "Z"}), Value::Null, "\"Z\""),
        (json!({"serial": "A"}), json!([{"serial": "A"}]), "\"A\""),
        (json!({"colour": "red"}), Value::Null, "colour"),
        (json!("sda"), Value::Null, "object"),
        (json!({"serial": "A"}), json!([{"size": "big"}]), "skip_block_devices"),
    ] {
        let error = found(hints, skip, &options).unwrap_err();
        assert!(matches!(&error, HookError::RootDevice(text) if text.contains(word)), "{error}");
    }
}

#[test]
fn a_machine_without_a_disk() {
    let mut machine = machine(&json!({"disks": []}), &json!({}));
    run(&only(Hook::RootDevice), &mut machine).unwrap();
    assert_eq!(property(&machine, "local_gb"), json!(0));
    assert!(!machine.plugin_data.contains_key("root_disk"));
    machine.node.properties.set("root_device", json!({"size": 1}));
    assert!(run(&only(Hook::RootDevice), &mut machine).is_err());
}

#[test]
fn the_volume_that_was_not_there_before() {
    let learned = |previous: Option<Value>, known: Value| {
        let mut machine = machine(&disks(), &json!({}));
        machine.previous = previous.map(|value| value.as_object().unwrap().clone());
        if !known.is_null() {
            machine.node.properties.set("root_device", known);
        }
        run(&only(Hook::RaidDevice), &mut machine).unwrap();
        property(&machine, "root_device")
    };
    let before = |serials: &[&str]| {
        let disks: Vec<Value> = serials.iter().map(|serial| json!({ "serial": serial })).collect();
        Some(json!({ "disks": disks }))
    };
    assert_eq!(learned(before(&["A"]), Value::Null), json!({"serial": "B"}));
    assert_eq!(learned(None, Value::Null), Value::Null, "the first inspection compares with nothing");
    assert_eq!(learned(before(&["A", "B"]), Value::Null), Value::Null, "nothing is new");
    assert_eq!(learned(before(&["X"]), Value::Null), Value::Null, "two are new");
    assert_eq!(learned(before(&["A"]), json!({"wwn": "1"})), json!({"wwn": "1"}), "what is set stays");
}

#[test]
fn accelerators_by_what_is_configured() {
    let devices = json!([
        {"vendor_id": "10de", "product_id": "1eb8", "class": "030200", "revision": "a1", "bus": "0000:3b:00.0"},
        {"vendor_id": "1234", "product_id": "5678", "bus": "0000:3c:00.0"},
        {"vendor_id": "8086", "product_id": "1583", "bus": "0000:3d:00.0"},
        "bogus",
    ]);
    let listed = |options: &Options, inventory: Value, plugin_data: Value| {
        let mut machine = machine(&inventory, &plugin_data);
        machine.node.properties.set("accelerators", json!("as it was"));
        run(options, &mut machine).unwrap();
        property(&machine, "accelerators")
    };
    let options = only(Hook::Accelerators);
    let gpu = json!([{
        "vendor_id": "10de", "device_id": "1eb8", "type": "GPU",
        "device_info": "NVIDIA Corporation Tesla T4", "pci_address": "0000:3b:00.0",
    }]);
    assert_eq!(listed(&options, json!({}), json!({"pci_devices": devices})), gpu);
    assert_eq!(listed(&options, json!({"pci_devices": devices}), json!({"pci_devices": []})), gpu);
    assert_eq!(listed(&options, json!({}), json!({"pci_devices": [devices[2]]})), json!([]));
    assert_eq!(listed(&options, json!({}), json!({})), json!("as it was"));
    let board = Accelerator {
        device: PciDevice::new("1234", "5678"),
        kind: "FPGA".to_owned(),
        info: "Board".to_owned(),
    };
    let own = Options { accelerators: vec![board], ..options };
    let found = listed(&own, json!({}), json!({"pci_devices": devices}));
    assert_eq!((found.as_array().unwrap().len(), &found[0]["device_info"]), (1, &json!("Board")));
}

#[test]
fn extra_hardware_becomes_an_object() {
    let made = |strict: bool, data: Value| {
        let mut machine = machine(&json!({}), &json!({"data": data}));
        let options = Options { strict_extra_hardware: strict, ..only(Hook::ExtraHardware) };
        run(&options, &mut machine).unwrap();
        (machine.plugin_data.get("extra").cloned(), machine.plugin_data.get("data").cloned())
    };
    let rows = json!([
        ["disk", "logical", "count", "1"],
        ["disk", "sda", "size", "500"],
        ["cpu", "physical_0", "vendor", "Intel"],
        ["system", "kernel", "version", "6.1"],
    ]);
    let object = json!({
        "disk": {"logical": {"count": 1}, "sda": {"size": 500}},
        "cpu": {"physical_0": {"vendor": "Intel"}},
        "system": {"kernel": {"version": "6.1"}},
    });
    assert_eq!(made(false, rows.clone()), (Some(object.clone()), None));
    assert_eq!(made(true, rows.clone()), (Some(object.clone()), None));
    let mut short = rows;
    short.as_array_mut().unwrap().extend([json!(["disk", "x"]), json!([]), json!([null, 1, [], {}])]);
    assert_eq!(made(false, short.clone()), (Some(object), None), "short rows are left out");
    assert_eq!(made(true, short), (None, None));
    assert_eq!(made(false, json!("text")), (None, Some(json!("text"))));
    assert_eq!(made(true, json!("text")), (None, None));
}
