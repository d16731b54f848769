//! Inspection of machines that are not there.

use driver::{Answer, DriverError, Inspect};
use model::Node;
use provision::{Observed, PlannedStep};

/// Finds nothing, at once.
#[derive(Debug)]
pub struct FakeInspect;

impl Inspect for FakeInspect {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::inspect::out_of_band()
    }

    fn inspect<'a>(&'a self, _node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async { Ok(Observed::default()) })
    }
}
