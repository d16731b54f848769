//! Service: work on a machine in its user's hands, and give it back running.

use model::{BootDevice, BootIntent};

use crate::step::{Action, NetworkChange, PlannedStep, StepList};

/// The frame around the steps: the user's system stops, the ramdisk runs, the user's system runs again.
pub fn in_band() -> Vec<PlannedStep> {
    vec![
        PlannedStep::frame(
            "boot_ramdisk",
            i64::MAX,
            vec![
                Action::PowerOff { grace: 0 },
                Action::Network(NetworkChange::UnconfigureTenant),
                Action::Network(NetworkChange::AddServicing),
                Action::ForgetAgent,
                Action::Boot(BootIntent::Ramdisk),
                Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
                Action::PowerOn,
                Action::AwaitAgent,
                Action::FetchAgentSteps(StepList::Service),
            ],
        ),
        PlannedStep::frame(
            "leave_ramdisk",
            i64::MIN,
            vec![
                Action::AgentPowerOff,
                Action::PowerOff { grace: 15 },
                Action::ForgetAgent,
                Action::Network(NetworkChange::RemoveServicing),
                Action::Network(NetworkChange::ConfigureTenant),
                Action::Boot(BootIntent::Disk),
                Action::SetBootDevice { device: BootDevice::Disk, persistent: true },
                Action::PowerOn,
            ],
        ),
    ]
}
