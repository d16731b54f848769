//! Machines that do not arrive: what `last_error` says of each, through the conductor's own endpoints for agents.

use std::time::Duration;

use boot_trace::{BootEventKind, Fetch, FileRole, Hears, ScriptTarget, Told};
use conductor_api::{Conductors, Heartbeat, Lookup, RequestError};
use model::{Node, Port, ProvisionState as S, Secret, Timestamp};
use provision::Verb;

use crate::rig::{Knobs, Rig};

const OURS: &str = "52:54:00:00:00:01";

/// A node that waits for its agent, not for long.
async fn waiting() -> Rig {
    let hears = Hears { dhcp: true, files: true };
    let callback = Duration::from_millis(1500);
    let rig = Rig::start(Knobs { silent_agent: true, callback, hears, ..Knobs::default() }).await;
    rig.set_state(S::Available).await;
    rig.request(Verb::Active).await.unwrap();
    rig.until(S::DeployWait).await;
    rig
}

async fn fails_with(rig: Rig, code: &str, words: &str) {
    let error = rig.until(S::DeployFailed).await.last_error.unwrap();
    let words = [code, "did not call within 1 s of power on", words];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    assert!(rig.history().await.iter().any(|line| line.contains(code)));
    rig.stop().await;
}

async fn look_up(rig: &Rig, addresses: &[&str]) -> Result<String, RequestError> {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let lookup = Lookup { addresses, node_uuid: None, wants_token: true };
    Ok(rig.conductor().lookup(lookup).await?.config.get_str("agent_token").unwrap())
}

fn beat(token: &str, url: &str) -> Heartbeat {
    Heartbeat {
        callback_url: url.to_owned(),
        agent_version: Some("1".to_owned()),
        agent_token: Some(Secret::new(token.to_owned())),
        agent_verify_ca: None,
        agent_status: None,
        agent_status_message: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_was_heard() {
    fails_with(waiting().await, "E0501", "Check that it has power").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_boot_servers_saw_how_far_it_came() {
    let rig = waiting().await;
    let fetched = |path: &str, role| {
        let path = path.to_owned();
        BootEventKind::HttpGet(Fetch { path, role, status: 200, from: None, bytes: 9, of: 9, millis: 1 })
    };
    for kind in [
        BootEventKind::Script { target: ScriptTarget::Ramdisk },
        fetched("/files/vmlinuz", FileRole::Kernel),
        fetched("/files/initramfs", FileRole::Ramdisk),
    ] {
        let told = Told { mac: Some(OURS.parse().unwrap()), kind };
        rig.db().see_boot(Some(rig.uuid), Timestamp::now(), told);
    }
    fails_with(rig, "E0514", "kernel and ramdisk were fetched").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_by_the_ports_of_two_nodes() {
    let rig = waiting().await;
    let other = rig.db().create_node(Node::new("test", Timestamp::now())).await.unwrap();
    let port = Port::new(other.uuid, "52:54:00:00:00:02".parse().unwrap(), Timestamp::now());
    rig.db().create_port(port).await.unwrap();
    assert!(look_up(&rig, &[OURS, "52:54:00:00:00:02"]).await.is_err());
    fails_with(rig, "E0515", "ports of several nodes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_by_a_card_that_is_not_enrolled() {
    let rig = waiting().await;
    assert!(look_up(&rig, &["52:54:00:00:00:03"]).await.is_err());
    fails_with(rig, "E0515", "none of the addresses").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_heartbeat_follows_the_lookup() {
    let rig = waiting().await;
    look_up(&rig, &[OURS]).await.unwrap();
    fails_with(rig, "E0516", "never called back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_with_another_token() {
    let rig = waiting().await;
    look_up(&rig, &[OURS]).await.unwrap();
    let refused = rig.conductor().heartbeat(rig.uuid, beat("wrong", "https://10.0.0.9:9999")).await;
    assert!(matches!(refused, Err(RequestError::BadToken(_))));
    fails_with(rig, "E0517", "token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_without_tls() {
    let rig = waiting().await;
    let token = look_up(&rig, &[OURS]).await.unwrap();
    let refused = rig.conductor().heartbeat(rig.uuid, beat(&token, "http://10.0.0.9:9999")).await;
    assert!(matches!(refused, Err(RequestError::Invalid(_))));
    fails_with(rig, "E0517", "require_agent_tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_works_leaves_its_trace() {
    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Available).await;
    rig.ask(Verb::Active, S::Active).await;
    let entries = rig.db().boot_trace(rig.uuid).await.unwrap();
    let attempts = boot_trace::attempts(&entries);
    let intents: Vec<_> =
        attempts.iter().map(|attempt| attempt.intent.map(model::BootIntent::as_str)).collect();
    assert_eq!(intents, [Some("ramdisk"), Some("disk")]);
    let judged = boot_trace::judge(&attempts[0], Hears::default());
    assert!(judged.diagnosis.is_none() && judged.summary.starts_with("The agent called"), "{judged:?}");
    rig.stop().await;
}
