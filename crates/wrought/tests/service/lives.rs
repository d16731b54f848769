//! Whole lives, from enrolment to the release, as they should go.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Fleet, Machine, OperationKind, Outcome};
use std::sync::Arc;

use crate::api::Api;
use crate::image_server::ImageServer;
use crate::machine::{available, deploy, ends, enroll, runs_image};
use crate::site::{Settings, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_life_with_a_password() {
    let site = Site::start(&Settings { auth: "http_basic", ..Settings::default() }).await;
    let api = site.api();
    assert_eq!(site.password().map(str::len), Some(24), "{}", site.log());
    let images = ImageServer::start().await;
    let fleet = site.fleet(1, 1).await;
    let machine = fleet.machine(0).unwrap();
    strangers_are_refused(&api).await;

    let node = enroll(&api, machine).await;
    api.verb(&node, "manage").await;
    let found = api.reaches(&node, "manageable").await;
    assert_eq!((&found["power_state"], machine.state().powered), (&json!("power off"), false));
    assert_eq!(found["driver_info"]["ipmi_password"], "******");

    api.verb(&node, "provide").await;
    let found = api.reaches(&node, "available").await;
    assert_eq!(ends(machine, OperationKind::EraseMetadata), [Outcome::Done]);
    assert_eq!((&found["power_state"], machine.state().powered), (&json!("power off"), false));
    assert_eq!(found["driver_internal_info"]["agent_url"], Value::Null, "the agent is gone");

    deploy(&api, &node, &images, "good.raw").await;
    let found = api.reaches(&node, "active").await;
    assert_eq!((&found["power_state"], &found["target_provision_state"]), (&json!("power on"), &Value::Null));
    runs_image(machine, "good.raw").await;
    assert_eq!(ends(machine, OperationKind::WriteImage), [Outcome::Done]);
    assert_eq!(ends(machine, OperationKind::InstallBootloader), [Outcome::Done]);
    the_cache_has_the_image(&found, &images).await;
    history_tells_it_all(&api, &node).await;

    api.verb(&node, "deleted").await;
    let found = api.reaches(&node, "available").await;
    assert_eq!(found["instance_info"], json!({}));
    assert_eq!(ends(machine, OperationKind::EraseMetadata), [Outcome::Done; 2]);
    assert_eq!((machine.state().image, machine.state().powered), (None, false));

    api.ok(Method::DELETE, &format!("/v1/nodes/{node}"), None).await;
    assert_eq!(api.get("/v1/nodes").await["nodes"], json!([]));
    let log = site.log();
    let password = &machine.credentials().password;
    let words = log.split(|letter: char| !letter.is_alphanumeric());
    // The line that tells the administrator's password has the word itself.
    assert_eq!(words.filter(|word| word == password).count(), 1, "a BMC's password is in the log:\n{log}");
    fleet.stop().await;
}

async fn strangers_are_refused(api: &Api) {
    for login in [None, Some(("admin", "wrong")), Some(("root", "admin"))] {
        let answer = api.with_login(login).send(Method::GET, "/v1/nodes", None).await;
        assert_eq!(answer.status, 401, "{login:?}");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    assert_eq!(api.send(Method::GET, "/v1/nodes", None).await.status, 200);
}

/// What the agent was told to write is served to it, byte for byte.
async fn the_cache_has_the_image(node: &Value, images: &ImageServer) {
    let image = &node["driver_internal_info"]["image"];
    assert_eq!(image["os_hash_value"], images.sha256());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(image["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap() == images.image());
}

async fn history_tells_it_all(api: &Api, node: &str) {
    let history = api.get(&format!("/v1/nodes/{node}/history?detail=True")).await;
    let events: Vec<&str> =
        history["history"].as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    for wanted in [
        "verify started",
        "clean done",
        "step deploy.erase_devices_metadata started",
        "step deploy.write_image started",
        "deploy done",
    ] {
        assert!(events.contains(&wanted), "{wanted}: {events:#?}");
    }
    let severities = history["history"].as_array().unwrap().iter().map(|row| &row["severity"]);
    assert!(severities.into_iter().all(|severity| severity == "INFO"), "{events:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_lives_at_once() {
    let site = Site::start(&Settings::default()).await;
    let api = site.api();
    let images = ImageServer::start().await;
    let fleet: Fleet = site.fleet(20, 20).await;
    let live = async |machine: &Arc<Machine>| {
        let node = available(&api, machine).await;
        deploy(&api, &node, &images, "good.raw").await;
        api.reaches(&node, "active").await;
        runs_image(machine, "good.raw").await;
        api.verb(&node, "deleted").await;
        api.reaches(&node, "available").await;
    };
    join_all(fleet.machines().iter().map(live)).await;
    for machine in fleet.machines() {
        assert_eq!(ends(machine, OperationKind::WriteImage), [Outcome::Done], "{}", machine.name());
        assert_eq!(ends(machine, OperationKind::EraseMetadata), [Outcome::Done; 2], "{}", machine.name());
        assert_eq!((machine.state().boots, machine.state().powered), (4, false), "{}", machine.name());
    }
    assert_eq!(images.served(), 1, "twenty nodes with one image fetch it once");
    fleet.stop().await;
}
