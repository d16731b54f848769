//! Tear down: take the machine from its user. Cleaning follows.

use model::BootIntent;

use crate::step::{Action, NetworkChange, PlannedStep};

/// The steps of a tear-down.
pub fn steps() -> Vec<PlannedStep> {
    vec![PlannedStep::frame(
        "take_back",
        0,
        vec![
            Action::StopConsole,
            Action::PowerOff { grace: 0 },
            Action::Boot(BootIntent::None),
            Action::ForgetAgent,
            Action::Network(NetworkChange::RemoveProvisioning),
            Action::Network(NetworkChange::RemoveRescuing),
            Action::Network(NetworkChange::RemoveServicing),
            Action::Network(NetworkChange::UnconfigureTenant),
        ],
    )]
}
