//! Every verb as a client sees it: on hardware that only pretends, and those that need an agent on simulated machines.

use reqwest::Method;
use serde_json::{Value, json};
use sim::OperationKind;

use crate::api::Api;
use crate::image_server::ImageServer;
use crate::machine::{deploy, ends, manageable, runs_image};
use crate::site::{Settings, Site};

const FAKE: Settings = Settings {
    auth: "noauth",
    conductor: "enabled_hardware_types = [\"fake-hardware\"]",
    deploy: "image_reach = \"anywhere\"",
    database: None,
};

/// A node of fake hardware that can be inspected and rescued.
async fn fake_node(api: &Api) -> String {
    let node = json!({
        "name": "pretender", "driver": "fake-hardware",
        "inspect_interface": "fake", "rescue_interface": "fake",
    });
    let node = api.ok(Method::POST, "/v1/nodes", Some(&node)).await;
    node["uuid"].as_str().unwrap().to_owned()
}

/// Asks, and waits until the node rests in `end`.
async fn goes(api: &Api, node: &str, request: &Value, end: &str) -> Value {
    let answer = api.ask(node, request).await;
    assert_eq!(answer.status, 202, "{request}: {}", answer.body);
    api.reaches(node, end).await
}

/// Asks in vain, and gives what is said.
async fn refused(api: &Api, node: &str, request: &Value, status: u16) -> String {
    let answer = api.ask(node, request).await;
    assert_eq!(answer.status, status, "{request}: {}", answer.body);
    answer.fault()
}

fn verb(target: &str) -> Value {
    json!({ "target": target })
}

