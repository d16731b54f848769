//! The console interface: the machine's screen or serial line for people.

use model::Node;
use serde_json::Value;

use crate::{Answer, DriverError};

/// The console of a node. Whether it is on is the node's `console_enabled`, which the engine keeps.
pub trait Console: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// Switches it on. May be repeated.
    fn start<'a>(&'a self, node: &'a Node) -> Answer<'a, ()>;

    /// Switches it off. May be repeated.
    fn stop<'a>(&'a self, node: &'a Node) -> Answer<'a, ()>;

    /// How to reach it while it is on: an object, with `type` and `url` where there is something to reach.
    fn info<'a>(&'a self, node: &'a Node) -> Answer<'a, Value>;
}
