//! The inspect interface: what a machine consists of.

use model::Node;
use provision::{Observed, PlannedStep};

use crate::{Answer, DriverError};

/// A way to inspect machines.
pub trait Inspect: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// The steps of an inspection: `flow::inspect::out_of_band()` where the driver itself asks the BMC, `in_band()` where
    /// a ramdisk runs on the machine and reports.
    fn steps(&self, node: &Node) -> Vec<PlannedStep>;

    /// Inspects the machine, or works on what its ramdisk reported and the service has stored. Called once per
    /// inspection; may be repeated after a crash, so it must end in the same state when done twice.
    fn inspect<'a>(&'a self, node: &'a Node) -> Answer<'a, Observed>;
}