fn steps(target: &str, steps: &[(&str, &str)]) -> Value {
    let list: Vec<Value> =
        steps.iter().map(|(interface, step)| json!({"interface": interface, "step": step})).collect();
    json!({ "target": target, format!("{target}_steps"): list })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_enroll_to_manageable_and_back() {
    let site = Site::start(&FAKE).await;
    let api = site.api();
    let node = fake_node(&api).await;
    let text = refused(&api, &node, &verb("active"), 400).await;
    assert!(text.contains("enroll") && text.contains("available, deploy failed"), "{text}");
    goes(&api, &node, &verb("manage"), "manageable").await;
    let found = goes(&api, &node, &verb("inspect"), "manageable").await;
    assert!(found["inspection_finished_at"].is_string(), "{found}");

    // Manual cleaning, with a hold.
    let held = steps("clean", &[("power", "power_on"), ("power", "hold"), ("power", "power_off")]);
    assert_eq!(api.ask(&node, &held).await.status, 202);
    let found = api.rests(&node).await;
    assert_eq!(
        (&found["provision_state"], &found["power_state"]),
        (&json!("clean hold"), &json!("power on"))
    );
    assert_eq!(found["clean_step"]["step"], "hold");
    assert_eq!(found["target_provision_state"], "manageable");
    let found = goes(&api, &node, &verb("unhold"), "manageable").await;
    assert_eq!((&found["power_state"], &found["clean_step"]), (&json!("power off"), &json!({})));
    assert_eq!(api.ask(&node, &held).await.status, 202);
    api.rests(&node).await;
    assert_eq!(api.ask(&node, &verb("abort")).await.status, 202);
    let (_, error) = api.fails(&node, "clean failed").await;
    assert!(error.contains("E0401"), "{error}");
    goes(&api, &node, &verb("manage"), "manageable").await;
    let text = refused(&api, &node, &steps("clean", &[("raid", "no_such_step")]), 400).await;
    assert!(text.contains("E0403") && text.contains("raid.no_such_step"), "{text}");
    api.set(&node, &[("/maintenance", json!(true))]).await;
    let text = refused(&api, &node, &held, 400).await;
    assert!(text.contains("maintenance"), "{text}");
    api.set(&node, &[("/maintenance", json!(false))]).await;
    by_runbook(&api, &node).await;
    goes(&api, &node, &verb("provide"), "available").await;
    goes(&api, &node, &verb("manage"), "manageable").await;
    goes(&api, &node, &verb("adopt"), "active").await;
}

/// A runbook in place of steps, for nodes that have its trait.
async fn by_runbook(api: &Api, node: &str) {
    let runbook = json!({
        "name": "CUSTOM_WAKE",
        "steps": [
            {"interface": "power", "step": "hold", "args": {}, "order": 2},
            {"interface": "power", "step": "power_on", "args": {}, "order": 1},
        ],
    });
    api.ok(Method::POST, "/v1/runbooks", Some(&runbook)).await;
    let request = json!({"target": "clean", "runbook": "CUSTOM_WAKE"});
    let text = refused(api, node, &request, 400).await;
    assert!(text.contains("none of its traits"), "{text}");
    api.ok(Method::PUT, &format!("/v1/nodes/{node}/traits/CUSTOM_WAKE"), None).await;
    let both = json!({"target": "clean", "runbook": "CUSTOM_WAKE", "clean_steps": []});
    refused(api, node, &both, 400).await;
    refused(api, node, &json!({"target": "clean", "runbook": "CUSTOM_NONE"}), 404).await;
    assert_eq!(api.ask(node, &request).await.status, 202);
    let found = api.rests(node).await;
    assert_eq!(
        (&found["provision_state"], &found["power_state"]),
        (&json!("clean hold"), &json!("power on"))
    );
    goes(api, node, &verb("unhold"), "manageable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_available_to_active_and_back() {
    let site = Site::start(&FAKE).await;
    let api = site.api();
    let node = fake_node(&api).await;
    goes(&api, &node, &verb("manage"), "manageable").await;
    goes(&api, &node, &verb("provide"), "available").await;
    let hold = json!({"interface": "power", "step": "hold", "args": {}, "priority": 50});
    let answer = api.ask(&node, &json!({"target": "active", "deploy_steps": [hold]})).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(api.rests(&node).await["provision_state"], "deploy hold");
    let off = json!({"target": "power off"});
    api.ok(Method::PUT, &format!("/v1/nodes/{node}/states/power"), Some(&off)).await;
    while !api.node(&node).await["target_power_state"].is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let found = api.rests(&node).await;
    assert_eq!(
        (&found["provision_state"], &found["power_state"]),
        (&json!("deploy hold"), &json!("power off"))
    );
    goes(&api, &node, &verb("unhold"), "active").await;

    let password = json!({"target": "rescue", "rescue_password": "open sesame"});
    let found = goes(&api, &node, &password, "rescue").await;
    assert_eq!(found["instance_info"], json!({}));
    goes(&api, &node, &verb("unrescue"), "active").await;
    goes(&api, &node, &steps("service", &[("power", "reboot")]), "active").await;
    assert_eq!(api.ask(&node, &steps("service", &[("power", "hold")])).await.status, 202);
    let found = api.rests(&node).await;
    assert_eq!(
        (&found["provision_state"], &found["service_step"]["step"]),
        (&json!("service hold"), &json!("hold"))
    );
    assert_eq!(api.ask(&node, &verb("abort")).await.status, 202);
    let (found, error) = api.fails(&node, "service failed").await;
    assert!(error.contains("E0401") && found["maintenance"] == false, "{found}");
    goes(&api, &node, &verb("abort"), "active").await;

    goes(&api, &node, &verb("rebuild"), "active").await;
    api.set(&node, &[("/protected", json!(true))]).await;
    for target in ["rebuild", "deleted", "undeploy"] {
        let text = refused(&api, &node, &verb(target), 403).await;
        assert!(text.contains("protected"), "{text}");
    }
    api.set(&node, &[("/protected", json!(false))]).await;
    goes(&api, &node, &verb("deleted"), "available").await;
    goes(&api, &node, &verb("deploy"), "active").await;
    api.set(&node, &[("/retired", json!(true))]).await;
    goes(&api, &node, &verb("undeploy"), "manageable").await;
    let text = refused(&api, &node, &verb("provide"), 400).await;
    assert!(text.contains("retired"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_agents() {
    let site = Site::start(&Settings::default()).await;
    let api = site.api();
    let images = ImageServer::start().await;
    let fleet = site.fleet(1, 7).await;
    let machine = fleet.machine(0).unwrap();
    let node = manageable(&api, machine).await;
    api.set(&node, &[("/rescue_interface", json!("agent"))]).await;

    let erase = [("deploy", "erase_devices_metadata"), ("power", "hold"), ("power", "reboot")];
    assert_eq!(api.ask(&node, &steps("clean", &erase)).await.status, 202);
    let found = api.rests(&node).await;
    assert_eq!(found["provision_state"], "clean hold", "{}", found["last_error"]);
    assert_eq!(ends(machine, OperationKind::EraseMetadata).len(), 1);
    goes(&api, &node, &verb("unhold"), "manageable").await;
    assert!(!machine.state().powered);

    assert_eq!(api.ask(&node, &steps("clean", &[("raid", "no_such_step")])).await.status, 202);
    let (found, error) = api.fails(&node, "clean failed").await;
    assert!(error.contains("E0403") && error.contains("deploy.erase_devices_metadata"), "{error}");
    assert_eq!(found["maintenance"], false, "no step had begun");
    goes(&api, &node, &verb("manage"), "manageable").await;

    goes(&api, &node, &verb("provide"), "available").await;
    deploy(&api, &node, &images, "good.raw").await;
    api.reaches(&node, "active").await;
    runs_image(machine, "good.raw").await;

    let service = steps("service", &[("power", "wait"), ("deploy", "burnin_cpu")]);
    goes(&api, &node, &service, "active").await;
    runs_image(machine, "good.raw").await;
    let found = goes(&api, &node, &json!({"target": "rescue", "rescue_password": "pw"}), "rescue").await;
    assert_eq!(found["power_state"], "power on");
    assert_eq!(found["instance_info"]["hashed_rescue_password"], Value::Null);
    assert_eq!(format!("{:?}", machine.state().phase), "Agent");
    goes(&api, &node, &verb("unrescue"), "active").await;
    runs_image(machine, "good.raw").await;
    assert_eq!(ends(machine, OperationKind::WriteImage).len(), 1, "written once in all this");
    fleet.stop().await;
}
