//! Clean: boot the ramdisk, run every step that an interface offers with a priority, switch off.

use model::{BootDevice, BootIntent};

use crate::step::{Action, NetworkChange, PlannedStep, StepList};

/// The frame around the agent's steps: they slot in between by priority.
pub fn in_band() -> Vec<PlannedStep> {
    vec![
        PlannedStep::frame(
            "boot_ramdisk",
            i64::MAX,
            vec![
                Action::PowerOff { grace: 0 },
                Action::Network(NetworkChange::AddCleaning),
                Action::ForgetAgent,
                Action::Boot(BootIntent::Ramdisk),
                Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
                Action::PowerOn,
                Action::AwaitAgent,
                Action::FetchAgentSteps(StepList::Clean),
            ],
        ),
        PlannedStep::frame(
            "leave_ramdisk",
            i64::MIN,
            vec![
                Action::AgentPowerOff,
                Action::PowerOff { grace: 15 },
                Action::ForgetAgent,
                Action::Boot(BootIntent::None),
                Action::Network(NetworkChange::RemoveCleaning),
            ],
        ),
    ]
}

/// Nothing to clean: for interfaces that only pretend, and nodes whose cleaning is switched off.
pub fn none() -> Vec<PlannedStep> {
    Vec::new()
}
