//! `GET /v1/nodes/{id}/boot-trace`: attempts, newest first, each with its verdict and what was seen.

use boot_trace::{Asking, BootEventKind, Hears, Told};
use model::{BootIntent, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site, options};

fn time(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

async fn site() -> Site {
    let mut wishes = options();
    wishes.hears = Hears { dhcp: true, files: true };
    Site::with(wishes, |_| std::sync::Arc::new(api::NoAuth)).await
}

fn discover() -> BootEventKind {
    BootEventKind::Discover(Asking {
        client: "x64 UEFI (7)".to_owned(),
        firmware: true,
        ipxe: false,
        architecture: Some(7),
        loader: None,
        user_class: None,
        relay: Some("192.0.2.1".parse().unwrap()),
        machine_id: None,
    })
}

#[tokio::test]
async fn attempts_have_a_verdict_and_events() {
    let site = site().await;
    let node = site.node_in(ProvisionState::DeployFailed).await;
    let path = format!("/v1/nodes/{}/boot-trace", node.uuid);
    let empty = site.get(&path).await;
    assert_eq!((empty.code(), empty.json()), (200, json!({"node_uuid": node.uuid, "attempts": []})));

    let mac = "52:54:00:00:00:01".parse().unwrap();
    let power_on = |intent| Told::machine(BootEventKind::PowerOn { intent });
    site.db.see_boot(Some(node.uuid), time(1), power_on(BootIntent::Disk));
    site.db.see_boot(Some(node.uuid), time(10), power_on(BootIntent::Ramdisk));
    for second in 11..14 {
        site.db.see_boot(Some(node.uuid), time(second), Told { mac: Some(mac), kind: discover() });
    }
    let trace = site.get(&path).await.json();
    let attempts = trace["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    let newest = &attempts[0];
    assert_eq!((&newest["code"], &newest["stage"]), (&json!("E0504"), &json!("asked")));
    assert_eq!(newest["documentation"], "docs/errors/E0504.md");
    assert_eq!(newest["under_way"], false);
    assert!(newest["summary"].as_str().unwrap().contains("got no answer"), "{newest}");
    assert!(!newest["next_step"].as_str().unwrap().is_empty());
    let event = &newest["events"][1];
    assert_eq!(
        (&event["event"], &event["count"], &event["mac"], &event["architecture"], &event["relay"]),
        (&json!("discover"), &json!(3), &json!("52:54:00:00:00:01"), &json!(7), &json!("192.0.2.1"))
    );
    assert_eq!(event["at"], "1970-01-01T00:00:11.000000+00:00");
    assert_eq!(event["last_at"], "1970-01-01T00:00:13.000000+00:00");
    assert_eq!(attempts[1]["code"], Value::Null, "its disk it boots as it likes");
}

#[tokio::test]
async fn an_attempt_under_way_is_no_failure() {
    let site = site().await;
    let node = site
        .node(|node| {
            node.provision_state = ProvisionState::DeployWait;
            node.boot_intent = BootIntent::Ramdisk;
        })
        .await;
    let told = Told::machine(BootEventKind::PowerOn { intent: BootIntent::Ramdisk });
    site.db.see_boot(Some(node.uuid), time(1), told);
    let trace = site.get(&format!("/v1/nodes/{}/boot-trace", node.uuid)).await.json();
    let attempt = &trace["attempts"][0];
    assert_eq!((&attempt["under_way"], &attempt["code"]), (&json!(true), &Value::Null));
    assert!(attempt["summary"].as_str().unwrap().starts_with("So far: "), "{attempt}");
}

#[tokio::test]
async fn heartbeats_that_no_conductor_sees_are_kept() {
    let site = site().await;
    let node = site.node_in(ProvisionState::DeployWait).await;
    let path = format!("/v1/heartbeat/{}", node.uuid);
    let whole = json!({"callback_url": "https://10.0.0.9:9999", "agent_token": "x", "agent_verify_ca": "y"});
    assert!(site.call("POST", &path, 50, whole).await.code() >= 400);
    assert_eq!(site.call("POST", &path, NEWEST, json!({"callback_url": 5})).await.code(), 400);
    assert_eq!(site.call("POST", &path, NEWEST, json!({"callback_url": "ftp://x"})).await.code(), 400);
    let trace = site.get(&format!("/v1/nodes/{}/boot-trace", node.uuid)).await.json();
    let reasons: Vec<&Value> =
        trace["attempts"][0]["events"].as_array().unwrap().iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, [&json!("version"), &json!("malformed"), &json!("malformed")]);
}

#[tokio::test]
async fn a_node_that_is_not_there_has_none() {
    let site = site().await;
    assert_eq!(site.get("/v1/nodes/nobody/boot-trace").await.code(), 404);
    let node = site.node(|_| ()).await;
    assert_eq!(site.get(&format!("/v1/nodes/{}/boot-trace?limit=1", node.uuid)).await.code(), 400);
}
