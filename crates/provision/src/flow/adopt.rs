//! Adopt: take over a machine whose system already runs, without touching its power or its boot device.

use model::BootIntent;

use crate::step::{Action, PlannedStep};

/// The steps of an adoption.
pub fn steps() -> Vec<PlannedStep> {
    vec![PlannedStep::frame("take_over", 0, vec![Action::ReadPower, Action::Boot(BootIntent::Disk)])]
}
