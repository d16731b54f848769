//! The engine on a real store, with drivers of a machine that is not there: lives, restarts, agents, callers.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

#[path = "rig/machine.rs"]
mod rig;

#[path = "engine/cleaning.rs"]
mod cleaning;
#[path = "engine/consoles.rs"]
mod consoles;
#[path = "engine/equal_steps.rs"]
mod equal_steps;
#[path = "engine/overdue.rs"]
mod overdue;

#[path = "engine/several.rs"]
mod several;

#[path = "engine/room.rs"]
mod room;

#[path = "engine/power_sync.rs"]
mod power_sync;

use std::time::Duration;

use conductor_api::{Conductors, Heartbeat, Lookup, ProvisionArgs, RequestError};
use db::NodeKey;
use model::{MacAddr, PowerState, PowerTarget, ProvisionState as S, Secret};
use provision::{Asker, ErrorCode, Verb};
use rig::{Knobs, Rig};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life() {
    let rig = Rig::start(Knobs::default()).await;
    rig.ask(Verb::Manage, S::Manageable).await;
    rig.ask(Verb::Provide, S::Available).await;
    rig.ask(Verb::Active, S::Active).await;
    let node = rig.node().await;
    assert_eq!(node.power_state, Some(PowerState::On));
    assert_eq!(node.last_error, None);
    assert!(node.lease.is_none());
    rig.ask(Verb::Deleted, S::Available).await;
    assert_eq!(rig.machine().writes, 1);
    assert_eq!(rig.machine().erasures, 2);
    assert!(rig.node().await.instance_info.is_empty());
    let history = rig.history().await;
    assert!(history.iter().any(|line| line.contains("deploy done")), "{history:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_at_any_moment_ends_the_same() {
    // The process "dies" after so many actions: its conductor is dropped on the spot, a new one starts on the same store.
    for actions in 0..13 {
        let rig = Rig::start(Knobs { die_after: Some(actions), ..Knobs::default() }).await;
        rig.set_state(S::Available).await;
        rig.request(Verb::Active).await.unwrap();
        let rig = rig.reborn().await;
        rig.until(S::Active).await;
        assert_eq!(rig.machine().writes, 1, "after {actions} actions");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_bmc_is_told_in_last_error() {
    let rig = Rig::start(Knobs { power_error: Some(ErrorCode::BmcUnreachable), ..Knobs::default() }).await;
    rig.request(Verb::Manage).await.unwrap();
    let node = rig.until(S::Enroll).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("E0101") && error.contains("no answer from the BMC"), "{error}");
    assert_eq!(node.target_provision_state, None);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_a_verification_leads_back_with_its_code() {
    let rig = Rig::start(Knobs { clock_error: Some(ErrorCode::BmcClock), ..Knobs::default() }).await;
    rig.request(Verb::Manage).await.unwrap();
    let node = rig.until(S::Enroll).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("verify failed in step vendor.verify_clock: E0107"), "{error}");
    assert_eq!((node.target_provision_state, node.maintenance), (None, false));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_panics_fails_its_step_only() {
    let rig = Rig::start(Knobs { panic_in_power: true, ..Knobs::default() }).await;
    rig.request(Verb::Manage).await.unwrap();
    let node = rig.until(S::Enroll).await;
    assert!(node.last_error.unwrap().contains("E0901"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_calls_is_given_up_by_the_timer() {
    let knobs = Knobs { silent_agent: true, callback: Duration::from_millis(300), ..Knobs::default() };
    let rig = Rig::start(knobs).await;
    rig.set_state(S::Available).await;
    rig.request(Verb::Active).await.unwrap();
    let node = rig.until(S::DeployFailed).await;
    assert!(node.last_error.unwrap().contains("E0301"));
    assert_eq!(node.power_state, Some(PowerState::Off));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_callers_at_once_one_is_told_why_not() {
    let rig = Rig::start(Knobs { slow: Duration::from_millis(200), ..Knobs::default() }).await;
    rig.set_state(S::Available).await;
    let (one, two) = tokio::join!(rig.request(Verb::Active), rig.request(Verb::Active));
    let refusals: Vec<RequestError> = [one, two].into_iter().filter_map(Result::err).collect();
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].to_string().contains("deploying"), "{}", refusals[0]);
    rig.until(S::Active).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_is_an_intent_with_an_end() {
    let rig = Rig::start(Knobs { slow: Duration::from_millis(100), ..Knobs::default() }).await;
    rig.set_state(S::Manageable).await;
    rig.conductor().set_power(rig.uuid, PowerTarget::On, None, Asker::default()).await.unwrap();
    assert_eq!(rig.node().await.target_power_state, Some(PowerTarget::On));
    let busy =
        rig.conductor().set_power(rig.uuid, PowerTarget::Off, None, Asker::default()).await.unwrap_err();
    assert!(matches!(busy, RequestError::Conflict(_)), "{busy}");
    let node = rig.until_idle().await;
    assert_eq!((node.power_state, node.target_power_state), (Some(PowerState::On), None));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_given_once_and_asked_for_always() {
    let knobs = Knobs { silent_agent: true, ..Knobs::default() };
    let rig = Rig::start(knobs).await;
    let lookup = |mac: &str| Lookup {
        addresses: vec![mac.parse::<MacAddr>().unwrap()],
        node_uuid: None,
        wants_token: true,
    };
    let ours = "52:54:00:00:00:01";
    let hidden = rig.conductor().lookup(lookup(ours)).await.unwrap_err();
    assert!(matches!(hidden, RequestError::LookupNotFound), "an enrolled node tells nothing");
    rig.set_state(S::Available).await;
    rig.request(Verb::Active).await.unwrap();
    rig.until(S::DeployWait).await;
    assert!(rig.conductor().lookup(lookup("52:54:00:00:00:99")).await.is_err());
    let first = rig.conductor().lookup(lookup(ours)).await.unwrap();
    let token = first.config.get_str("agent_token").unwrap();
    assert_eq!(token.len(), 43);
    let second = rig.conductor().lookup(lookup(ours)).await.unwrap();
    assert_eq!(second.config.get_str("agent_token").as_deref(), Some("******"));

    let beat = |token: Option<&str>, url: &str| Heartbeat {
        callback_url: url.to_owned(),
        agent_version: Some("1".to_owned()),
        agent_token: token.map(Secret::new),
        agent_verify_ca: None,
        agent_status: None,
        agent_status_message: None,
    };
    let https = "https://10.0.0.9:9999";
    for (refused, word) in [
        (beat(None, https), "required"),
        (beat(Some("wrong"), https), "does not match"),
        (beat(Some(&token), "http://10.0.0.9:9999"), "TLS"),
    ] {
        let error = rig.conductor().heartbeat(rig.uuid, refused).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    rig.conductor().heartbeat(rig.uuid, beat(Some(&token), https)).await.unwrap();
    let moved = rig.conductor().heartbeat(rig.uuid, beat(Some(&token), "https://10.0.0.66:9999")).await;
    assert!(moved.unwrap_err().to_string().contains("callback_url"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_before_the_node_moves() {
    let rig = Rig::start(Knobs { invalid_image: true, ..Knobs::default() }).await;
    rig.set_state(S::Available).await;
    let error = rig.request(Verb::Active).await.unwrap_err();
    assert!(matches!(&error, RequestError::Invalid(text) if text.contains("image_source")), "{error}");
    assert_eq!(rig.node().await.provision_state, S::Available);
    let unknown =
        rig.conductor().provision(model::NodeUuid::random(), Verb::Manage, ProvisionArgs::default()).await;
    assert!(matches!(unknown.unwrap_err(), RequestError::NotFound(_)));
    rig.stop().await;
}

fn steps(verb: Verb, list: &Value) -> ProvisionArgs {
    let list = list.as_array().cloned();
    match verb {
        Verb::Clean => ProvisionArgs { clean_steps: list, ..ProvisionArgs::default() },
        Verb::Service => ProvisionArgs { service_steps: list, ..ProvisionArgs::default() },
        _ => ProvisionArgs { deploy_steps: list, ..ProvisionArgs::default() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_a_life() {
    let rig = Rig::start(Knobs::default()).await;
    rig.ask(Verb::Manage, S::Manageable).await;
    rig.ask(Verb::Inspect, S::Manageable).await;
    let node = rig.node().await;
    assert_eq!(node.properties.get_str("cpu_arch").as_deref(), Some("x86_64"));
    assert!(node.inspection_finished_at.is_some() && node.inspection_started_at.is_none());
    rig.ask(Verb::Adopt, S::Active).await;
    let password = Some(Secret::new("open sesame"));
    let args = ProvisionArgs { rescue_password: password, ..ProvisionArgs::default() };
    rig.request_with(Verb::Rescue, args).await.unwrap();
    let node = rig.until(S::Rescue).await;
    assert!(node.instance_info.is_empty(), "nothing of the password is left");
    assert_eq!(rig.machine().rescued.as_deref().map(|hash| &hash[..3]), Some("$5$"));
    rig.ask(Verb::Unrescue, S::Active).await;
    rig.ask(Verb::Deleted, S::Available).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_drivers_and_of_the_agent_in_the_callers_order() {
    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Manageable).await;
    let list = json!([
        { "interface": "vendor", "step": "slow", "order": 2 },
        { "interface": "vendor", "step": "note", "args": { "word": "first" }, "order": 1 },
        { "interface": "deploy", "step": "erase_devices_metadata", "order": 3 },
        { "interface": "power", "step": "hold", "order": 4 },
    ]);
    rig.request_with(Verb::Clean, steps(Verb::Clean, &list)).await.unwrap();
    let node = rig.until(S::CleanHold).await;
    assert_eq!(node.target_provision_state, Some(S::Manageable));
    assert_eq!(node.driver_internal_info.get("task"), None, "what was remembered of the task is forgotten");
    assert_eq!(rig.machine().erasures, 1);
    // A hold outlives the service.
    let rig = rig.reborn().await;
    assert_eq!(rig.node().await.provision_state, S::CleanHold);
    rig.ask(Verb::Unhold, S::Manageable).await;
    assert_eq!(rig.machine().notes, [(rig.uuid, "first".to_owned())]);
    let history = rig.history().await;
    assert!(history.iter().any(|line| line.contains("step vendor.slow started")), "{history:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_refused_before_the_node_moves() {
    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Active).await;
    for (list, code) in [
        (json!([{ "interface": "vendor", "step": "note" }]), "E0404"),
        (json!([{ "interface": "vendor", "step": "note", "args": { "word": "x", "y": 1 } }]), "E0404"),
    ] {
        let error = rig.request_with(Verb::Service, steps(Verb::Service, &list)).await.unwrap_err();
        assert!(matches!(&error, RequestError::Invalid(text) if text.contains(code)), "{error}");
    }
    assert_eq!(rig.node().await.provision_state, S::Active);
    let list = json!([{ "interface": "vendor", "step": "note", "args": { "word": "serviced" } }]);
    rig.request_with(Verb::Service, steps(Verb::Service, &list)).await.unwrap();
    rig.until_true(|node| node.provision_state == S::Active, "active").await;
    assert_eq!(rig.machine().notes.len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_of_the_instances_traits_join_its_deployment() {
    let rig = Rig::start(Knobs::default()).await;
    let before = rig.node().await;
    let mut after = before.clone();
    after.provision_state = S::Available;
    after.traits = vec!["CUSTOM_NOTED".parse().unwrap()];
    after.instance_info.set("traits", json!(["CUSTOM_NOTED"]));
    after.instance_info.set("project_id", json!("their-project"));
    rig.db().update_node(&before, after).await.unwrap();
    let mut template = model::DeployTemplate::new("CUSTOM_NOTED", model::Timestamp::now());
    let args = model::JsonObject::parse(r#"{"word": "template"}"#).unwrap();
    template.steps = vec![model::PlannedStep {
        interface: "vendor".to_owned(),
        step: "note".to_owned(),
        args,
        priority: 150,
    }];
    rig.db().create_deploy_template(template).await.unwrap();
    rig.ask(Verb::Active, S::Active).await;
    assert_eq!(rig.machine().notes, [(rig.uuid, "template".to_owned())]);
    assert_eq!(rig.node().await.lessee.as_deref(), Some("their-project"));
    rig.ask(Verb::Deleted, S::Available).await;
    assert_eq!(rig.node().await.lessee, None, "the lease ends with the instance");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_reach_the_children_of_a_node() {
    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Manageable).await;
    let parent = rig.node().await;
    let mut children = Vec::new();
    for _ in 0..2 {
        let mut child = model::Node::new("test", model::Timestamp::now());
        child.interfaces = parent.interfaces.clone();
        child.parent_node = Some(parent.uuid);
        children.push(rig.db().create_node(child).await.unwrap().uuid);
    }
    let note = |only: &[model::NodeUuid]| {
        json!([{
            "interface": "vendor", "step": "note", "args": { "word": "child" },
            "execute_on_child_nodes": true,
            "limit_child_node_execution": only.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }])
    };
    rig.request_with(Verb::Clean, steps(Verb::Clean, &note(&[]))).await.unwrap();
    rig.until_noted(2).await;
    rig.until(S::Manageable).await;
    rig.request_with(Verb::Clean, steps(Verb::Clean, &note(&children[1..]))).await.unwrap();
    rig.until_noted(3).await;
    rig.until(S::Manageable).await;
    let noted: Vec<_> = rig.machine().notes.iter().map(|(node, _)| *node).collect();
    assert_eq!(noted[2], children[1]);
    assert!(noted[..2].contains(&children[0]) && !noted.contains(&parent.uuid));
    let child = rig.db().get_node(&NodeKey::Uuid(children[0]), &db::Scope::All).await.unwrap().unwrap();
    assert_eq!((child.lease, child.lease_epoch), (None, 1));
    rig.request(Verb::Provide).await.unwrap();
    rig.until(S::Available).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_may_be_changed_while_a_deployment_waits() {
    let knobs = Knobs { silent_agent: true, ..Knobs::default() };
    let rig = Rig::start(knobs).await;
    rig.set_state(S::Available).await;
    rig.request(Verb::Active).await.unwrap();
    rig.until(S::DeployWait).await;
    rig.conductor().set_power(rig.uuid, PowerTarget::Off, None, Asker::default()).await.unwrap();
    let node = rig.until_idle().await;
    assert_eq!((node.provision_state, node.power_state), (S::DeployWait, Some(PowerState::Off)));
    rig.request(Verb::Abort).await.unwrap();
    rig.until(S::DeployFailed).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_whose_answer_was_lost_costs_one_boot() {
    let knobs = Knobs { lost_answers: 1, token_timeout: Duration::from_millis(200), ..Knobs::default() };
    let rig = Rig::start(knobs).await;
    rig.set_state(S::Available).await;
    rig.ask(Verb::Active, S::Active).await;
    assert_eq!(rig.machine().writes, 1);
    let history = rig.history().await;
    assert!(history.iter().any(|line| line.contains("booting the ramdisk again (2 of 3)")), "{history:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_drives_is_failed_at_the_start() {
    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Deploying).await;
    let rig = rig.reborn().await;
    let node = rig.until(S::DeployFailed).await;
    assert!(node.last_error.unwrap().contains("no record"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_are_counted_by_what_they_do() {
    let counted = |rig: &Rig| {
        let db = rig.db().clone();
        async move { db.census().await.unwrap().flows }
    };
    let rig = Rig::start(Knobs { silent_agent: true, ..Knobs::default() }).await;
    rig.set_state(S::Available).await;
    assert_eq!(counted(&rig).await, []);
    rig.request(Verb::Active).await.unwrap();
    rig.until(S::DeployWait).await;
    let row = |flow: &str, state, phase: &str| (flow.to_owned(), state, phase.to_owned(), 1);
    assert_eq!(counted(&rig).await, [row("deploy", S::DeployWait, "waiting")]);
    rig.stop().await;

    let rig = Rig::start(Knobs::default()).await;
    rig.set_state(S::Manageable).await;
    let list = json!([{ "interface": "power", "step": "hold" }]);
    rig.request_with(Verb::Clean, steps(Verb::Clean, &list)).await.unwrap();
    rig.until(S::CleanHold).await;
    assert_eq!(counted(&rig).await, [row("clean", S::CleanHold, "resting")]);
    rig.stop().await;

    let rig = Rig::start(Knobs { die_after: Some(0), ..Knobs::default() }).await;
    rig.set_state(S::Available).await;
    rig.request(Verb::Active).await.unwrap();
    assert_eq!(counted(&rig).await, [row("deploy", S::Deploying, "acting")]);
    rig.stop().await;
}
