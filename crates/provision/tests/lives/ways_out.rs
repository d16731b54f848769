//! No state is a trap: from every state, with a machine that obeys and with one that does nothing at all, every verb that
//! the table allows ends somewhere, in bounded time, with no lease held and nothing under way.

use std::time::Duration;

use model::{Node, ProvisionState as S};
use provision::{Input, Verb, Wish, perform};

use crate::life::{Crash, Life, wish};

/// States in which a node rests: nothing is under way, and callers have a verb to go on.
fn rests(state: S) -> bool {
    use S::{
        Active, AdoptFailed, Available, CleanFailed, DeployFailed, Enroll, Error, InspectFailed, Manageable,
        Rescue, RescueFailed, ServiceFailed, UnrescueFailed,
    };
    matches!(
        state,
        Active
            | AdoptFailed
            | Available
            | CleanFailed
            | DeployFailed
            | Enroll
            | Error
            | InspectFailed
            | Manageable
            | Rescue
            | RescueFailed
            | ServiceFailed
            | UnrescueFailed
    )
}

fn verbs_from(state: S) -> Vec<Verb> {
    Verb::all().filter(|verb| verb.allowed_from().any(|from| from == state)).collect()
}

fn asks(verb: Verb) -> Wish {
    match verb {
        Verb::Clean | Verb::Service => wish(&["deploy.burn_in"]),
        _ => Wish::default(),
    }
}

/// Lets time pass until nothing is under way: nobody calls, nobody asks.
fn outlive(life: &mut Life, what: &str) {
    for _ in 0..40 {
        let Some(flow) = &life.flow else { return };
        assert!(flow.deadline().is_some() || flow.open.is_some(), "{what}: a wait without an end: {flow:?}");
        life.now = life.now.plus(Duration::from_mins(30));
        life.feed(Input::Timer);
    }
    panic!("{what}: never over: {:?}", life.flow);
}

fn over(life: &Life, what: &str) {
    assert!(life.flow.is_none(), "{what}: {:?}", life.flow);
    assert_eq!(life.node.lease, None, "{what}");
    assert_eq!(life.node.target_power_state, None, "{what}");
    let state = life.node.provision_state;
    assert!(rests(state), "{what} ends in {state}");
    assert!(!verbs_from(state).is_empty(), "{what} ends in {state}, which nobody can leave");
}

#[test]
fn from_every_state_of_rest_every_verb_ends_whether_the_machine_obeys_or_not() {
    let mut tried = 0;
    for state in S::ALL.iter().copied().filter(|state| rests(*state)) {
        let verbs = verbs_from(state);
        assert!(!verbs.is_empty(), "{state} has no verb");
        for verb in verbs {
            for (broken, silent) in [(true, true), (false, true), (false, false)] {
                let what = format!("{verb} from {state}, broken {broken}, silent {silent}");
                let mut life = Life::new(Crash::Never);
                life.node.provision_state = state;
                life.machine.broken = broken;
                life.begin(verb, &asks(verb));
                if silent {
                    outlive(&mut life, &what);
                } else {
                    life.run_to_rest();
                }
                over(&life, &what);
                tried += 1;
            }
        }
    }
    assert!(tried > 80, "only {tried} tried");
}

#[test]
fn every_wait_can_be_left_by_a_caller() {
    let mut left = 0;
    for (begin, state) in [
        (Verb::Provide, S::Manageable),
        (Verb::Clean, S::Manageable),
        (Verb::Inspect, S::Manageable),
        (Verb::Active, S::Available),
        (Verb::Rescue, S::Active),
        (Verb::Service, S::Active),
    ] {
        let wishes = match begin {
            Verb::Clean | Verb::Service => vec![wish(&["deploy.burn_in"]), wish(&["power.hold"])],
            _ => vec![Wish::default()],
        };
        for wish in wishes {
            for leave in [Verb::Abort, Verb::Deleted] {
                let mut life = Life::new(Crash::Never);
                life.node.provision_state = state;
                life.begin(begin, &wish);
                let waiting = life.node.provision_state;
                if !verbs_from(waiting).contains(&leave) {
                    continue;
                }
                life.begin(leave, &Wish::default());
                outlive(&mut life, &format!("{leave} from {waiting}"));
                over(&life, &format!("{leave} from {waiting}"));
                left += 1;
            }
        }
    }
    assert!(left >= 10, "only {left}");
}

/// A wait or a hold without a record of a flow (as after a restored backup) is left by `abort`, as the table says.
#[test]
fn a_wait_without_a_flow_is_left_by_abort() {
    for state in S::ALL.iter().copied().filter(|state| verbs_from(*state).contains(&Verb::Abort)) {
        let mut life = Life::new(Crash::Never);
        life.node.provision_state = state;
        life.begin(Verb::Abort, &Wish::default());
        over(&life, &format!("abort from {state}"));
    }
}

#[test]
fn a_refusal_for_the_state_names_the_states_that_allow_it() {
    for state in S::ALL.iter().copied() {
        for verb in Verb::all().filter(|verb| !verbs_from(state).contains(verb)) {
            let mut life = Life::new(Crash::Never);
            life.node = Node { provision_state: state, ..life.node };
            let refused = life
                .with_world(|node, flow, world| perform(node, flow, verb, &Wish::default(), world))
                .expect_err("refused")
                .to_string();
            for allowed in verb.allowed_from() {
                assert!(refused.contains(allowed.as_str()), "{verb} in {state}: {refused}");
            }
        }
    }
}
