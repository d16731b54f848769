//! One trait per hardware interface, what every driver shares, and the registry that finds a node's drivers.
//!
//! Drivers do one thing at a time and keep no state of a node: the engine decides, records and calls. Nothing here opens
//! a socket or reads a clock.

mod boot;
mod deploy;
mod error;
mod inspect;
mod management;
mod network;
mod power;
mod registry;
mod rescue;
mod steps;

pub use boot::Boot;
pub use deploy::{AgentCall, AgentReply, Deploy};
pub use error::{DriverError, Retry, with_causes};
pub use inspect::Inspect;
pub use management::Management;
pub use network::Network;
pub use power::{Power, PowerChange};
pub use registry::{Drivers, Registry, UnknownInterface};
pub use rescue::Rescue;
pub use steps::{StepReply, Steps};

use futures_util::future::BoxFuture;

/// What every driver method that touches the outside world returns.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DriverError>>;
