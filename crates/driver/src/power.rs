//! The power interface.

use model::{Node, PowerState};
use provision::SeenFacts;
use std::time::Duration;

use crate::{Answer, DriverError};

/// A change of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerChange {
    /// Switch on.
    On,
    /// Wait for the machine to go off by itself for at most `grace`, then switch it off.
    Off {
        /// Zero switches off at once.
        grace: Duration,
    },
    /// Ask the operating system to shut down; an error when it has not within `limit`.
    SoftOff {
        /// How long.
        limit: Duration,
    },
    /// Start anew at once, without being off; one that is off is switched on.
    Reset,
}

/// Power by a BMC, or by whatever else switches a machine.
pub trait Power: Send + Sync {
    /// Whether the node's data suffice. Touches nothing.
    fn validate(&self, node: &Node) -> Result<(), DriverError>;

    /// The power state now. Called in any provision state; may be repeated.
    fn state<'a>(&'a self, node: &'a Node) -> Answer<'a, PowerState>;

    /// The power state, and what the same answer tells of the machine. With `thorough`, one more question may be asked
    /// in the same turn. For those who look at many machines again and again.
    fn look<'a>(&'a self, node: &'a Node, thorough: bool) -> Answer<'a, (PowerState, SeenFacts)> {
        let _ = thorough;
        Box::pin(async move { Ok((self.state(node).await?, SeenFacts::default())) })
    }

    /// Changes power and returns the state once the machine has reached it. May be repeated: a machine that is already
    /// there is left alone. `PowerStuck` when the machine does not get there in time.
    fn change<'a>(&'a self, node: &'a Node, change: PowerChange) -> Answer<'a, PowerState>;
}
