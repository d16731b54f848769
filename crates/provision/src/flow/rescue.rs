//! Rescue: the ramdisk with a password instead of the user's system, and back.

use model::{BootDevice, BootIntent};

use crate::step::{Action, NetworkChange, PlannedStep};

/// Into the ramdisk: its agent sets the password, opens the machine to its user, and is not heard of again.
pub fn in_band() -> Vec<PlannedStep> {
    vec![PlannedStep::frame(
        "rescue",
        0,
        vec![
            Action::PowerOff { grace: 0 },
            Action::Network(NetworkChange::UnconfigureTenant),
            Action::Network(NetworkChange::AddRescuing),
            Action::ForgetAgent,
            Action::Boot(BootIntent::Ramdisk),
            Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
            Action::PowerOn,
            Action::AwaitAgent,
            Action::FinalizeRescue,
            Action::Boot(BootIntent::None),
            Action::ForgetAgent,
            // Whoever rescues the machine reaches it where its user does.
            Action::Network(NetworkChange::RemoveRescuing),
            Action::Network(NetworkChange::ConfigureTenant),
        ],
    )]
}

/// Back to the user's system.
pub fn leave() -> Vec<PlannedStep> {
    vec![PlannedStep::frame(
        "unrescue",
        0,
        vec![
            Action::PowerOff { grace: 0 },
            Action::ForgetAgent,
            Action::Network(NetworkChange::RemoveRescuing),
            Action::Network(NetworkChange::ConfigureTenant),
            Action::Boot(BootIntent::Disk),
            Action::SetBootDevice { device: BootDevice::Disk, persistent: true },
            Action::PowerOn,
        ],
    )]
}

/// For interfaces that only pretend, as `fake`.
pub fn pretend() -> Vec<PlannedStep> {
    Vec::new()
}
