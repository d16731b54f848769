//! Verify: does the BMC answer with the given credentials, and is it fit to be worked with?

use crate::step::{Action, PlannedStep};

/// The frame of a verification: what drivers offer stands between the two, by its priority. The machine is read last, as
/// the steps leave it.
pub fn frame() -> Vec<PlannedStep> {
    vec![
        PlannedStep::frame("read_power", i64::MAX, vec![Action::ReadPower]),
        PlannedStep::frame("read_bmc", i64::MIN, vec![Action::ReadBmcFacts]),
    ]
}
