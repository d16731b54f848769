//! Consoles of machines that are not there: they go on and off, and there is nothing to reach.

use driver::{Answer, Console, DriverError};
use model::Node;
use serde_json::{Value, json};

/// A console of nothing.
#[derive(Debug)]
pub struct FakeConsole;

impl Console for FakeConsole {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn start<'a>(&'a self, _node: &'a Node) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn stop<'a>(&'a self, _node: &'a Node) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn info<'a>(&'a self, _node: &'a Node) -> Answer<'a, Value> {
        Box::pin(async { Ok(json!({})) })
    }
}
