//! An agent that never got its token, and a boot that nobody answered: the machine is booted again, a few times.

use std::time::Duration;

use model::ProvisionState as S;
use provision::{Input, Verb, Wish};
use serde_json::json;

use crate::life::{Crash, Life, called};

fn booted(crash: Crash) -> Life {
    let mut life = Life::new(crash);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    life.begin(Verb::Active, &Wish::default());
    assert_eq!(life.node.provision_state, S::DeployWait);
    life
}

/// The service stores a token, and dies before the agent reads the answer.
fn lose_the_token(life: &mut Life) {
    life.node.driver_internal_info.set("agent_secret_token", json!("lost"));
    life.feed(Input::LookedUp);
}

fn wait(life: &mut Life, seconds: u64) {
    life.now = life.now.plus(Duration::from_secs(seconds));
    life.feed(Input::Timer);
}

#[test]
fn a_lost_token_costs_one_boot() {
    let mut life = booted(Crash::Never);
    let boots = life.machine.boots;
    lose_the_token(&mut life);
    wait(&mut life, 200);
    assert_eq!(life.machine.boots, boots, "an agent may take its time");
    wait(&mut life, 50);
    assert_eq!(life.machine.boots, boots + 1);
    assert!(
        life.node.driver_internal_info.get("agent_secret_token").is_none(),
        "the next agent gets its own"
    );
    life.run_to_rest();
    assert_eq!((life.node.provision_state, life.machine.writes), (S::Active, 1));
}

#[test]
fn a_boot_that_nobody_answered_is_tried_again_and_given_up() {
    let mut life = booted(Crash::Never);
    let boots = life.machine.boots;
    wait(&mut life, 841);
    assert_eq!(life.machine.boots, boots + 1);
    wait(&mut life, 841);
    assert_eq!(life.machine.boots, boots + 2);
    assert_eq!(life.node.provision_state, S::DeployWait);
    wait(&mut life, 121);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    let error = life.node.last_error.clone().unwrap();
    assert!(error.contains("E0301") && error.contains("booted 3 times"), "{error}");
    assert_eq!(life.machine.boots, boots + 2);
}

#[test]
fn tokens_lost_again_and_again_end_in_the_failure() {
    let mut life = booted(Crash::Never);
    let boots = life.machine.boots;
    for _ in 0..5 {
        lose_the_token(&mut life);
        wait(&mut life, 250);
    }
    assert_eq!(life.machine.boots, boots + 2, "two more boots, then patience");
    assert_eq!(life.node.provision_state, S::DeployWait);
    wait(&mut life, 1800);
    assert_eq!(life.node.provision_state, S::DeployFailed);
}

#[test]
fn a_crash_while_booting_again_changes_nothing() {
    let effects = booted(Crash::Never).effects;
    for crash in (effects..effects + 3).flat_map(|at| [Crash::Before(at), Crash::After(at)]) {
        let mut life = booted(crash);
        lose_the_token(&mut life);
        wait(&mut life, 250);
        life.run_to_rest();
        assert_eq!((life.node.provision_state, life.machine.writes), (S::Active, 1), "{crash:?}");
    }
}

/// It calls, and says that it works, and never ends: heartbeats alone keep no flow alive for ever.
#[test]
fn an_agent_that_works_for_ever_is_given_up() {
    let mut life = booted(Crash::Never);
    life.feed(Input::Heartbeat(called()));
    let give_up = life.flow.as_ref().unwrap().wait.as_ref().unwrap().give_up.unwrap();
    for days in 1..7 {
        life.now = life.now.plus(Duration::from_hours(24));
        life.feed(Input::Heartbeat(called()));
        assert_eq!(life.node.provision_state, S::DeployWait, "after {days} days");
    }
    let waits = life.flow.as_ref().unwrap().wait.clone().unwrap();
    assert_eq!(
        (waits.give_up, waits.deadline > life.now),
        (Some(give_up), true),
        "the end stays where it is"
    );
    life.now = give_up;
    life.feed(Input::Heartbeat(called()));
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0402"), "{:?}", life.node.last_error);
    assert_eq!(life.machine.writes, 1);
}
