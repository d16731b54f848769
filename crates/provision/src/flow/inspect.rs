//! Inspect: find out what the machine consists of, from its BMC or from a ramdisk that runs on it.

use model::{BootDevice, BootIntent};

use crate::step::{Action, NetworkChange, PlannedStep};

/// By the driver alone: it asks the BMC, and the answer goes into the node.
pub fn out_of_band() -> Vec<PlannedStep> {
    vec![PlannedStep::frame("inspect", 0, vec![Action::Inspect])]
}

/// By a ramdisk: it is booted, and what it finds comes as `Input::Inspected`. `Action::Inspect` then has the driver work
/// on what was found; whoever feeds the input has stored the data before.
pub fn in_band() -> Vec<PlannedStep> {
    vec![PlannedStep::frame(
        "inspect",
        0,
        vec![
            Action::PowerOff { grace: 0 },
            Action::Network(NetworkChange::AddInspection),
            Action::ForgetAgent,
            Action::Boot(BootIntent::Ramdisk),
            Action::SetBootDevice { device: BootDevice::Pxe, persistent: false },
            Action::PowerOn,
            Action::AwaitInspection,
            Action::Inspect,
            Action::PowerOff { grace: 0 },
            Action::ForgetAgent,
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveInspection),
        ],
    )]
}
