//! The network interface: which networks a machine is plugged into, phase by phase.

use model::Node;
use provision::NetworkChange;
use serde_json::Value;

use crate::{Answer, DriverError};

/// Networks of a node.
pub trait Network: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// Makes the change. May be repeated.
    fn change<'a>(&'a self, node: &'a Node, change: NetworkChange) -> Answer<'a, ()>;

    /// Attached virtual interfaces, each `{"id": …}`.
    fn vifs<'a>(&'a self, node: &'a Node) -> Answer<'a, Vec<Value>>;

    /// Attaches one; the object is the request's.
    fn attach_vif<'a>(&'a self, node: &'a Node, vif: Value) -> Answer<'a, ()>;

    /// Detaches one.
    fn detach_vif<'a>(&'a self, node: &'a Node, vif: String) -> Answer<'a, ()>;
}
