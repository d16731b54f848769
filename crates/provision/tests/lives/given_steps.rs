//! Steps that callers give: manual cleaning, servicing, deployments; holds and aborts.

use std::time::Duration;

use model::{BootIntent, Fault, PowerState, ProvisionState as S};
use provision::{Input, PlannedStep, Verb, WaitFor, Wish, perform};

use crate::life::{Crash, Life, called, step, wish};

fn manageable() -> Life {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life
}

fn active() -> Life {
    let mut life = manageable();
    life.ask(Verb::Provide);
    life.ask(Verb::Active);
    life
}

/// Feeds what is waited for until the node is in `state`.
fn until(life: &mut Life, state: S) {
    for _ in 0..50 {
        if life.node.provision_state == state {
            return;
        }
        let event = life.flow.as_ref().and_then(|flow| flow.wait.clone()).expect("a wait").event;
        match event {
            WaitFor::Step | WaitFor::Pause => {
                life.now = life.now.plus(Duration::from_secs(31));
                life.feed(Input::Timer);
            }
            _ => {
                life.machine.finish_work();
                life.feed(Input::Heartbeat(called()));
            }
        }
    }
    panic!("never {state} but {}", life.node.provision_state);
}

#[test]
fn a_step_of_several_parts_begins_each_once_whatever_dies() {
    let updated = |crash| {
        let mut life = active();
        (life.crash, life.effects) = (crash, 0);
        life.ask_with(Verb::Service, &wish(&["firmware.update"]));
        assert_eq!(life.node.provision_state, S::Active, "{crash:?}: {:?}", life.node.last_error);
        assert_eq!(life.machine.updates, 2, "{crash:?}");
        assert!(life.node.driver_internal_info.get("second_part").is_none());
        life
    };
    let life = updated(Crash::Never);
    assert!(
        life.records
            .iter()
            .any(|flow| { flow.wait.as_ref().is_some_and(|wait| wait.event == WaitFor::Pause) })
    );
    for number in 0..life.effects {
        updated(Crash::Before(number));
        updated(Crash::After(number));
    }
}

#[test]
fn a_verification_runs_what_drivers_offer_between_its_two_readings() {
    let life = manageable();
    let steps: Vec<String> = life.records[0].steps.iter().map(PlannedStep::label).collect();
    assert_eq!(steps, ["conductor.read_power", "management.verify_clock", "conductor.read_bmc"]);
}

#[test]
fn a_hold_lasts_until_a_caller_ends_it() {
    let mut life = manageable();
    life.begin(
        Verb::Clean,
        &wish(&["vendor.log_passthrough", "power.hold", "deploy.erase_devices_metadata"]),
    );
    assert_eq!(life.node.target_provision_state, Some(S::Manageable));
    until(&mut life, S::CleanHold);
    assert_eq!(life.flow.as_ref().unwrap().deadline(), None);
    assert_eq!(life.node.lease, None);
    life.now = life.now.plus(Duration::from_hours(1000));
    life.feed(Input::Timer);
    life.feed(Input::Heartbeat(called()));
    life.feed(Input::Restarted);
    assert_eq!(life.node.provision_state, S::CleanHold);
    assert_eq!(life.node.clean_step.get_str("step").as_deref(), Some("hold"));
    life.ask(Verb::Unhold);
    assert_eq!(life.node.provision_state, S::Manageable);
    assert_eq!(life.machine.erasures, 1);
    assert!(life.node.clean_step.is_empty());
}

