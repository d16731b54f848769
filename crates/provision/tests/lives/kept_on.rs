//! Machines that must not be switched off: every flow resets them instead, and leaves them where it would have.

use model::{BootIntent, PowerState, PowerTarget, ProvisionState as S};
use provision::{ErrorCode, Refusal, Verb, Wish, perform, perform_power};

use crate::life::{Crash, Life, wish};
use crate::{DONE, done};

fn keep_on(node: &mut model::Node) {
    node.disable_power_off = true;
}

/// A machine that runs, and is never off.
fn running() -> Life {
    let mut life = Life::new(Crash::Never);
    keep_on(&mut life.node);
    life.machine.on = true;
    life.ask(Verb::Manage);
    life
}

#[test]
fn a_whole_life_without_being_off() {
    let life = Life::whole_of(Crash::Never, keep_on);
    assert_eq!(life.machine.offs, 0);
    assert!(life.machine.on && life.node.power_state == Some(PowerState::On));
    let [writes, erasures, _, tasks] = done(&life);
    assert_eq!([writes, erasures, tasks], [DONE[0], DONE[1], DONE[3]], "the same was done to its disks");
}

#[test]
fn a_crash_at_any_record_writes_nothing_twice() {
    let effects = Life::whole_of(Crash::Never, keep_on).effects;
    for crash in (0..effects).map(Crash::Before) {
        let life = Life::whole_of(crash, keep_on);
        assert_eq!(
            (life.machine.offs, life.machine.writes, life.machine.erasures),
            (0, DONE[0], DONE[1]),
            "{crash:?}"
        );
    }
}

#[test]
fn what_ends_off_is_reset_so_that_the_ramdisk_does_not_run_on() {
    let mut life = running();
    let boots = life.machine.boots;
    life.ask(Verb::Provide);
    assert_eq!(life.node.provision_state, S::Available);
    assert_eq!(life.machine.boots, boots + 3, "into the ramdisk, once more for a setting, and out of it");
    assert!(life.machine.agent.is_none() && life.machine.on);
    assert_eq!(life.node.boot_intent, BootIntent::None);
    life.ask(Verb::Active);
    assert_eq!((life.machine.offs, life.machine.tenant_boots), (0, 1));
}

#[test]
fn what_runs_is_not_reset_by_switching_it_on() {
    let mut life = running();
    let boots = life.machine.boots;
    for (target, more) in [(PowerTarget::On, 0), (PowerTarget::Reboot, 1), (PowerTarget::SoftReboot, 2)] {
        let decision = life.with_world(|node, flow, world| perform_power(node, flow, target, 0, world));
        life.settle(decision.unwrap());
        assert_eq!((life.machine.boots, life.machine.offs), (boots + more, 0), "{target}");
        assert_eq!(life.node.target_power_state, None);
    }
}

#[test]
fn an_aborted_servicing_gives_the_user_the_system_back() {
    let mut life = running();
    life.ask(Verb::Provide);
    life.ask(Verb::Active);
    let boots = life.machine.tenant_boots;
    life.begin(Verb::Service, &wish(&["deploy.burn_in"]));
    assert_eq!(life.node.provision_state, S::ServiceWait);
    life.begin(Verb::Abort, &Wish::default());
    assert_eq!((life.node.provision_state, life.machine.offs), (S::ServiceFailed, 0));
    assert_eq!(life.machine.tenant_boots, boots + 1);
}

#[test]
fn a_failure_does_not_switch_it_off_either() {
    let mut life = running();
    life.machine.spares_disks = true;
    life.machine.stuck = true;
    life.begin(Verb::Provide, &Wish::default());
    assert_eq!(life.node.provision_state, S::CleanFailed);
    assert_eq!(life.machine.offs, 0);
    assert!(life.machine.on);
}

#[test]
fn to_order_it_off_is_refused() {
    let mut life = running();
    let refused = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Clean, &wish(&["power.power_off"]), world));
    match refused {
        Err(Refusal::Steps { error, .. }) => assert_eq!(error.code, ErrorCode::StepArguments, "{error}"),
        other => panic!("{other:?}"),
    }
    let boots = life.machine.boots;
    life.ask_with(Verb::Clean, &wish(&["power.reboot"]));
    assert_eq!((life.machine.boots, life.machine.offs), (boots + 1, 0));
}
