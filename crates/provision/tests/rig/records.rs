//! Records as this version writes them: one of every kind of thing that a flow can be at, from lives that go through all of
//! them. `cargo run -p provision --example records` prints them, for `tests/records`.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{PowerTarget, ProvisionState as S};
use provision::{FlowRecord, Input, Verb, Wish, perform_power};

use crate::life::{Crash, Life, called, wish};

/// The name of a variant, without what it carries.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(|letter| letter.is_alphanumeric()).collect()
}

/// What a record is at.
fn place(record: &FlowRecord) -> String {
    let open = record.open.as_ref().map(|open| (variant(&open.action), open.poll, open.aside));
    let wait = record.wait.as_ref().map(|wait| variant(&wait.event));
    let extras = (record.abort_after, record.boots.as_ref().map(|boots| boots.count), record.ask_again);
    format!("{:?} {:?} {open:?} {wait:?} {extras:?}", record.kind, record.phase)
}

/// A node in `state` in the middle of what `verb` begins.
fn midway(state: S, verb: Verb, wish: &Wish) -> Life {
    let mut life = Life::new(Crash::Never);
    life.node.provision_state = state;
    life.begin(verb, wish);
    life
}

/// Lives that are cut short, in every flow that waits.
fn aborted() -> Vec<Life> {
    let none = Wish::default();
    let begun = [
        (S::Manageable, Verb::Provide, none.clone()),
        (S::Manageable, Verb::Inspect, none.clone()),
        (S::Manageable, Verb::Clean, wish(&["deploy.burn_in"])),
        (S::Manageable, Verb::Clean, wish(&["power.hold"])),
        (S::Available, Verb::Active, none.clone()),
        (S::Active, Verb::Rescue, none),
        (S::Active, Verb::Service, wish(&["deploy.burn_in"])),
    ];
    begun
        .into_iter()
        .map(|(state, verb, wish)| {
            let mut life = midway(state, verb, &wish);
            life.begin(Verb::Abort, &Wish::default());
            life
        })
        .collect()
}

/// Lives in which something unusual goes on beside the plan.
fn unusual() -> Vec<Life> {
    let none = Wish::default();
    // An abort that waits for the end of a step.
    let mut waiting = midway(S::Manageable, Verb::Clean, &wish(&["deploy.burn_in"]));
    waiting.feed(Input::Heartbeat(called()));
    waiting.begin(Verb::Abort, &none);
    // A boot that nobody answers, and one whose machine a caller reboots.
    let mut silent = midway(S::Available, Verb::Active, &none);
    while silent.flow.is_some() {
        silent.now = silent.now.plus(Duration::from_mins(15));
        silent.feed(Input::Timer);
    }
    let mut rebooted = midway(S::Available, Verb::Active, &none);
    let decision = rebooted
        .with_world(|node, flow, world| perform_power(node, flow, PowerTarget::SoftReboot, 60, world))
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    rebooted.settle(decision);
    // A machine whose power cannot be changed.
    let mut stuck = Life::new(Crash::Never);
    stuck.node.provision_state = S::Active;
    stuck.machine.stuck = true;
    stuck.begin(Verb::Deleted, &none);
    vec![waiting, silent, rebooted, stuck]
}

/// One record for each place, as JSON, in a fixed order.
pub(crate) fn today() -> Vec<String> {
    let lives = [Life::whole(Crash::Never)].into_iter().chain(aborted()).chain(unusual());
    let mut places = BTreeMap::new();
    for record in lives.flat_map(|life| life.records) {
        places.entry(place(&record)).or_insert(record);
    }
    let records = places.into_values().enumerate().map(|(index, mut record)| {
        let id = format!("00000000-0000-4000-8000-{index:012}");
        record.id = id.parse().unwrap_or(record.id);
        serde_json::to_string(&record).unwrap_or_default()
    });
    records.collect()
}
