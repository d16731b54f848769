//! One request of every kind, with arguments that a careless form would lose.

use std::time::Duration;

use cluster::wire::Request as R;
use conductor_api::{AgentProgress, Heartbeat, InspectionReport, Lookup, ProvisionArgs, VendorCall};
use model::{
    AllocationUuid, BootDevice, BootMode, IndicatorName, IndicatorState, JsonObject, MacAddr, MediaDevice,
    MediaImage, MediaSource, NodeInventory, NodeUuid, PowerTarget, Secret,
};
use provision::{Asker, Verb};
use serde_json::{Value, json};

/// The driver of the node.
pub(crate) const DRIVER: &str = "fake-hardware";

/// Every request, about `node`.
pub(crate) fn every(node: NodeUuid) -> Vec<R> {
    let mut all = of_nodes(node);
    all.extend(of_agents(node));
    all.extend(of_hardware(node));
    all
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn object(text: &str) -> JsonObject {
    JsonObject::parse(text).unwrap()
}

fn of_nodes(node: NodeUuid) -> Vec<R> {
    let args = ProvisionArgs {
        configdrive: Some(Value::Null),
        clean_steps: Some(vec![json!({"step": "erase_devices", "args": {"passes": 2}})]),
        deploy_steps: None,
        service_steps: Some(Vec::new()),
        rescue_password: Some(secret("r3scue \"me\"")),
        disable_ramdisk: true,
        user: Some("alice".to_owned()),
        project: None,
    };
    let asker = Asker { user: Some("alice".to_owned()), project: None };
    vec![
        R::Provision { node, verb: Verb::Service, args },
        R::SetPower { node, target: PowerTarget::SoftReboot, timeout: Some(Duration::new(7, 1)), asker },
        R::Validate { node },
        R::BootDevice { node },
        R::SetBootDevice { node, device: BootDevice::Cdrom, persistent: true },
        R::SupportedBootDevices { node },
        R::SetBootMode { node, mode: BootMode::Uefi },
        R::SetSecureBoot { node, on: true },
        R::InjectNmi { node },
        R::Vifs { node },
        R::AttachVif { node, vif: json!({"id": "a", "nested": [null]}) },
        R::DetachVif { node, vif: "a/b".to_owned() },
    ]
}

fn of_agents(node: NodeUuid) -> Vec<R> {
    let address = MacAddr::new([0x52, 0x54, 0, 1, 2, 0xff]);
    let heartbeat = Heartbeat {
        callback_url: "https://10.0.0.7:9999".to_owned(),
        agent_version: None,
        agent_token: Some(secret("t0ken")),
        agent_verify_ca: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
        agent_status: None,
        agent_status_message: Some(String::new()),
    };
    let report = InspectionReport {
        node_uuid: None,
        addresses: vec![address],
        bmc_addresses: vec!["10.0.0.8".to_owned()],
        data: NodeInventory {
            inventory: object("{\"z\": {\"b\": 1, \"a\": 1.50}}"),
            plugin_data: object("{ }"),
        },
        wants_token: true,
    };
    let progress = AgentProgress {
        command: "write_image".to_owned(),
        phase: "writing".to_owned(),
        bytes_done: u64::MAX,
        bytes_total: None,
    };
    vec![
        R::Lookup { lookup: Lookup { addresses: vec![address], node_uuid: Some(node), wants_token: true } },
        R::Inspected { report },
        R::Heartbeat { node, heartbeat },
        R::Allocate { allocation: AllocationUuid::random() },
        R::AgentProgress { node, token: secret("t0ken"), progress },
        R::Progress { node },
    ]
}

fn of_hardware(node: NodeUuid) -> Vec<R> {
    let call = || VendorCall {
        method: "blink".to_owned(),
        http_method: "POST".to_owned(),
        args: object("{\"password\" : \"hush\", \"a\": 1}"),
    };
    let name = || IndicatorName { component: "nic".to_owned(), name: "led".to_owned() };
    let image = MediaImage {
        device: MediaDevice::Cdrom,
        url: "https://user:hush@images.example/i.iso".to_owned(),
        source: MediaSource::Http,
    };
    vec![
        R::SetTargetRaid { node, wanted: object("{\"logical_disks\": [ ]}") },
        R::RaidProperties { driver: DRIVER.to_owned() },
        R::VendorMethods { node },
        R::VendorCall { node, call: call() },
        R::DriverMethods { driver: DRIVER.to_owned() },
        R::DriverCall { driver: DRIVER.to_owned(), call: call() },
        R::Indicators { node },
        R::Indicator { node, name: name() },
        R::SetIndicator { node, name: name(), state: IndicatorState::Unknown },
        R::Media { node },
        R::AttachMedia { node, image },
        R::DetachMedia { node, devices: MediaDevice::ALL.to_vec() },
        R::Console { node },
        R::SetConsole { node, on: false },
    ]
}
