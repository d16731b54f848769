//! Fast track: a ramdisk that runs is taken as it is.

use std::time::Duration;

use model::{PowerState, ProvisionState as S};
use provision::{Action, Verb, note_agent};
use serde_json::{Map, json};

use crate::life::{Crash, Life, called};

/// A cleaned machine whose ramdisk still runs and calls.
fn cleaned(fast_track: bool) -> Life {
    let mut life = Life::new(Crash::Never);
    life.policy.fast_track = fast_track.then(|| Duration::from_mins(5));
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    assert_eq!(life.node.provision_state, S::Available);
    life
}

fn heartbeat(life: &mut Life) {
    let mut members: Map<_, _> = called();
    members.insert("agent_last_heartbeat".to_owned(), json!(life.now.to_string()));
    note_agent(&mut life.node, members);
}

#[test]
fn a_ramdisk_that_runs_saves_the_boot() {
    let mut life = cleaned(true);
    assert_eq!(life.node.power_state, Some(PowerState::On), "it was left running");
    heartbeat(&mut life);
    let boots = life.machine.boots;
    life.ask(Verb::Active);
    assert_eq!((life.node.provision_state, life.machine.writes), (S::Active, 1));
    assert_eq!(life.machine.boots, boots + 1, "the user's system only");
}

#[test]
fn a_ramdisk_that_fell_silent_is_booted_as_ever() {
    let mut life = cleaned(true);
    heartbeat(&mut life);
    life.now = life.now.plus(Duration::from_mins(6));
    let boots = life.machine.boots;
    life.ask(Verb::Active);
    assert_eq!((life.node.provision_state, life.machine.boots), (S::Active, boots + 2));
}

#[test]
fn without_fast_track_the_machine_is_off_between_flows() {
    let life = cleaned(false);
    assert_eq!(life.node.power_state, Some(PowerState::Off));
    let frame = provision::flow::clean::in_band();
    assert!(frame.iter().any(|step| step.actions.contains(&Action::AgentPowerOff)));
}
