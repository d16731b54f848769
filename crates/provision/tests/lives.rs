//! Whole lives of a machine, with a crash before and after every recorded action of every flow: the end is always the
//! same, and nothing destructive happens twice.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

#[path = "lives/equal_steps.rs"]
mod equal_steps;
#[path = "lives/fast_track.rs"]
mod fast_track;
#[path = "lives/given_steps.rs"]
mod given_steps;
#[path = "lives/kept_on.rs"]
mod kept_on;
#[path = "rig/life.rs"]
mod life;
#[path = "lives/lost_answers.rs"]
mod lost_answers;
#[path = "lives/old_records.rs"]
mod old_records;
#[path = "lives/power.rs"]
mod power;
#[path = "rig/records.rs"]
mod records;
#[path = "lives/runbook.rs"]
mod runbook;
#[path = "lives/several_conductors.rs"]
mod several_conductors;
#[path = "lives/ways_out.rs"]
mod ways_out;

use std::time::Duration;

use life::{Crash, Life};
use model::{BootIntent, PowerState, ProvisionState as S};
use provision::{Action, ErrorCode, Input, Outcome, StepError, Verb, WaitFor, Wish, perform};
use serde_json::{Map, json};

/// What happened to the machine and must not happen twice: images written, disks erased, boots of the user's system,
/// tasks of the BMC.
fn done(life: &Life) -> [u32; 4] {
    let machine = &life.machine;
    [machine.writes, machine.erasures, machine.tenant_boots, machine.tasks]
}

/// Of the whole life: a deployment and a rebuild; a manual and two automated cleanings; the system boots after both
/// deployments, the servicing and the rescue.
const DONE: [u32; 4] = [2, 3, 4, 3];

#[test]
fn a_life_without_a_crash() {
    let life = Life::whole(Crash::Never);
    assert_eq!(done(&life), DONE);
    assert_eq!(life.machine.logs, 4);
    assert!(!life.machine.on, "adoption leaves the power alone");
    assert_eq!(life.node.power_state, Some(PowerState::Off));
    assert_eq!(life.node.boot_intent, BootIntent::Disk);
}

/// Lives the whole life again and again, with a crash at each record in turn.
fn crash_at_each(crash: fn(usize) -> Crash) {
    let effects = Life::whole(Crash::Never).effects;
    assert!(effects > 140, "the life has only {effects} actions");
    for crash in (0..effects).map(crash) {
        let life = Life::whole(crash);
        assert_eq!(done(&life), DONE, "{crash:?}");
        assert!(life.machine.logs >= 4, "{crash:?}");
    }
}

#[test]
fn a_crash_before_any_record_changes_nothing() {
    crash_at_each(Crash::Before);
}

#[test]
fn a_crash_after_any_record_changes_nothing() {
    crash_at_each(Crash::After);
}

/// Brings a node to the point where its image is being written.
fn writing() -> Life {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    let decision = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Active, &Wish::default(), world))
        .expect("allowed");
    life.settle(decision);
    let decision = life.input(Input::Heartbeat(Map::new()));
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait);
    assert!(matches!(life.flow.as_ref().unwrap().wait.as_ref().unwrap().event, WaitFor::AgentStep(_)));
    life
}

#[test]
fn an_agent_that_never_calls_fails_the_deployment_with_its_code() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    let decision = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Active, &Wish::default(), world))
        .expect("allowed");
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait);
    let before = life.input(Input::Timer);
    assert!(before.flow.is_some(), "given up before the deadline");
    life.now = life.now.plus(Duration::from_secs(1801));
    let decision = life.input(Input::Timer);
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0301"), "{:?}", life.node.last_error);
    assert!(!life.machine.on && life.node.boot_intent == BootIntent::None);
    life.ask(Verb::Active);
    assert_eq!(life.node.provision_state, S::Active);
}

#[test]
fn an_agent_that_dies_is_asked_and_then_given_up() {
    let mut life = writing();
    life.machine.power_off();
    life.now = life.now.plus(Duration::from_secs(361));
    let decision = life.input(Input::Timer);
    assert!(decision.effect.as_ref().is_some_and(|effect| effect.poll), "asked before it is given up");
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0302"), "{:?}", life.node.last_error);
}

#[test]
fn an_agent_that_only_missed_heartbeats_goes_on() {
    let mut life = writing();
    life.now = life.now.plus(Duration::from_secs(361));
    let decision = life.input(Input::Timer);
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait);
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Active);
    assert_eq!(life.machine.writes, 1);
}

#[test]
fn a_reboot_in_the_middle_of_a_write_is_not_written_over() {
    let mut life = writing();
    life.machine.power_off();
    life.machine.network_boot = true;
    life.machine.power_on(BootIntent::Ramdisk);
    let decision = life.input(Input::Heartbeat(Map::new()));
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0303"), "{:?}", life.node.last_error);
    assert_eq!(life.machine.writes, 1);
}

