//! The BIOS interface: the settings of a machine's firmware.

use model::{BiosSetting, Node};

use crate::{Answer, DriverError};

/// BIOS settings of a node.
pub trait Bios: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// The settings as the machine has them, to be kept in place of those known; `None` where the driver cannot read
    /// them. May be repeated.
    fn settings<'a>(&'a self, node: &'a Node) -> Answer<'a, Option<Vec<BiosSetting>>>;
}
