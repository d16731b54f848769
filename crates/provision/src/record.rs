//! The durable record of a flow: everything needed to go on after a crash, as one versioned JSON document.

use std::fmt;

use model::{FlowId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::flow::FlowKind;
use crate::step::{Action, PlannedStep, StepList};

/// The version written today.
pub const RECORD_VERSION: u32 = 1;

/// What a flow waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// The first heartbeat of the ramdisk's agent.
    Agent,
    /// The end of the step that the agent runs.
    AgentStep(StepList),
    /// The end of a driver's step that goes on by itself.
    Step,
}

/// In words, for people who watch.
impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "waiting for the agent",
            Self::AgentStep(_) => "the agent is at work",
            Self::Step => "the hardware is at work",
        })
    }
}

/// A wait with its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// For what.
    pub event: WaitFor,
    /// Since when.
    pub since: Timestamp,
    /// When it is given up, or asked about.
    pub deadline: Timestamp,
    /// When what is asked about is given up.
    #[serde(default)]
    pub give_up: Option<Timestamp>,
}

/// An action that was begun: its intent is recorded, its outcome is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenEffect {
    /// Number of the journal's entry.
    pub seq: i64,
    /// The action.
    pub action: Action,
    /// Whether it only asks how far the action got.
    pub poll: bool,
    /// Since when.
    pub since: Timestamp,
}

/// Where the cursor of a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the planned steps.
    Running,
    /// In the actions that follow a failure.
    Failing,
}

/// One run of a flow on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// [`RECORD_VERSION`] of the writer.
    pub version: u32,
    /// Identifier.
    pub id: FlowId,
    /// Which flow.
    pub kind: FlowKind,
    /// When it began.
    pub started_at: Timestamp,
    /// The plan.
    pub steps: Vec<PlannedStep>,
    /// Index into `steps`.
    pub step: usize,
    /// Index into the step's actions, or into the actions after a failure.
    pub action: usize,
    /// Which of the two.
    pub phase: Phase,
    /// Number of the last entry in the journal.
    pub seq: i64,
    /// The action under way.
    #[serde(default)]
    pub open: Option<OpenEffect>,
    /// The wait under way.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// Why it fails.
    #[serde(default)]
    pub failure: Option<StepError>,
    /// Whether a step that touches disks had begun: a failure then puts the node into maintenance.
    #[serde(default)]
    pub step_started: bool,
    /// `started_at` of the agent that the flow talks to: another value means that the machine booted again.
    #[serde(default)]
    pub agent_started_at: Option<String>,
    /// The agent called while it was being asked: ask again.
    #[serde(default)]
    pub ask_again: bool,
    /// An abort waits for the end of the running step.
    #[serde(default)]
    pub abort_after: bool,
}

impl FlowRecord {
    /// A record at its beginning.
    pub fn new(kind: FlowKind, mut steps: Vec<PlannedStep>, now: Timestamp) -> Self {
        crate::offer::sort(&mut steps);
        Self {
            version: RECORD_VERSION,
            id: FlowId::random(),
            kind,
            started_at: now,
            steps,
            step: 0,
            action: 0,
            phase: Phase::Running,
            seq: 0,
            open: None,
            wait: None,
            failure: None,
            step_started: false,
            agent_started_at: None,
            ask_again: false,
            abort_after: false,
        }
    }

    /// The step at the cursor.
    pub fn current(&self) -> Option<&PlannedStep> {
        self.steps.get(self.step)
    }

    /// When the engine must look at it even if nothing happens.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.wait.as_ref().map(|wait| wait.deadline)
    }
}