#[test]
fn an_agent_may_call_before_the_bmc_says_that_power_is_on() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    let mut decision = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Provide, &Wish::default(), world))
        .expect("allowed");
    // Up to the point where power on is being carried out.
    while !decision.effect.as_ref().is_some_and(|effect| effect.action == Action::PowerOn) {
        let effect = decision.effect.clone().expect("an effect");
        life.node = decision.node;
        life.flow = decision.flow;
        let outcome = life.machine.carry_out(&life.node, &effect);
        decision = life.input(Input::Ended { run: effect.run, seq: effect.seq, outcome });
    }
    let effect = decision.effect.clone().expect("an effect");
    life.node = decision.node;
    life.flow = decision.flow;
    let outcome = life.machine.carry_out(&life.node, &effect);
    let early =
        life.input(Input::Heartbeat(Map::from_iter([("agent_url".to_owned(), json!("https://agent"))])));
    assert!(early.effect.is_none());
    life.settle(early);
    let decision = life.input(Input::Ended { run: effect.run, seq: effect.seq, outcome });
    let next = decision.effect.as_ref().map(|effect| effect.action.clone());
    assert!(matches!(next, Some(Action::FetchAgentSteps(_))), "{next:?}");
    life.settle(decision);
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Available);
}

#[test]
fn an_answer_that_comes_after_its_flow_is_over_says_nothing() {
    let mut life = writing();
    life.now = life.now.plus(Duration::from_secs(361));
    let asked = life.input(Input::Timer);
    let late = asked.effect.clone().expect("a question");
    (life.node, life.flow) = (asked.node, asked.flow);
    // Before the agent answers, the node is taken back; effect by effect, until one has the same number.
    let mut decision = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Deleted, &Wish::default(), world))
        .expect("allowed");
    while decision.effect.as_ref().expect("an effect").seq != late.seq {
        let effect = decision.effect.clone().expect("an effect");
        (life.node, life.flow) = (decision.node, decision.flow);
        let outcome = life.machine.carry_out(&life.node, &effect);
        decision = life.input(Input::Ended { run: effect.run, seq: effect.seq, outcome });
        if decision.effect.is_none() {
            // The ramdisk of the cleaning boots, and calls.
            (life.node, life.flow) = (decision.node, decision.flow);
            decision = life.input(Input::Heartbeat(life::called()));
        }
    }
    let (node, flow) = (decision.node.clone(), decision.flow.clone());
    (life.node, life.flow) = (node.clone(), flow.clone());
    let failed = Outcome::Failed(StepError::new(ErrorCode::AgentLost, "too late."));
    let after = life.input(Input::Ended { run: late.run, seq: late.seq, outcome: failed });
    assert_eq!((after.node.provision_state, after.flow), (node.provision_state, flow));
    assert!(after.effect.is_none() && after.notes.is_empty());
    life.settle(decision);
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Available);
}

#[test]
fn deletion_overtakes_a_wait() {
    let mut life = writing();
    life.ask(Verb::Deleted);
    assert_eq!(life.node.provision_state, S::Available);
    assert!(life.node.instance_info.is_empty());
}

#[test]
fn a_failed_cleaning_step_puts_the_node_into_maintenance() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    let decision = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Provide, &Wish::default(), world))
        .expect("allowed");
    life.settle(decision);
    let decision = life.input(Input::Heartbeat(Map::new()));
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::CleanWait);
    life.machine.power_off();
    life.now = life.now.plus(Duration::from_secs(400));
    let decision = life.input(Input::Timer);
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::CleanFailed);
    assert!(life.node.maintenance);
    assert_eq!(life.node.fault, Some(model::Fault::Clean));
    assert_eq!(life.node.target_provision_state, Some(S::Available));
}

#[test]
fn every_refusal_names_its_reason() {
    let mut life = Life::new(Crash::Never);
    let refuse = |life: &mut Life, verb| {
        life.with_world(|node, flow, world| perform(node, flow, verb, &Wish::default(), world))
            .expect_err("refused")
            .to_string()
    };
    assert!(refuse(&mut life, Verb::Active).contains("enroll"));
    life.ask(Verb::Manage);
    life.node.retired = true;
    assert!(refuse(&mut life, Verb::Provide).contains("retired"));
    life.node.retired = false;
    life.ask(Verb::Provide);
    life.node.maintenance = true;
    life.node.maintenance_reason = Some("fans".to_owned());
    assert!(refuse(&mut life, Verb::Active).contains("fans"));
    life.node.maintenance = false;
    life.ask(Verb::Active);
    life.node.protected = true;
    assert!(refuse(&mut life, Verb::Deleted).contains("protected"));
}
