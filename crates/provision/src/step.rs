//! Steps and the actions they are made of.
//!
//! A step is what callers see and order (`deploy.write_image`); an action is one thing done to the outside world, or one
//! wait. The journal records actions, so that whoever takes over after a crash knows exactly what may have happened.

use std::fmt;
use std::time::Duration;

use model::{BootDevice, BootIntent, JsonObject, NodeUuid, Timestamp};
use serde::{Deserialize, Serialize};

/// What to do with an action that was begun when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRestart {
    /// Do it again: doing it twice ends in the same state.
    Rerun,
    /// Ask how far it got; never send it again blindly.
    Poll,
}

/// A change of the node's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkChange {
    /// Plug into the cleaning network.
    AddCleaning,
    /// Unplug from it.
    RemoveCleaning,
    /// Plug into the provisioning network.
    AddProvisioning,
    /// Unplug from it.
    RemoveProvisioning,
    /// Plug into the user's networks.
    ConfigureTenant,
    /// Unplug from them.
    UnconfigureTenant,
    /// Plug into the rescue network.
    AddRescuing,
    /// Unplug from it.
    RemoveRescuing,
    /// Plug into the servicing network.
    AddServicing,
    /// Unplug from it.
    RemoveServicing,
    /// Plug into the inspection network.
    AddInspection,
    /// Unplug from it.
    RemoveInspection,
}

/// Which list a step belongs to: each flow has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepList {
    /// Cleaning: the agent's `clean.*` commands.
    Clean,
    /// Deployment: the agent's `deploy.*` commands.
    Deploy,
    /// Servicing: the agent's `service.*` commands.
    Service,
    /// Verification, before a node is managed: by drivers alone, no agent runs.
    Verify,
}

/// One thing done, recorded before and after, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Ask the BMC for the power state.
    ReadPower,
    /// Read vendor and firmware facts; failures are noted, not fatal.
    ReadBmcFacts,
    /// Wait up to `grace` seconds for the machine to go off by itself, then switch it off.
    PowerOff {
        /// Seconds; 0 switches off at once.
        grace: u32,
    },
    /// Ask the operating system to shut down and wait; fails when it does not within `limit` seconds.
    SoftPowerOff {
        /// Seconds.
        limit: u32,
    },
    /// Switch on.
    PowerOn,
    /// Start it anew without switching it off: in the place of off and on for what must not be off.
    Reset,
    /// Choose what the firmware boots next.
    SetBootDevice {
        /// The device.
        device: BootDevice,
        /// For all boots to come, or the next only.
        persistent: bool,
    },
    /// Choose what network boot gives to the machine. A record only: nothing leaves the process.
    Boot(BootIntent),
    /// Forget the agent of an earlier boot: its address, certificate and token. A record only.
    ForgetAgent,
    /// Change networks.
    Network(NetworkChange),
    /// Fetch and verify the image and the config drive.
    PrepareImage,
    /// Wait for the agent's first heartbeat.
    AwaitAgent,
    /// Ask the agent for its steps and add those with a priority to the plan.
    FetchAgentSteps(StepList),
    /// Have the agent run this step, and wait for its end.
    RunAgentStep(StepList),
    /// Have a driver of the node run this step.
    RunStep {
        /// The list that the step is of.
        list: StepList,
        /// What to do when the process dies while it is being begun.
        on_restart: OnRestart,
    },
    /// Wait for the end of a driver's step that goes on by itself.
    AwaitStep {
        /// The list that the step is of.
        list: StepList,
        /// Seconds between two questions.
        every: u32,
        /// Seconds after which it is given up.
        limit: u32,
    },
    /// Have drivers of the node's children run this step, each to its end. A crash in between runs it again on all.
    RunOnChildren {
        /// The list that the step is of.
        list: StepList,
        /// On these children only; on all when there are none.
        only: Vec<NodeUuid>,
    },
    /// Rest until a caller says that it may go on.
    Hold,
    /// Rest for a while.
    Pause {
        /// Seconds.
        seconds: u32,
    },
    /// Wait for the agent's next heartbeat.
    AwaitHeartbeat,
    /// Have the agent open the rescue ramdisk to the user.
    FinalizeRescue,
    /// Wait for what the ramdisk finds out about the machine.
    AwaitInspection,
    /// Have the driver inspect the machine, or work on what its ramdisk found.
    Inspect,
    /// Have the agent make the written disk bootable.
    InstallBootloader,
    /// Have the agent flush its disks.
    AgentSync,
    /// Have the agent switch the machine off; failures are noted: the BMC does it next.
    AgentPowerOff,
    /// Have the agent close itself, on a machine that is not switched off; failures are noted.
    AgentLockdown,
    /// Stop the console, where one runs; failures are noted.
    StopConsole,
    /// Start the console that the node had before, where it had one; one that does not start is off, and noted.
    StartConsole,
    /// Fetch the agent's logs into the service's log directory; failures are noted.
    CollectLogs,
}

impl Action {
    /// What to do when the process died between the record of the intent and that of the outcome.
    pub const fn on_restart(&self) -> OnRestart {
        match self {
            // An agent that has opened its machine to a rescuer takes no command any more.
            Self::RunAgentStep(_) | Self::AwaitStep { .. } | Self::FinalizeRescue => OnRestart::Poll,
            Self::RunStep { on_restart, .. } => *on_restart,
            _ => OnRestart::Rerun,
        }
    }