#[test]
fn a_hold_can_be_aborted_in_every_flow_that_has_one() {
    let hold = wish(&["power.hold"]);
    let mut deploy = wish(&[]);
    deploy.steps = vec![provision::RequestedStep { priority: 90, ..step("power.hold", "{}") }];
    let mut cleaned = manageable();
    cleaned.begin(Verb::Clean, &hold);
    let mut deployed = manageable();
    deployed.ask(Verb::Provide);
    deployed.begin(Verb::Active, &deploy);
    let mut serviced = active();
    serviced.begin(Verb::Service, &hold);
    for (life, held, end) in [
        (&mut cleaned, S::CleanHold, S::CleanFailed),
        (&mut deployed, S::DeployHold, S::DeployFailed),
        (&mut serviced, S::ServiceHold, S::ServiceFailed),
    ] {
        until(life, held);
        life.ask(Verb::Abort);
        assert_eq!(life.node.provision_state, end);
        assert!(life.node.last_error.as_ref().unwrap().contains("E0401"));
        assert!(!life.node.maintenance, "{end}: nothing is in doubt");
        assert!(life.flow.is_none() && life.node.lease.is_none());
    }
}

#[test]
fn abort_waits_for_a_step_that_must_not_be_interrupted() {
    let mut life = manageable();
    life.begin(Verb::Clean, &wish(&["deploy.burn_in", "deploy.erase_devices_metadata"]));
    life.feed(Input::Heartbeat(called()));
    assert!(matches!(life.flow.as_ref().unwrap().wait.as_ref().unwrap().event, WaitFor::AgentStep(_)));
    life.begin(Verb::Abort, &Wish::default());
    assert_eq!(life.node.provision_state, S::CleanWait, "burn_in is not abortable");
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::CleanFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0401"));
    assert_eq!(life.machine.erasures, 0, "the step after it did not run");
}

#[test]
fn a_write_may_be_interrupted() {
    let mut life = manageable();
    life.ask(Verb::Provide);
    life.begin(Verb::Active, &Wish::default());
    life.feed(Input::Heartbeat(called()));
    life.ask(Verb::Abort);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert_eq!((life.machine.on, life.node.boot_intent), (false, BootIntent::None));
}

#[test]
fn servicing_gives_the_machine_back_running() {
    let mut life = active();
    let boots = life.machine.tenant_boots;
    life.begin(Verb::Service, &wish(&["deploy.burn_in"]));
    assert_eq!(life.node.provision_state, S::ServiceWait);
    life.feed(Input::Heartbeat(called()));
    assert_eq!(life.node.service_step.get_str("step").as_deref(), Some("burn_in"));
    life.run_to_rest();
    assert_eq!((life.node.provision_state, life.node.boot_intent), (S::Active, BootIntent::Disk));
    assert_eq!(life.machine.tenant_boots, boots + 1);
    assert!(life.node.service_step.is_empty());
}

#[test]
fn an_aborted_servicing_starts_the_users_system_again_and_a_failed_one_does_not() {
    let mut life = active();
    life.begin(Verb::Service, &wish(&["power.hold", "deploy.burn_in"]));
    until(&mut life, S::ServiceWait);
    life.ask(Verb::Abort);
    assert_eq!(life.node.provision_state, S::ServiceFailed);
    assert_eq!(life.node.power_state, Some(PowerState::On));

    let mut life = active();
    life.begin(Verb::Service, &wish(&["deploy.burn_in"]));
    life.feed(Input::Heartbeat(called()));
    life.machine.power_off();
    life.now = life.now.plus(Duration::from_secs(400));
    life.feed(Input::Timer);
    assert_eq!(life.node.provision_state, S::ServiceFailed);
    assert_eq!((life.node.maintenance, life.node.fault), (true, Some(Fault::Service)));
    assert_eq!(life.node.power_state, Some(PowerState::Off));
    let refused = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Abort, &Wish::default(), world))
        .expect_err("in maintenance");
    assert!(refused.to_string().contains("maintenance"), "{refused}");
    life.node.maintenance = false;
    life.ask(Verb::Abort);
    assert_eq!((life.node.provision_state, life.node.power_state), (S::Active, Some(PowerState::On)));
}

