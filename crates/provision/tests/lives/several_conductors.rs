//! Turns of another conductor than the one at work: what was begun stays with whoever began it.

use provision::{Input, Outcome, Verb, Wish, World, decide, perform, take_up};
use rehearsal::Hardware;

use crate::life::{Crash, Life, called};

/// A question of one conductor is overtaken by an abort that another one decides; its late answer changes nothing, and
/// does not take the other one's lease.
#[test]
fn a_late_answer_of_another_conductor_leaves_the_lease_alone() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    life.begin(Verb::Active, &Wish::default());
    let asked = life.input(Input::Heartbeat(called()));
    life.settle(asked);
    // The first conductor asks how far the image is.
    let asked = life.input(Input::Heartbeat(called()));
    let question = asked.effect.clone().unwrap();
    assert!(question.poll && asked.node.lease.is_none());
    assert!(asked.takes_over());
    (life.node, life.flow) = (asked.node, asked.flow);
    let turn_of = |life: &Life, holder: &str, input: Input| {
        let world = World { now: life.now, holder, policy: &life.policy, plans: &Hardware::default() };
        decide(life.node.clone(), life.flow.clone().unwrap(), input, world)
    };
    // The second one is told to abort.
    let world = World { now: life.now, holder: "second", policy: &life.policy, plans: &Hardware::default() };
    let aborted =
        perform(life.node.clone(), life.flow.clone(), Verb::Abort, &Wish::default(), world).unwrap();
    let lease = aborted.node.lease.clone().unwrap();
    assert_eq!(lease.holder, "second");
    assert!(aborted.takes_over());
    (life.node, life.flow) = (aborted.node, aborted.flow);
    let answer = Input::Ended { run: question.run, seq: question.seq, outcome: Outcome::Running };
    for input in [answer, Input::Heartbeat(called()), Input::LookedUp] {
        let late = turn_of(&life, "host", input);
        assert_eq!(late.node.lease, Some(lease.clone()));
        assert_eq!(late.node.lease_epoch, life.node.lease_epoch);
        assert!(!late.takes_over(), "the second one is at work");
    }
    let taken = turn_of(&life, "third", Input::Restarted);
    assert_eq!(taken.node.lease.unwrap().holder, "third");
}

/// A node is taken over, and before its new conductor gets to it the agent calls that same one: it is at work then.
#[test]
fn what_somebody_has_gone_on_with_is_not_taken_up() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    life.begin(Verb::Active, &Wish::default());
    let flow = life.flow.clone().unwrap();
    let seen = (flow.id, flow.seq);
    let take_up = |life: &Life, seen| {
        let world =
            World { now: life.now, holder: "heir", policy: &life.policy, plans: &Hardware::default() };
        take_up(life.node.clone(), life.flow.clone(), seen, world)
    };
    life.node.driver_internal_info.set("agent_url", "https://10.0.0.1:9999".into());
    assert!(take_up(&life, seen).effect.is_some(), "nobody was faster: the agent that has called is asked");
    let called = life.input(Input::Heartbeat(called()));
    assert!(called.effect.is_some());
    (life.node, life.flow) = (called.node, called.flow);
    let late = take_up(&life, seen);
    assert!(late.effect.is_none() && late.journal.is_empty());
    assert_eq!((late.node, late.flow.clone()), (life.node.clone(), life.flow.clone()));
    let now = late.flow.map(|flow| (flow.id, flow.seq)).unwrap();
    assert!(take_up(&life, now).effect.is_some(), "and when that one is gone, too, it is");
}
