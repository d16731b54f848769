//! No network management: ports stay plugged where they are.

use driver::{Answer, DriverError, Network};
use model::Node;
use provision::NetworkChange;
use serde_json::Value;

/// Leaves networks alone. Attaching and detaching are accepted and forgotten, as clients that always do both expect.
#[derive(Debug)]
pub struct NoNetwork;

impl Network for NoNetwork {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn change<'a>(&'a self, _node: &'a Node, _change: NetworkChange) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn vifs<'a>(&'a self, _node: &'a Node) -> Answer<'a, Vec<Value>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn attach_vif<'a>(&'a self, _node: &'a Node, _vif: Value) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn detach_vif<'a>(&'a self, _node: &'a Node, _vif: String) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
