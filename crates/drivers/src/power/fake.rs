//! Power that obeys at once: for trying clients and for tests of the API.

use driver::{Answer, DriverError, Power, PowerChange};
use model::{Node, PowerState};

/// Power of a machine that is not there. Its state is the node's own record.
#[derive(Debug)]
pub struct FakePower;

impl Power for FakePower {
    fn validate(&self, _node: &Node) -> Result<(), DriverError> {
        Ok(())
    }

    fn state<'a>(&'a self, node: &'a Node) -> Answer<'a, PowerState> {
        let state = node.power_state.unwrap_or(PowerState::Off);
        Box::pin(async move { Ok(state) })
    }

    fn change<'a>(&'a self, _node: &'a Node, change: PowerChange) -> Answer<'a, PowerState> {
        let state = match change {
            PowerChange::On | PowerChange::Reset => PowerState::On,
            PowerChange::Off { .. } | PowerChange::SoftOff { .. } => PowerState::Off,
        };
        Box::pin(async move { Ok(state) })
    }
}
