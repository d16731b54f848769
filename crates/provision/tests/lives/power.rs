//! Changes of power, by themselves and beside a flow that waits.

use std::time::Duration;

use model::{PowerState, PowerTarget, ProvisionState as S};
use provision::{Input, Verb, WaitFor, Wish, perform_power};

use crate::life::{Crash, Life, called};

#[test]
fn a_reboot_survives_a_crash_at_any_record() {
    for crash in [Crash::Never, Crash::Before(0), Crash::After(0), Crash::Before(1), Crash::After(1)] {
        let mut life = Life::new(crash);
        life.machine.on = true;
        let decision = life
            .with_world(|node, flow, world| perform_power(node, flow, PowerTarget::Reboot, 60, world))
            .expect("allowed");
        assert_eq!(decision.node.target_power_state, Some(PowerTarget::Reboot));
        life.settle(decision);
        assert_eq!(life.machine.boots, 1, "{crash:?}");
        assert_eq!(life.node.power_state, Some(PowerState::On));
        assert_eq!(life.node.target_power_state, None);
        assert!(life.flow.is_none());
    }
}

fn waiting_for_the_agent() -> Life {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    life.begin(Verb::Active, &Wish::default());
    assert_eq!(life.node.provision_state, S::DeployWait);
    life
}

fn power(life: &mut Life, target: PowerTarget) {
    let decision =
        life.with_world(|node, flow, world| perform_power(node, flow, target, 60, world)).expect("allowed");
    life.settle(decision);
}

#[test]
fn a_machine_that_hangs_may_be_rebooted_while_its_deployment_waits() {
    let mut life = waiting_for_the_agent();
    let (boots, deadline) = (life.machine.boots, life.flow.as_ref().unwrap().deadline());
    life.machine.network_boot = true;
    power(&mut life, PowerTarget::Reboot);
    assert_eq!(life.machine.boots, boots + 1);
    assert_eq!((life.node.provision_state, life.node.target_power_state), (S::DeployWait, None));
    assert_eq!(life.flow.as_ref().unwrap().deadline(), deadline, "the wait is the same");
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Active);
}

#[test]
fn a_reboot_aside_survives_a_crash() {
    let effects = waiting_for_the_agent().effects;
    for crash in [effects, effects + 1].into_iter().flat_map(|at| [Crash::Before(at), Crash::After(at)]) {
        let mut life = waiting_for_the_agent();
        life.crash = crash;
        life.machine.network_boot = true;
        power(&mut life, PowerTarget::Reboot);
        assert_eq!(life.node.target_power_state, None, "{crash:?}");
        life.run_to_rest();
        assert_eq!(life.node.provision_state, S::Active, "{crash:?}");
    }
}

#[test]
fn an_agent_that_calls_during_a_reboot_is_not_missed() {
    let mut life = waiting_for_the_agent();
    life.machine.network_boot = true;
    let mut decision = life
        .with_world(|node, flow, world| perform_power(node, flow, PowerTarget::On, 60, world))
        .expect("allowed");
    let effect = decision.effect.take().expect("an effect");
    life.settle(decision);
    life.feed(Input::Heartbeat(called()));
    assert_eq!(life.node.provision_state, S::DeployWait, "the power comes first");
    let outcome = life.machine.carry_out(&life.node, &effect);
    life.feed(Input::Ended { run: effect.run, seq: effect.seq, outcome });
    assert!(!matches!(
        life.flow.as_ref().unwrap().wait.as_ref().map(|wait| &wait.event),
        Some(WaitFor::Agent)
    ));
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Active);
}

#[test]
fn cleaning_keeps_its_power() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.begin(Verb::Provide, &Wish::default());
    assert_eq!(life.node.provision_state, S::CleanWait);
    let refused = life
        .with_world(|node, flow, world| perform_power(node, flow, PowerTarget::Off, 60, world))
        .expect_err("refused");
    assert!(refused.to_string().contains("clean is under way"), "{refused}");
    life.now = life.now.plus(Duration::from_secs(1));
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Available);
}
