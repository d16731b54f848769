//! What a decision asks the shell to do, and what the shell reports back.

use std::time::Duration;

use model::{BiosSetting, BootMode, FirmwareComponent, FlowId, JsonObject, PowerState};
use serde_json::{Map, Value};

use crate::error::StepError;
use crate::flow::FlowKind;
use crate::step::{Action, AgentStep, PlannedStep};

/// One action for the shell to carry out. Its intent is already recorded when the shell sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The run of a flow that it is part of; comes back with the outcome.
    pub run: FlowId,
    /// Which flow that is.
    pub flow: FlowKind,
    /// Number of its entry in the journal; comes back with the outcome.
    pub seq: i64,
    /// What to do.
    pub action: Action,
    /// Only ask how far the action got.
    pub poll: bool,
    /// The step it is part of, for actions that need its name and arguments.
    pub step: Option<PlannedStep>,
    /// `started_at` of the agent known so far.
    pub agent_started_at: Option<String>,
    /// The last command of the agent that ended before this action.
    pub agent_command: Option<String>,
}

/// Facts that an action brought to light; they go into the node with the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Power now.
    pub power: Option<PowerState>,
    /// Firmware mode now.
    pub boot_mode: Option<BootMode>,
    /// BIOS settings as they are now, in place of those known. For the shell, which keeps them apart from the node.
    pub bios: Option<Vec<BiosSetting>>,
    /// Firmware that was seen. For the shell, as `bios`.
    pub firmware: Vec<FirmwareComponent>,
    /// The RAID that the machine has now.
    pub raid: Option<JsonObject>,
    /// Members of `driver_internal_info` to set; null removes one.
    pub internal: Map<String, Value>,
    /// Members of `properties` to set where the operator gave none.
    pub properties: Map<String, Value>,
    /// Steps that the agent offers.
    pub steps: Vec<AgentStep>,
    /// When the agent started.
    pub agent_started_at: Option<String>,
    /// The agent's own identifier of the command that has ended. What is sent from now on stands after it in the agent's
    /// list: that tells one run of a step from the next run of the same step.
    pub agent_command: Option<String>,
}

/// A step of a driver that goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepWait {
    /// How often to ask; at least a second.
    pub every: Duration,
    /// When to give it up, counted from the start of the wait.
    pub limit: Duration,
    /// Boot the machine again first, into the ramdisk if that was running: what was set takes effect then.
    pub reboot: bool,
    /// What to remember of it.
    pub observed: Observed,
}

/// A part of a driver's step that has ended: one of several that the hardware takes one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepPart {
    /// Seconds to rest before what follows.
    pub pause: u32,
    /// Whether the step is to be run again, for its next part; otherwise it has ended.
    pub again: bool,
    /// What to remember of it.
    pub observed: Observed,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done(Box<Observed>),
    /// The agent took the step and works on it.
    Started,
    /// The driver's step goes on by itself.
    Waiting(Box<StepWait>),
    /// A part of the driver's step is done.
    Part(Box<StepPart>),
    /// Asked: it is still being worked on.
    Running,
    /// Asked: the agent has never heard of it, and has not started anew since.
    NotFound,
    /// Asked: the agent does not answer now.
    Unreachable(StepError),
    /// Failed for good; retries are behind it.
    Failed(StepError),
}

impl Outcome {
    /// Done, with nothing to tell.
    pub fn done() -> Self {
        Self::Done(Box::default())
    }

    /// The word for the journal.
    pub fn summary(&self) -> String {
        match self {
            Self::Done(_) => "done".to_owned(),
            Self::Started => "started".to_owned(),
            Self::Waiting(_) => "goes on by itself".to_owned(),
            Self::Part(_) => "a part is done".to_owned(),
            Self::Running => "running".to_owned(),
            Self::NotFound => "not found".to_owned(),
            Self::Unreachable(error) => format!("unreachable: {error}"),
            Self::Failed(error) => format!("failed: {error}"),
        }
    }
}
