//! Power that drifts: what a conductor does when a machine is not as it is stored, or does not tell.

use std::time::Duration;

use conductor::PowerSync;
use db::{EventQuery, Scope};
use model::{BootMode, Fault, Node, PowerState, ProvisionState as S};
use provision::{Health, PowerSyncPolicy, SeenFacts, Verb};

use crate::rig::{Knobs, Rig};

const OFTEN: Option<Duration> = Some(Duration::from_millis(20));

/// Looks often; `max_retries` failed looks are tolerated.
fn looking(force: bool, max_retries: u32) -> Knobs {
    let policy = PowerSyncPolicy { force, max_retries };
    let power = PowerSync { every: OFTEN, recover_every: OFTEN, policy, ..PowerSync::default() };
    Knobs { power, ..Knobs::default() }
}

async fn set(rig: &Rig, change: impl FnOnce(&mut Node)) {
    let before = rig.node().await;
    let mut after = before.clone();
    change(&mut after);
    rig.db().update_node(&before, after).await.unwrap();
}

async fn active(rig: &Rig, stored: Option<PowerState>) {
    set(rig, |node| (node.provision_state, node.power_state) = (S::Active, stored)).await;
}

async fn events(rig: &Rig) -> Vec<String> {
    let page = rig.db().events(&EventQuery::new(Scope::All, 0, 500)).await.unwrap();
    page.events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_not_known_before_is_recorded() {
    let rig = Rig::start(looking(true, 3)).await;
    rig.machine().on = true;
    active(&rig, None).await;
    let node = rig.until_true(|node| node.power_state.is_some(), "read").await;
    assert_eq!((node.power_state, node.maintenance), (Some(PowerState::On), false));
    assert_eq!(rig.machine().switched, 0);
    assert!(events(&rig).await.contains(&"baremetal.node.power_state_corrected.success".to_owned()));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_somebody_switched_is_switched_back() {
    let rig = Rig::start(looking(true, 3)).await;
    active(&rig, Some(PowerState::On)).await;
    rig.until_true(|_| rig.machine().on, "on").await;
    let node = rig.until_idle().await;
    assert_eq!((node.power_state, node.fault, node.last_error), (Some(PowerState::On), None, None));
    let history = rig.history().await;
    assert!(history.iter().any(|line| line.contains("power off, not in power on")), "{history:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn or_what_is_stored_follows_it() {
    for (force, never_off) in [(false, false), (true, true)] {
        let rig = Rig::start(looking(force, 3)).await;
        set(&rig, |node| node.disable_power_off = never_off).await;
        active(&rig, Some(PowerState::On)).await;
        let node = rig.until_true(|node| node.power_state == Some(PowerState::Off), "off").await;
        assert_eq!((node.target_power_state, node.maintenance), (None, false));
        assert_eq!(rig.machine().switched, 0);
        assert!(events(&rig).await.contains(&"baremetal.node.power_state_corrected.success".to_owned()));
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_bmc_costs_the_node_its_trust_until_it_answers() {
    let rig = Rig::start(looking(true, 2)).await;
    rig.machine().dead = true;
    active(&rig, Some(PowerState::On)).await;
    let node = rig.until_true(|node| node.maintenance, "in maintenance").await;
    assert_eq!((node.fault, node.power_state), (Some(Fault::Power), None));
    let reason = node.maintenance_reason.unwrap();
    assert!(reason.starts_with("E0101: ") && reason.contains("3 times"), "{reason}");
    assert!(node.last_error.unwrap().contains(&reason));
    {
        let mut machine = rig.machine();
        (machine.dead, machine.on) = (false, true);
    }
    let node = rig.until_true(|node| !node.maintenance, "out of maintenance").await;
    assert_eq!((node.fault, node.maintenance_reason, node.last_error), (None, None, None));
    assert_eq!(node.power_state, Some(PowerState::On));
    assert_eq!(rig.machine().switched, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_does_not_obey_ends_in_maintenance() {
    let rig = Rig::start(looking(true, 2)).await;
    rig.machine().stuck = true;
    active(&rig, Some(PowerState::On)).await;
    let node = rig.until_true(|node| node.maintenance, "in maintenance").await;
    assert_eq!((node.fault, node.power_state), (Some(Fault::Power), Some(PowerState::Off)));
    assert!(node.maintenance_reason.unwrap().starts_with("E0104: "));
    assert_eq!(rig.machine().switched, 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_across_restarts() {
    // A look fails once in each life of the conductor: it is the third life in which that is too much.
    let rig = Rig::start(Knobs::default()).await;
    rig.machine().dead = true;
    active(&rig, Some(PowerState::On)).await;
    for _ in 0..3 {
        rig.db().count_power_failure(rig.uuid).await.unwrap();
    }
    let rig = rig.reborn_with(looking(true, 3)).await;
    let node = rig.until_true(|node| node.maintenance, "in maintenance").await;
    assert!(node.maintenance_reason.unwrap().contains("4 times"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_looks_at_a_node_that_is_worked_on_or_left_alone() {
    let rig = Rig::start(looking(true, 0)).await;
    rig.machine().dead = true;
    set(&rig, |node| {
        node.provision_state = S::Active;
        node.maintenance = true;
        node.maintenance_reason = Some("a person is at work".to_owned());
    })
    .await;
    let before = rig.node().await;
    // Several sweeps pass: another node shows it.
    let other =
        Node { provision_state: S::Active, power_state: Some(PowerState::On), ..Node::clone(&before) };
    let mut other =
        Node { uuid: model::NodeUuid::random(), maintenance: false, maintenance_reason: None, ..other };
    other.name = None;
    let other = rig.db().create_node(other).await.unwrap().uuid;
    let lost = |rows: Vec<db::WatchedPower>| rows.iter().any(|row| row.uuid == other);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !lost(rig.db().watched_power(db::PowerWatch::Lost, 0, 10).await.unwrap()) {
        assert!(tokio::time::Instant::now() < deadline, "no sweep came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.node().await, before, "a person's maintenance is no fault, and does not end by itself");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_goes_on_under_looks_without_pause() {
    let rig = Rig::start(Knobs {
        power: PowerSync { every: Some(Duration::from_millis(2)), ..looking(true, 3).power },
        ..Knobs::default()
    })
    .await;
    for _ in 0..3 {
        rig.ask(Verb::Manage, S::Manageable).await;
        rig.ask(Verb::Provide, S::Available).await;
        rig.ask(Verb::Active, S::Active).await;
        rig.ask(Verb::Deleted, S::Available).await;
    }
    let node = rig.node().await;
    assert_eq!((node.maintenance, node.last_error), (false, None));
    assert_eq!(rig.machine().writes, 3);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bmc_tells_with_its_power_is_kept() {
    let rig = Rig::start(looking(true, 3)).await;
    let seen = SeenFacts {
        vendor: Some("Dell Inc.".to_owned()),
        boot_mode: Some(BootMode::Uefi),
        secure_boot: Some(true),
        health: Some(Health::Critical),
    };
    rig.machine().facts = seen.clone();
    active(&rig, Some(PowerState::Off)).await;
    // What takes a question of its own comes in its turn.
    let node = rig.until_true(|node| node.secure_boot.is_some(), "thoroughly looked at").await;
    assert_eq!((node.boot_mode, node.secure_boot), (Some(BootMode::Uefi), Some(true)));
    assert_eq!(node.health.as_deref(), Some("Critical"));
    assert_eq!(node.properties.get_str("vendor").as_deref(), Some("Dell Inc."));
    let vendor = Some("another".to_owned());
    rig.machine().facts = SeenFacts { vendor, health: Some(Health::Ok), ..seen };
    let node = rig.until_true(|node| node.health.as_deref() == Some("OK"), "well again").await;
    assert_eq!(node.properties.get_str("vendor").as_deref(), Some("Dell Inc."), "makers do not change");
    let history = rig.history().await;
    assert!(history.iter().any(|line| line.contains("is OK, and was Critical")), "{history:?}");
    assert_eq!(rig.machine().switched, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_kept_where_the_site_wants_it() {
    let mut knobs = looking(true, 3);
    knobs.power.health = false;
    let rig = Rig::start(knobs).await;
    let seen =
        SeenFacts { boot_mode: Some(BootMode::Bios), health: Some(Health::Ok), ..SeenFacts::default() };
    rig.machine().facts = seen;
    active(&rig, Some(PowerState::Off)).await;
    let node = rig.until_true(|node| node.boot_mode.is_some(), "looked at").await;
    assert_eq!(node.health, None);
    rig.stop().await;
}
