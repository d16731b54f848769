//! The same step twice in a row: each runs once, whatever dies in between. And a rescue, whose agent serves nobody once it
//! has done what it was told.

use std::time::Duration;

use model::ProvisionState as S;
use provision::{Verb, note_agent};
use serde_json::json;

use crate::life::{Crash, Life, called, wish};

const ERASE: &str = "deploy.erase_devices_metadata";

fn manageable(crash: Crash) -> Life {
    let mut life = Life::new(crash);
    life.ask(Verb::Manage);
    life
}

/// Lives `live` without a crash, then with one before and after each of its actions.
fn crash_at_each(live: impl Fn(Crash) -> Life, prove: impl Fn(&Life, Crash)) {
    let calm = live(Crash::Never);
    prove(&calm, Crash::Never);
    for number in 0..calm.effects {
        for crash in [Crash::Before(number), Crash::After(number)] {
            prove(&live(crash), crash);
        }
    }
}

#[test]
fn equal_steps_run_once_each() {
    let live = |crash| {
        let mut life = manageable(crash);
        life.ask_with(Verb::Clean, &wish(&[ERASE, ERASE, "deploy.burn_in", ERASE]));
        life
    };
    crash_at_each(live, |life, crash| {
        assert_eq!((life.node.provision_state, &life.node.last_error), (S::Manageable, &None), "{crash:?}");
        assert_eq!(life.machine.erasures, 3, "{crash:?}");
    });
}

#[test]
fn an_agent_that_stays_remembers_the_steps_of_the_cleaning_before() {
    let live = |crash| {
        let mut life = manageable(crash);
        life.policy.fast_track = Some(Duration::from_mins(5));
        for _ in 0..2 {
            life.ask_with(Verb::Clean, &wish(&[ERASE]));
            let mut members = called();
            members.insert("agent_last_heartbeat".to_owned(), json!(life.now.to_string()));
            note_agent(&mut life.node, members);
        }
        life
    };
    crash_at_each(live, |life, crash| {
        assert_eq!((life.node.provision_state, &life.node.last_error), (S::Manageable, &None), "{crash:?}");
        assert_eq!((life.machine.erasures, life.machine.boots), (2, 1), "{crash:?}");
    });
}

#[test]
fn a_ramdisk_is_opened_to_its_rescuer_once() {
    let live = |crash| {
        let mut life = Life::new(crash);
        life.node.provision_state = S::Active;
        life.ask(Verb::Rescue);
        life
    };
    crash_at_each(live, |life, crash| {
        assert_eq!((life.node.provision_state, &life.node.last_error), (S::Rescue, &None), "{crash:?}");
        assert_eq!((life.machine.rescues, life.machine.opened), (1, true), "{crash:?}");
    });
}
