//! Rescue of machines that are not there.

use driver::{DriverError, Rescue};
use model::Node;
use provision::PlannedStep;

/// Rescues nobody, at once.
#[derive(Debug)]
pub struct FakeRescue;

impl Rescue for FakeRescue {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn rescue_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::pretend()
    }

    fn unrescue_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::pretend()
    }
}
