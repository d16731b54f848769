//! The durable record of a flow: everything needed to go on after a crash, as one versioned JSON document.

use std::fmt;
use std::time::Duration;

use model::{BootIntent, FlowId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::event::FsmEvent;
use crate::flow::FlowKind;
use crate::plan::Plan;
use crate::step::{Action, PlannedStep, StepList};

/// The version written today. All versions up to it are read; `tests/records` has them.
pub const RECORD_VERSION: u32 = 2;

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
    /// A caller's word that it may go on.
    Unhold,
    /// The end of a pause.
    Pause,
    /// The agent's next heartbeat.
    Heartbeat,
    /// What the ramdisk finds out about the machine.
    Inspection,
}

/// In words, for people who watch.
impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "waiting for the agent",
            Self::AgentStep(_) => "the agent is at work",
            Self::Step => "the hardware is at work",
            Self::Unhold => "held",
            Self::Pause => "pausing",
            Self::Heartbeat => "waiting for the agent's next call",
            Self::Inspection => "waiting for the inspection's data",
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
    /// Whether it is done beside the plan, while the flow waits.
    #[serde(default)]
    pub aside: bool,
}

/// How long a node is held after the limit of what is done to it.
const HELD_ON: Duration = Duration::from_mins(1);

impl OpenEffect {
    /// Until when the node is held when it begins `now`.
    pub(crate) fn held_until(&self, now: Timestamp) -> Timestamp {
        now.plus(self.action.limit() + HELD_ON)
    }
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
    /// The agent's last command that has ended, by its own identifier: recorded before the next is sent.
    #[serde(default)]
    pub agent_command: Option<String>,
    /// The agent called while it was being asked: ask again.
    #[serde(default)]
    pub ask_again: bool,
    /// An abort waits for the end of the running step.
    #[serde(default)]
    pub abort_after: bool,
    /// Ordered by a caller, with steps in the caller's order: a cleaning then ends in `manageable`.
    #[serde(default)]
    pub in_order: bool,
    /// The steps in order are those of the site's runbook: the cleaning ends in `available` all the same.
    #[serde(default)]
    pub automated: bool,
    /// Whether the machine is booted into the ramdisk: what follows a failure undoes that.
    #[serde(default = "yes")]
    pub ramdisk: bool,
    /// Steps that must not run even if the agent offers them, as `interface.step`.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// The boots of the ramdisk that nobody has answered yet.
    #[serde(default)]
    pub boots: Option<Boots>,
    /// What a caller wants done to the machine while the flow waits; the wait goes on after it.
    #[serde(default)]
    pub aside: Vec<Action>,
    /// Whether something that was to undo the flow's work failed.
    #[serde(default)]
    pub undo_failed: bool,
    /// The machine should have been switched off, and was not, since it must not be: it is to be reset yet.
    #[serde(default)]
    pub owes_reset: bool,
    /// Who asked for it.
    #[serde(default)]
    pub asked_by: Option<Asker>,
}

/// Who asked for something, as the history names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Asker {
    /// The user.
    pub user: Option<String>,
    /// The project that the user acts for.
    pub project: Option<String>,
}

/// Boots of the ramdisk without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boots {
    /// Since when an answer is waited for.
    pub since: Timestamp,
    /// How many there were.
    pub count: u32,
}

const fn yes() -> bool {
    true
}

impl FlowRecord {
    /// A record at its beginning.
    pub fn of_plan(kind: FlowKind, plan: Plan, now: Timestamp) -> Self {
        let Plan { mut steps, disabled, in_order, automated, ramdisk } = plan;
        if !in_order {
            crate::offer::sort(&mut steps);
        }
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
            agent_command: None,
            ask_again: false,
            abort_after: false,
            in_order,
            automated,
            ramdisk,
            disabled,
            boots: None,
            aside: Vec::new(),
            undo_failed: false,
            owes_reset: false,
            asked_by: None,
        }
    }

    /// The step at the cursor.
    pub fn current(&self) -> Option<&PlannedStep> {
        self.steps.get(self.step)
    }

    /// When the engine must look at it even if nothing happens. Only a hold has no end of its own.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.wait.as_ref().filter(|wait| wait.event != WaitFor::Unhold).map(|wait| wait.deadline)
    }

    /// The event that ends it well.
    pub(crate) fn done_event(&self, retired: bool) -> Option<FsmEvent> {
        match self.kind {
            FlowKind::Clean if (self.in_order && !self.automated) || retired => Some(FsmEvent::Manage),
            kind => kind.flow().done,
        }
    }

    /// What is done after its failure.
    pub(crate) fn after_failure(&self) -> &'static [Action] {
        match self.kind {
            _ if self.ramdisk => self.kind.flow().after_failure,
            FlowKind::Deploy => &[Action::PowerOff { grace: 0 }, Action::Boot(BootIntent::None)],
            // Without the ramdisk, nothing was changed that would have to be put back.
            _ => &[],
        }
    }
}