#[test]
fn steps_that_need_no_ramdisk_leave_the_machine_alone() {
    let mut life = active();
    let boots = life.machine.boots;
    let without = Wish { disable_ramdisk: true, ..wish(&["power.hold"]) };
    life.begin(Verb::Service, &without);
    assert_eq!(life.node.provision_state, S::ServiceHold);
    life.ask(Verb::Abort);
    assert_eq!((life.node.provision_state, life.machine.boots), (S::ServiceFailed, boots));
    assert!(life.machine.on, "nothing was touched");
    life.ask(Verb::Abort);
    assert_eq!(life.node.provision_state, S::Active);
}

#[test]
fn a_step_that_nobody_offers_is_refused_or_fails_with_what_there_is() {
    let mut life = manageable();
    let unknown = wish(&["raid.create_configuration"]);
    let without = Wish { disable_ramdisk: true, ..unknown.clone() };
    let refused = life
        .with_world(|node, flow, world| perform(node, flow, Verb::Clean, &without, world))
        .expect_err("refused");
    assert!(refused.to_string().contains("E0403"), "{refused}");
    assert_eq!(life.node.provision_state, S::Manageable);
    life.begin(Verb::Clean, &unknown);
    life.feed(Input::Heartbeat(called()));
    assert_eq!(life.node.provision_state, S::CleanFailed);
    let error = life.node.last_error.clone().unwrap();
    assert!(error.contains("E0403") && error.contains("deploy.erase_devices_metadata"), "{error}");
    assert!(!life.node.maintenance, "no step had begun");
}

#[test]
fn callers_change_a_deployment_by_priority() {
    let mut life = manageable();
    life.ask(Verb::Provide);
    let steps = vec![
        provision::RequestedStep { priority: 70, ..step("deploy.burn_in", "{}") },
        step("deploy.write_image", "{}"),
    ];
    life.ask_with(Verb::Active, &Wish { steps, ..Wish::default() });
    assert_eq!(life.node.provision_state, S::Active);
    assert_eq!(life.machine.writes, 0, "priority 0 switches a step off");
}

#[test]
fn retired_nodes_end_in_manageable() {
    let mut life = active();
    life.node.retired = true;
    life.ask(Verb::Deleted);
    assert_eq!(life.node.provision_state, S::Manageable);
    assert_eq!(life.node.target_provision_state, None);
}

#[test]
fn an_aborted_rescue_that_cannot_be_put_back_asks_for_a_person() {
    let mut life = active();
    life.node.instance_info.set("hashed_rescue_password", "$5$x".into());
    life.begin(Verb::Rescue, &Wish::default());
    assert_eq!(life.node.provision_state, S::RescueWait);
    life.machine.stuck = true;
    life.ask(Verb::Abort);
    assert_eq!(life.node.provision_state, S::RescueFailed);
    assert_eq!(life.node.fault, Some(Fault::RescueAbort));
    assert!(life.node.instance_info.get("hashed_rescue_password").is_none());
    life.machine.stuck = false;
    life.node.maintenance = false;
    life.ask(Verb::Unrescue);
    assert_eq!(life.node.provision_state, S::Active);
}

/// A servicing that is held in the ramdisk is replaced by one that would need none: the machine leaves the ramdisk all the
/// same.
#[test]
fn a_servicing_in_place_of_a_held_one_takes_the_machine_out_of_the_ramdisk() {
    for disable_ramdisk in [false, true] {
        let mut life = active();
        life.begin(Verb::Service, &wish(&["deploy.burn_in", "deploy.hold"]));
        until(&mut life, S::ServiceHold);
        assert_eq!(life.node.boot_intent, BootIntent::Ramdisk);
        life.ask_with(Verb::Service, &Wish { disable_ramdisk, ..wish(&["power.reboot"]) });
        assert_eq!((life.node.provision_state, life.node.boot_intent), (S::Active, BootIntent::Disk));
        assert!(life.machine.on && life.machine.agent.is_none());
    }
}
