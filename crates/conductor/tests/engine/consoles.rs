//! Consoles of nodes over deployments, restarts and takeovers.

use db::{EventQuery, Scope};
use model::{Node, ProvisionState as S};
use provision::Verb;

use crate::rig::{Knobs, Rig};

async fn with_console(rig: &Rig, state: S) {
    let before = rig.node().await;
    let after = Node { console_enabled: true, provision_state: state, ..before.clone() };
    rig.db().update_node(&before, after).await.unwrap();
}

/// How often it was started, and whether it runs.
fn starts(rig: &Rig) -> (usize, bool) {
    let machine = rig.machine();
    (machine.consoles.0.len(), machine.consoles.1)
}

/// What was told of the console, in turn.
async fn told(rig: &Rig) -> Vec<String> {
    let query = EventQuery {
        kinds: vec!["baremetal.node.console_".to_owned()],
        ..EventQuery::new(Scope::All, 0, 100)
    };
    let page = rig.db().events(&query).await.unwrap();
    page.events.into_iter().map(|event| event.kind.trim_start_matches("baremetal.node.").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_goes_with_its_user_and_comes_with_the_next() {
    let rig = Rig::start(Knobs::default()).await;
    with_console(&rig, S::Available).await;
    rig.ask(Verb::Active, S::Active).await;
    assert_eq!(starts(&rig), (1, true));
    rig.ask(Verb::Deleted, S::Available).await;
    assert_eq!(starts(&rig), (1, false));
    assert!(rig.node().await.console_enabled, "the next user gets one, too");
    rig.ask(Verb::Active, S::Active).await;
    assert_eq!(starts(&rig), (2, true));
    let restored = ["console_restore.start", "console_restore.end"];
    let told = told(&rig).await;
    assert_eq!(
        told[1..],
        [&restored[..], &["console_stop.start", "console_stop.end"], &restored].concat(),
        "{told:?}"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_does_not_start_is_off_and_the_deployment_is_done() {
    let rig = Rig::start(Knobs { console_error: true, ..Knobs::default() }).await;
    with_console(&rig, S::Available).await;
    rig.ask(Verb::Active, S::Active).await;
    let node = rig.node().await;
    assert!(!node.console_enabled);
    let error = node.last_error.unwrap();
    assert!(error.contains("the console cannot be started again: E0103: no console"), "{error}");
    let told = told(&rig).await;
    assert!(told.contains(&"console_restore.error".to_owned()), "{told:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consoles_start_again_with_the_conductor() {
    let rig = Rig::start(Knobs::default()).await;
    with_console(&rig, S::Active).await;
    assert_eq!(starts(&rig).0, 0);
    let rig = rig.reborn().await;
    rig.until_true(|_| starts(&rig) == (1, true), "with its console").await;
    // What was started is recorded as well.
    let ended = async || told(&rig).await.contains(&"console_restore.end".to_owned());
    while !ended().await {
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let rig = rig.reborn_with(Knobs { console_error: true, ..Knobs::default() }).await;
    let node = rig.until_true(|node| !node.console_enabled, "without its console").await;
    assert!(node.last_error.unwrap().contains("E0103"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consoles_of_a_conductor_that_leaves_start_at_another() {
    let beat = std::time::Duration::from_millis(50);
    let knobs = |hostname| Knobs { hostname, lease: (beat, beat * 100), ..Knobs::default() };
    let one = Rig::start(knobs("conductor-1")).await;
    let two = Rig::beside(one.site(), knobs("conductor-2")).await;
    // Whoever has the node: the other one takes it, and its console, when that one leaves.
    let owner = async |rig: &Rig| rig.conductor().members().owner(&rig.node().await);
    let both = |rig: &Rig| rig.conductor().members().alive().len() == 2;
    two.until_true(|_| both(&one) && both(&two), "two conductors").await;
    let first = owner(&two).await.as_deref() == Some("conductor-1");
    let (has, other, name) = if first { (one, two, "conductor-2") } else { (two, one, "conductor-1") };
    with_console(&has, S::Active).await;
    has.stop().await;
    other.until_true(|_| other.machine().consoles.0.contains(&name), "with its console").await;
    other.stop().await;
}
