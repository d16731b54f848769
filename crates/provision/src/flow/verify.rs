//! Verify: does the BMC answer with the given credentials?

use crate::step::{Action, PlannedStep};

/// The steps of a verification.
pub fn steps() -> Vec<PlannedStep> {
    vec![PlannedStep::frame("read_bmc", 0, vec![Action::ReadPower, Action::ReadBmcFacts])]
}
