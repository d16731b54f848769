//! The firmware interface: versions of the firmware of a machine's parts.

use model::{FirmwareComponent, Node};

use crate::{Answer, DriverError};

/// Firmware of a node.
pub trait Firmware: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// The components that the machine has; `None` where the driver cannot read them. May be repeated.
    fn components<'a>(&'a self, node: &'a Node) -> Answer<'a, Option<Vec<FirmwareComponent>>>;
}
