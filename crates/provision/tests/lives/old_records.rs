//! Records of flows as earlier versions wrote them: this version goes on with them to the same end. And whoever changes
//! what a record looks like has to add a version.

use std::collections::BTreeSet;

use model::{BootIntent, ProvisionState as S};
use provision::{FlowKind, FlowRecord, Input, Phase, RECORD_VERSION, WaitFor};
use rehearsal::Command;
use serde_json::Value;

use crate::life::{Crash, Life};
use crate::records;

/// Each version with its records: one for every kind of thing that a flow of that version could be at. What was released
/// stays as it is for ever; the newest is written by `cargo run -p provision --example records`.
const VERSIONS: [(u32, &str); 2] =
    [(1, include_str!("../records/v1.jsonl")), (2, include_str!("../records/v2.jsonl"))];

/// The states of a flow: at work, waiting, held.
fn states(kind: FlowKind) -> [S; 3] {
    match kind {
        FlowKind::Verify => [S::Verifying; 3],
        FlowKind::Clean => [S::Cleaning, S::CleanWait, S::CleanHold],
        FlowKind::Deploy => [S::Deploying, S::DeployWait, S::DeployHold],
        FlowKind::TearDown => [S::Deleting; 3],
        FlowKind::Power => [S::Manageable; 3],
        FlowKind::Inspect => [S::Inspecting, S::InspectWait, S::InspectWait],
        FlowKind::Rescue => [S::Rescuing, S::RescueWait, S::RescueWait],
        FlowKind::Unrescue => [S::Unrescuing; 3],
        FlowKind::Adopt => [S::Adopting; 3],
        FlowKind::Service => [S::Servicing, S::ServiceWait, S::ServiceHold],
    }
}

/// A node in the state in which its flow was, and its machine as the record's past left it.
fn life_of(record: FlowRecord) -> Life {
    let mut life = Life::new(Crash::Never);
    let [works, waits, held] = states(record.kind);
    life.node.provision_state = match &record.wait {
        None => works,
        Some(wait) if wait.event == WaitFor::Unhold => held,
        Some(_) => waits,
    };
    let done = |name: &str| {
        let past = record.steps.get(record.step).map(|step| step.actions.iter().take(record.action));
        past.into_iter().flatten().any(|action| format!("{action:?}").contains(name))
    };
    // In the ramdisk from the first boot to the last power off.
    let in_ramdisk = record.ramdisk && !matches!(record.kind, FlowKind::TearDown | FlowKind::Verify);
    let booted = in_ramdisk && (record.step > 0 || done("PowerOn") || record.wait.is_some());
    if booted || done("Boot(Ramdisk)") {
        life.node.boot_intent = BootIntent::Ramdisk;
        life.machine.network_boot = booted || done("SetBootDevice");
    }
    if booted {
        life.machine.power_on(BootIntent::Ramdisk);
    }
    // A machine that a caller boots again in between is one whose firmware asks the network each time.
    life.machine.network_boot |= record.open.as_ref().is_some_and(|open| open.aside);
    if let Some(step) = record.current().filter(|_| done("RunStep")) {
        life.machine.begin_task(record.id, step);
    }
    life.flow = Some(record);
    life
}

/// Goes on with a record, and says where that ends.
fn go_on(record: FlowRecord) -> Life {
    let asks_step = matches!(&record.wait, Some(wait) if matches!(wait.event, WaitFor::AgentStep(_)));
    let mut life = life_of(record);
    // What the agent was told before, it still knows.
    if let (Some(agent), Some(flow)) = (&mut life.machine.agent, &mut life.flow) {
        let told = flow.current().filter(|_| asks_step || flow.open.is_some()).map(|step| step.step.clone());
        agent.commands.extend(told.map(|step| Command { step, succeeded: Some(true) }));
        flow.agent_started_at = flow.agent_started_at.take().map(|_| agent.started_at.clone());
    }
    life.feed(Input::Restarted);
    life.run_to_rest();
    life
}

#[test]
fn every_record_of_every_version_reads_back_and_goes_on() {
    for (version, text) in VERSIONS {
        let mut kinds = BTreeSet::new();
        for line in text.lines() {
            let record: FlowRecord =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(record.version, version);
            kinds.insert(format!("{:?} {:?}", record.kind, record.phase));
            let failing = record.phase == Phase::Failing || record.abort_after;
            let life = go_on(record);
            let state = life.node.provision_state;
            assert!(life.flow.is_none() && life.node.lease.is_none(), "{line}");
            let ends_well = matches!(state, S::Manageable | S::Available | S::Active | S::Rescue);
            assert_eq!(ends_well, !failing, "{state}: {:?}: {line}", life.node.last_error);
        }
        assert!(kinds.len() >= if version == 1 { 7 } else { 15 }, "version {version}: {kinds:?}");
    }
}

/// Paths whose words are tags: they say which variant it is.
const TAGGED: [&str; 6] = [".kind", ".phase", ".actions[]", ".aside[]", ".open.action", ".wait.event"];

/// Adds every path of a value, with its type; with its word where that is a tag.
fn paths(value: &Value, path: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if path.rsplit('.').next() == Some("args") || map.is_empty() => {
            _ = all.insert(format!("{path} object"));
        }
        Value::Object(map) => map.iter().for_each(|(key, value)| paths(value, &format!("{path}.{key}"), all)),
        Value::Array(list) => list.iter().for_each(|value| paths(value, &format!("{path}[]"), all)),
        Value::String(word) if TAGGED.iter().any(|tag| path.contains(tag)) => {
            all.insert(format!("{path} = {word}"));
        }
        Value::String(_) => _ = all.insert(format!("{path} string")),
        Value::Number(_) => _ = all.insert(format!("{path} number")),
        Value::Bool(_) => _ = all.insert(format!("{path} bool")),
        Value::Null => _ = all.insert(format!("{path} null")),
    }
}

fn shape<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in lines {
        let value = serde_json::from_str(line).unwrap();
        paths(&value, "", &mut all);
    }
    all
}

#[test]
fn what_is_written_today_looks_like_the_newest_version() {
    let (version, newest) = VERSIONS[VERSIONS.len() - 1];
    let advice = format!(
        "A record looks different now. If version {version} was released, raise RECORD_VERSION and add a file to \
         tests/records; else write v{version}.jsonl anew: cargo run -p provision --example records"
    );
    assert_eq!(version, RECORD_VERSION, "{advice}");
    let (written, ours) = (shape(newest.lines()), records::today());
    let ours = shape(ours.iter().map(String::as_str));
    let (new, gone): (Vec<_>, Vec<_>) =
        (ours.difference(&written).collect(), written.difference(&ours).collect());
    assert!(new.is_empty() && gone.is_empty(), "{advice}\nnew: {new:#?}\ngone: {gone:#?}");
}

#[test]
fn another_shape_is_noticed() {
    let lines: Vec<&str> = VERSIONS[1].1.lines().collect();
    let whole = shape(lines.iter().copied());
    let without = lines.iter().map(|line| line.replace("\"ask_again\"", "\"ask_anew\"")).collect::<Vec<_>>();
    assert_ne!(shape(without.iter().map(String::as_str)), whole);
    let action = lines.iter().map(|line| line.replace("\"power_on\"", "\"power_up\"")).collect::<Vec<_>>();
    assert_ne!(shape(action.iter().map(String::as_str)), whole);
    assert!(whole.len() > 100, "{}", whole.len());
}