    /// Whether a failure ends the flow. Those that only inform or prepare a surer action do not.
    pub const fn is_fatal(&self) -> bool {
        !matches!(
            self,
            Self::ReadBmcFacts
                | Self::AgentPowerOff
                | Self::AgentLockdown
                | Self::StopConsole
                | Self::StartConsole
                | Self::CollectLogs
        )
    }

    /// How long one attempt may take, waits for events not counted.
    pub const fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::PowerOff { grace } => 90 + *grace as u64,
            Self::SoftPowerOff { limit } => 30 + *limit as u64,
            Self::PrepareImage => 3600,
            Self::FetchAgentSteps(_)
            | Self::InstallBootloader
            | Self::CollectLogs
            | Self::RunStep { .. }
            | Self::AwaitStep { .. }
            | Self::Inspect => 300,
            Self::RunOnChildren { .. } => 1800,
            _ => 90,
        })
    }
}

/// In words, for people who watch.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadPower => f.write_str("reading the power state"),
            Self::ReadBmcFacts => f.write_str("asking the BMC about the machine"),
            Self::PowerOff { .. } => f.write_str("powering off"),
            Self::SoftPowerOff { .. } => f.write_str("shutting down"),
            Self::PowerOn => f.write_str("powering on"),
            Self::Reset => f.write_str("resetting"),
            Self::AgentLockdown => f.write_str("having the agent close itself"),
            Self::StartConsole => f.write_str("starting the console"),
            Self::StopConsole => f.write_str("stopping the console"),
            Self::SetBootDevice { device, .. } => write!(f, "setting the boot device to {device}"),
            Self::Boot(intent) => write!(f, "setting network boot to {}", intent.as_str()),
            Self::ForgetAgent => f.write_str("forgetting the agent"),
            Self::Network(_) => f.write_str("changing networks"),
            Self::PrepareImage => f.write_str("fetching and verifying the image"),
            Self::AwaitAgent => f.write_str("waiting for the agent"),
            Self::FetchAgentSteps(_) => f.write_str("asking the agent for its steps"),
            Self::RunAgentStep(_) => f.write_str("having the agent run the step"),
            Self::RunStep { .. } => f.write_str("running the step"),
            Self::AwaitStep { .. } => f.write_str("waiting for the end of the step"),
            Self::RunOnChildren { .. } => f.write_str("running the step on the node's children"),
            Self::Hold => f.write_str("holding"),
            Self::Pause { .. } => f.write_str("pausing"),
            Self::AwaitHeartbeat => f.write_str("waiting for the agent's next call"),
            Self::FinalizeRescue => f.write_str("opening the rescue ramdisk to its user"),
            Self::AwaitInspection => f.write_str("waiting for the inspection's data"),
            Self::Inspect => f.write_str("inspecting"),
            Self::InstallBootloader => f.write_str("making the disk bootable"),
            Self::AgentSync => f.write_str("flushing disks"),
            Self::AgentPowerOff => f.write_str("having the agent power off"),
            Self::CollectLogs => f.write_str("collecting the agent's logs"),
        }
    }
}

/// A step in a node's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The hardware interface that offers it.
    pub interface: String,
    /// Its name.
    pub step: String,
    /// Higher runs first.
    pub priority: i64,
    /// Arguments.
    #[serde(default)]
    pub args: JsonObject,
    /// Whether `abort` may interrupt it.
    #[serde(default)]
    pub abortable: bool,
    /// Whether callers see it; frame work around the steps is not shown.
    #[serde(default = "yes")]
    pub visible: bool,
    /// Whether the agent asked for a reboot after it.
    #[serde(default)]
    pub reboot_requested: bool,
    /// Whether a caller asked for it and only the agent can offer it: checked when the agent has told its steps.
    #[serde(default)]
    pub requested: bool,
    /// What it consists of.
    pub actions: Vec<Action>,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
}

const fn yes() -> bool {
    true
}

impl PlannedStep {
    /// A visible step of the service.
    pub fn new(interface: &str, step: &str, priority: i64, actions: Vec<Action>) -> Self {
        Self {
            interface: interface.to_owned(),
            step: step.to_owned(),
            priority,
            args: JsonObject::default(),
            abortable: false,
            visible: true,
            reboot_requested: false,
            requested: false,
            actions,
            started_at: None,
        }
    }

    /// A part of the frame around the steps: not shown to callers.
    pub fn frame(step: &str, priority: i64, actions: Vec<Action>) -> Self {
        Self { visible: false, ..Self::new("conductor", step, priority, actions) }
    }

    /// `interface.step`, for logs and progress.
    pub fn label(&self) -> String {
        format!("{}.{}", self.interface, self.step)
    }

    /// The object shown in `clean_step` and `deploy_step`.
    pub fn wire(&self) -> JsonObject {
        let mut map = serde_json::Map::new();
        map.insert("interface".into(), self.interface.clone().into());
        map.insert("step".into(), self.step.clone().into());
        map.insert("priority".into(), self.priority.into());
        map.insert("abortable".into(), self.abortable.into());
        map.insert("args".into(), serde_json::Value::Object(self.args.to_map()));
        JsonObject::from(map)
    }
}

/// A step that an agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStep {
    /// Interface.
    pub interface: String,
    /// Name.
    pub step: String,
    /// 0: offered, not run by itself.
    pub priority: i64,
    /// Whether it may be interrupted.
    #[serde(default)]
    pub abortable: bool,
    /// Whether the machine must be rebooted after it.
    #[serde(default)]
    pub reboot_requested: bool,
}
