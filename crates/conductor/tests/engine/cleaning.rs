//! Automated cleaning by a runbook of the store.

use conductor::{AutomatedCleaning, CleaningSteps};
use conductor_api::{ProvisionArgs, RequestError};
use model::{JsonObject, Node, PlannedStep, ProvisionState as S, Runbook, Timestamp};
use provision::Verb;
use serde_json::json;

use crate::rig::{Knobs, Rig};

fn by_runbook(name: Option<&str>) -> Knobs {
    let cleaning = AutomatedCleaning {
        steps: CleaningSteps::Runbook,
        runbook: name.map(str::to_owned),
        from_node: true,
        ..AutomatedCleaning::default()
    };
    Knobs { cleaning, ..Knobs::default() }
}

async fn store(rig: &Rig, name: &str, traits: &[&str]) -> Runbook {
    let mut runbook = Runbook::new(name, Timestamp::now());
    runbook.traits = traits.iter().map(|name| name.parse().unwrap()).collect();
    let step = |word: &str, priority| PlannedStep {
        interface: "vendor".to_owned(),
        step: "note".to_owned(),
        args: JsonObject::parse(&json!({ "word": word }).to_string()).unwrap(),
        priority,
    };
    runbook.steps = vec![step(&format!("{name} 2"), 2), step(&format!("{name} 1"), 1)];
    rig.db().create_runbook(runbook).await.unwrap()
}

fn words(rig: &Rig) -> Vec<String> {
    rig.machine().notes.iter().map(|(_, word)| word.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runbook_of_the_store_cleans_on_provide_and_after_a_tear_down() {
    let rig = Rig::start(by_runbook(Some("wipe"))).await;
    store(&rig, "wipe", &["CUSTOM_WIPED"]).await;
    rig.set_state(S::Manageable).await;
    let refused = rig.request(Verb::Provide).await.unwrap_err();
    assert!(matches!(&refused, RequestError::Invalid(text) if text.contains("E0407")), "{refused}");
    assert_eq!(rig.node().await.provision_state, S::Manageable);

    let before = rig.node().await;
    let after = Node { traits: vec!["CUSTOM_WIPED".parse().unwrap()], ..before.clone() };
    rig.db().update_node(&before, after).await.unwrap();
    rig.ask(Verb::Provide, S::Available).await;
    assert_eq!(words(&rig), ["wipe 1", "wipe 2"]);
    assert_eq!(rig.machine().erasures, 0, "what the agent offers is not in the runbook");

    // The node's own comes first: after its user, it is cleaned by that one.
    let own = store(&rig, "own", &["CUSTOM_WIPED"]).await;
    let before = rig.node().await;
    let mut after = before.clone();
    after.driver_info.set("cleaning_runbook", own.uuid.to_string().into());
    rig.db().update_node(&before, after).await.unwrap();
    rig.set_state(S::Active).await;
    rig.ask(Verb::Deleted, S::Available).await;
    assert_eq!(words(&rig), ["wipe 1", "wipe 2", "own 1", "own 2"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_runbook_a_node_that_comes_back_is_in_clean_failed() {
    let rig = Rig::start(by_runbook(Some("gone"))).await;
    rig.set_state(S::Active).await;
    rig.request(Verb::Deleted).await.unwrap();
    let node = rig.until(S::CleanFailed).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("E0407") && error.contains("gone"), "{error}");
    assert!(node.instance_info.is_empty() && node.lease.is_none());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_cleans_nodes_without_a_runbook_as_drivers_say() {
    let mut knobs = by_runbook(None);
    knobs.cleaning.steps = CleaningSteps::Hybrid;
    let rig = Rig::start(knobs).await;
    rig.set_state(S::Manageable).await;
    rig.ask(Verb::Provide, S::Available).await;
    assert_eq!(rig.machine().erasures, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_the_operator_disallows_are_refused_before_anything_begins() {
    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Manageable).await;
    let raw = json!({"interface": "vendor", "step": "send_raw", "args": {"raw_bytes": "0x06 0x01"}});
    let args = ProvisionArgs { clean_steps: Some(vec![raw]), ..ProvisionArgs::default() };
    let refused = rig.request_with(Verb::Clean, args).await.unwrap_err();
    let RequestError::Invalid(text) = refused else { panic!("{refused:?}") };
    assert!(text.contains("vendor.send_raw") && text.contains("disallow_clean_steps"), "{text}");
    let node = rig.until(S::Manageable).await;
    assert_eq!((node.lease, node.last_error), (None, None));
    rig.stop().await;
}
