//! Inspection by the ramdisk: it is booted, reports what it finds, and is switched off. What the report means is not
//! known here.

use driver::{Answer, DriverError, Inspect};
use model::Node;
use provision::{Observed, PlannedStep};

/// Boots the ramdisk and waits for its report.
#[derive(Debug)]
pub struct AgentInspect;

impl Inspect for AgentInspect {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::inspect::in_band()
    }

    fn inspect<'a>(&'a self, _node: &'a Node) -> Answer<'a, Observed> {
        // The report is the service's to work on.
        Box::pin(async { Ok(Observed::default()) })
    }
}
