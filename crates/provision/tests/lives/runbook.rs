//! Automated cleaning by a runbook: its steps in its order, whatever dies, and the end is that of an automated cleaning.

use model::ProvisionState as S;
use provision::{Action, ErrorCode, StepError, Verb, Wish, perform};
use rehearsal::Hardware;

use crate::life::{Crash, Life, step};

/// From enrolment over a user to the next.
fn life(crash: Crash, plans: Hardware) -> Life {
    let mut life = Life::new(crash);
    life.plans = plans;
    for (verb, end) in [
        (Verb::Manage, S::Manageable),
        (Verb::Provide, S::Available),
        (Verb::Active, S::Active),
        (Verb::Deleted, S::Available),
    ] {
        life.ask_with(verb, &Wish::default());
        assert_eq!(life.node.provision_state, end, "{verb} with {crash:?}: {:?}", life.node.last_error);
        assert_eq!(life.node.target_provision_state, None);
    }
    life
}

/// The steps that cleanings showed, in turn.
fn shown(life: &Life) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for record in life.records.iter().filter(|record| record.automated) {
        if let Some(step) = record.current().filter(|step| step.visible)
            && steps.last() != Some(&step.label())
        {
            steps.push(step.label());
        }
    }
    steps
}

#[test]
fn the_runbooks_steps_run_in_its_order_and_lead_to_available() {
    let life = life(Crash::Never, Hardware::default().with_runbook());
    let once = ["vendor.log_passthrough", "deploy.erase_devices_metadata", "bios.apply_defaults"];
    assert_eq!(shown(&life), [once, once].concat());
    assert_eq!((life.machine.erasures, life.machine.tasks), (2, 2));
}

#[test]
fn a_crash_at_any_record_changes_nothing() {
    let plans = Hardware::default().with_runbook();
    let effects = life(Crash::Never, plans.clone()).effects;
    for number in 0..effects {
        for crash in [Crash::Before(number), Crash::After(number)] {
            let machine = life(crash, plans.clone()).machine;
            assert_eq!((machine.erasures, machine.tasks, machine.writes), (2, 2, 1), "{crash:?}");
        }
    }
}

#[test]
fn a_runbook_that_needs_no_ramdisk_boots_none() {
    let mut life = Life::new(Crash::Never);
    let wish = Wish { steps: vec![step("power.power_on", "{}")], disable_ramdisk: true, ..Wish::default() };
    life.plans.runbook = Ok(Some(wish));
    life.node.provision_state = S::Manageable;
    life.ask(Verb::Provide);
    assert_eq!(life.node.provision_state, S::Available);
    let waited = life
        .records
        .iter()
        .any(|record| record.steps.iter().any(|step| step.actions.contains(&Action::AwaitAgent)));
    assert!(life.machine.on && !waited);
}

#[test]
fn a_runbook_that_is_missing_is_said_at_once_and_after_a_tear_down_in_the_node() {
    let mut life = Life::new(Crash::Never);
    life.plans.runbook = Err(StepError::new(ErrorCode::CleaningRunbook, "there is no runbook gone."));
    life.node.provision_state = S::Manageable;
    let refused =
        life.with_world(|node, flow, world| perform(node, flow, Verb::Provide, &Wish::default(), world));
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("E0407: there is no runbook gone"), "{text}");

    life.node.provision_state = S::Active;
    life.ask(Verb::Deleted);
    assert_eq!(life.node.provision_state, S::CleanFailed);
    assert!(life.flow.is_none());
    let error = life.node.last_error.as_deref().unwrap();
    assert!(error.starts_with("clean failed: E0407"), "{error}");
    assert!(!life.node.maintenance, "nothing was begun");
    // Cleaned by hand, or without.
    life.plans.runbook = Ok(None);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    assert_eq!(life.node.provision_state, S::Available);
}

#[test]
fn a_node_that_is_not_cleaned_needs_no_runbook() {
    let mut life = Life::new(Crash::Never);
    life.plans.runbook = Err(StepError::new(ErrorCode::CleaningRunbook, "there is none."));
    life.node.automated_clean = Some(false);
    life.node.provision_state = S::Manageable;
    life.ask(Verb::Provide);
    assert_eq!(life.node.provision_state, S::Available);
}

#[test]
fn a_retired_node_ends_where_its_operator_wants_it() {
    let mut life = Life::new(Crash::Never);
    life.plans = Hardware::default().with_runbook();
    life.node.provision_state = S::Active;
    life.node.retired = true;
    life.ask(Verb::Deleted);
    assert_eq!((life.node.provision_state, life.node.target_provision_state), (S::Manageable, None));
}
