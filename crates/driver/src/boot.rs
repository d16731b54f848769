//! The boot interface: how the ramdisk and the user's system get started.

use model::Node;

use crate::DriverError;

/// A way to boot. What a machine is given over the network follows from the node's boot intent, which the engine
/// records; an interface only says whether the node can be booted its way.
pub trait Boot: Send + Sync {
    /// Whether the node's data and the service's configuration suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;
}
