//! Records of flows as earlier versions wrote them: a new version goes on with them to the same end.

use model::{BootIntent, ProvisionState as S};
use provision::{FlowKind, FlowRecord, Input, Phase, WaitFor};

use rehearsal::Command;

use crate::life::{Crash, Life};

/// One line for every kind of thing that version 1 could be at: each action under way, each wait, each flow.
const VERSION_1: &str = include_str!("records-v1.jsonl");

/// A node in the state in which its flow was.
fn life_of(record: FlowRecord) -> Life {
    let mut life = Life::new(Crash::Never);
    let waits = record.wait.is_some();
    life.node.provision_state = match (record.kind, waits) {
        (FlowKind::Verify, _) => S::Verifying,
        (FlowKind::Clean, false) => S::Cleaning,
        (FlowKind::Clean, true) => S::CleanWait,
        (FlowKind::Deploy, false) => S::Deploying,
        (FlowKind::Deploy, true) => S::DeployWait,
        (FlowKind::TearDown, _) => S::Deleting,
        _ => S::Manageable,
    };
    let done = |name: &str| {
        let past = record.steps.get(record.step).map(|step| step.actions.iter().take(record.action));
        past.into_iter().flatten().any(|action| format!("{action:?}").contains(name))
    };
    // The machine as the record's past left it: in the ramdisk from the first boot to the last power off.
    let booted = record.step > 0 || done("PowerOn") || waits;
    if booted || done("Boot(Ramdisk)") {
        life.node.boot_intent = BootIntent::Ramdisk;
        life.machine.network_boot = booted || done("SetBootDevice");
    }
    if booted {
        life.machine.power_on(BootIntent::Ramdisk);
    }
    life.flow = Some(record);
    life
}

#[test]
fn every_record_of_version_1_reads_back_and_goes_on() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in VERSION_1.lines() {
        let record: FlowRecord = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(record.version, 1);
        kinds.insert(format!("{:?} {:?}", record.kind, record.phase));
        let failing = record.phase == Phase::Failing || record.abort_after;
        let asks_step = matches!(&record.wait, Some(wait) if matches!(wait.event, WaitFor::AgentStep(_)));
        let mut life = life_of(record);
        // What the agent was told before, it still knows.
        if let (Some(agent), Some(flow)) = (&mut life.machine.agent, &mut life.flow) {
            let told =
                flow.current().filter(|_| asks_step || flow.open.is_some()).map(|step| step.step.clone());
            agent.commands.extend(told.map(|step| Command { step, succeeded: Some(true) }));
            flow.agent_started_at = flow.agent_started_at.take().map(|_| agent.started_at.clone());
        }
        life.feed(Input::Restarted);
        life.run_to_rest();
        let state = life.node.provision_state;
        assert_eq!(life.node.lease, None, "{line}");
        let ends_well = matches!(state, S::Manageable | S::Available | S::Active);
        assert_eq!(ends_well, !failing, "{state}: {:?}: {line}", life.node.last_error);
    }
    assert!(kinds.len() >= 7, "{kinds:?}");
}
