//! The rescue interface: a ramdisk for the user of a machine whose own system does not come up.

use model::Node;
use provision::PlannedStep;

use crate::DriverError;

/// A way to rescue.
pub trait Rescue: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// Steps into the rescue ramdisk.
    fn rescue_steps(&self, node: &Node) -> Vec<PlannedStep>;

    /// Steps back to the user's system.
    fn unrescue_steps(&self, node: &Node) -> Vec<PlannedStep>;
}
