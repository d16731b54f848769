//! The deploy interface: what a deployment and a cleaning consist of, and talking to the agent.

use model::Node;
use provision::{Observed, PlannedStep, StepError, StepList};

use crate::{Answer, DriverError};

/// Something that the agent is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentCall {
    /// Its steps.
    Steps(StepList),
    /// Run a step; the answer is that it has begun, or already ended.
    Run(StepList, PlannedStep),
    /// How far the step got.
    Ask(StepList, PlannedStep),
    /// Open the ramdisk to the user, whose password's hash is in `instance_info`.
    FinalizeRescue,
    /// Whether the ramdisk was opened to the user.
    AskRescue,
    /// Make the disk bootable, and wait for it.
    InstallBootloader,
    /// Flush disks.
    Sync,
    /// Switch the machine off.
    PowerOff,
    /// Close itself: it takes no command any more, and the machine stays on.
    Lockdown,
    /// Its logs, stored where the service keeps such.
    CollectLogs,
}

/// What a flow knows of the agent that it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KnownAgent<'a> {
    /// When the agent started; one that started at another time has lost what it was told.
    pub started_at: Option<&'a str>,
    /// The last command that ended, by the agent's own identifier: what is asked about was sent after it.
    pub command: Option<&'a str>,
}

/// What the agent answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentReply {
    /// Done.
    Done(Box<Observed>),
    /// It works on it.
    Running,
    /// It never heard of the step, and is the same agent as before.
    NotFound,
    /// It does not answer.
    Unreachable(StepError),
}

/// A way to deploy and clean.
pub trait Deploy: Send + Sync {
    /// Whether the node's data suffice for a deployment. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// Steps of a deployment.
    fn deploy_steps(&self, node: &Node) -> Vec<PlannedStep>;

    /// Steps of automated cleaning, the frame around them included.
    fn clean_steps(&self, node: &Node) -> Vec<PlannedStep>;

    /// The frame around the steps of a servicing; empty where no ramdisk is booted.
    fn service_steps(&self, node: &Node) -> Vec<PlannedStep> {
        let _ = node;
        Vec::new()
    }

    /// Fetches and verifies the image and the config drive. May be repeated.
    fn prepare_image<'a>(&'a self, node: &'a Node) -> Answer<'a, Observed>;

    /// Talks to the agent on the node. What a step or the list of steps makes [`Observed`] has the identifier of the
    /// command, for the next question's `known`.
    fn agent<'a>(&'a self, node: &'a Node, call: AgentCall, known: KnownAgent<'a>) -> Answer<'a, AgentReply>;
}
