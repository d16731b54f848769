//! A simulated machine as a test sees it: enrolled in a site, taken through phases, and asked what was done to it.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use sim::{Machine, OperationKind, Outcome, Phase};

use crate::LONG;
use crate::api::Api;
use crate::image_server::ImageServer;

/// Makes the node and its port.
pub(crate) async fn enroll(api: &Api, machine: &Machine) -> String {
    let node = json!({
        "uuid": machine.uuid(),
        "name": machine.name(),
        "driver": "ipmi",
        "driver_info": driver_info(machine),
    });
    let node = api.ok(Method::POST, "/v1/nodes", Some(&node)).await;
    assert_eq!(node["provision_state"], "enroll");
    let uuid = node["uuid"].as_str().unwrap().to_owned();
    let port = json!({"node_uuid": uuid, "address": machine.mac()});
    api.ok(Method::POST, "/v1/ports", Some(&port)).await;
    uuid
}

/// How the machine's BMC is reached.
pub(crate) fn driver_info(machine: &Machine) -> Value {
    let bmc = machine.bmc_address();
    let login = machine.credentials();
    json!({
        "ipmi_address": bmc.ip(), "ipmi_port": bmc.port(),
        "ipmi_username": login.username, "ipmi_password": login.password,
    })
}

/// Enrolled and verified.
pub(crate) async fn manageable(api: &Api, machine: &Machine) -> String {
    let node = enroll(api, machine).await;
    api.verb(&node, "manage").await;
    api.reaches(&node, "manageable").await;
    node
}

/// Enrolled, verified and cleaned.
pub(crate) async fn available(api: &Api, machine: &Machine) -> String {
    let node = manageable(api, machine).await;
    api.verb(&node, "provide").await;
    api.reaches(&node, "available").await;
    node
}

/// Asks for a deployment of the file `name` with a config drive.
pub(crate) async fn deploy(api: &Api, node: &str, images: &ImageServer, name: &str) {
    api.set(node, &images.instance(name)).await;
    let drive = json!({
        "meta_data": {"name": node}, "user_data": "#!/bin/sh\n", "network_data": {"links": []},
    });
    let answer = api.ask(node, &json!({"target": "active", "configdrive": drive})).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

/// How the operations of `kind` on the machine ended, in order.
pub(crate) fn ends(machine: &Machine, kind: OperationKind) -> Vec<Outcome> {
    let operations = machine.operations();
    operations.iter().filter(|operation| operation.kind == kind).map(|operation| operation.outcome).collect()
}

/// The machine runs the image from its disk, from now on.
pub(crate) async fn runs_image(machine: &Arc<Machine>, name: &str) {
    let state = machine.wait_for(LONG, |state| state.phase == Phase::OwnSystem).await;
    let state = state.unwrap_or_else(|| panic!("no system runs: {:?}", machine.state()));
    assert_eq!(state.image.as_deref(), Some(name));
    assert!(state.config_drive && state.boot_persistent, "{state:?}");
    assert_eq!(format!("{:?}", state.boot_device), "Disk");
}
