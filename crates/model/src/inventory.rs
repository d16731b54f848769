//! What inspection found out about a node.

use crate::JsonObject;

/// The data of a node's last inspection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeInventory {
    /// The hardware as the ramdisk or the BMC listed it.
    pub inventory: JsonObject,
    /// What plug-ins made of it.
    pub plugin_data: JsonObject,
}
