//! The engine on a real store, with drivers of a machine that is not there: lives, restarts, agents, callers.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

#[path = "rig/machine.rs"]
mod rig;

use std::time::Duration;

use conductor_api::{Conductors, Heartbeat, Lookup, ProvisionArgs, RequestError};
use model::{MacAddr, PowerState, PowerTarget, ProvisionState as S, Secret};
use provision::{ErrorCode, Verb};
use rig::{Knobs, Rig};

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
    rig.conductor().set_power(rig.uuid, PowerTarget::On, None).await.unwrap();
    assert_eq!(rig.node().await.target_power_state, Some(PowerTarget::On));
    let busy = rig.conductor().set_power(rig.uuid, PowerTarget::Off, None).await.unwrap_err();
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
