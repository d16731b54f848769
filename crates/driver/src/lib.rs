//! One trait per hardware interface, what every driver shares, and the registry that finds a node's drivers.
//!
//! Drivers do one thing at a time and keep no state of a node: the engine decides, records and calls. Nothing here opens
//! a socket or reads a clock.

mod bios;
mod boot;
mod console;
mod deploy;
mod error;
mod firmware;
mod indicators;
mod inspect;
mod management;
mod media;
mod network;
mod power;
mod raid;
mod registry;
mod rescue;
mod steps;
mod vendor;

pub use bios::Bios;
pub use boot::Boot;
pub use console::Console;
pub use deploy::{AgentCall, AgentReply, Deploy, KnownAgent};
pub use error::{DriverError, Retry, with_causes};
pub use firmware::Firmware;
pub use indicators::Indicators;
pub use inspect::Inspect;
pub use management::Management;
pub use media::Media;
pub use network::Network;
pub use power::{Power, PowerChange};
pub use raid::{Raid, check_raid, raid_properties};
pub use registry::{Drivers, Registry, UnknownInterface};
pub use rescue::Rescue;
pub use steps::{StepReply, Steps};
pub use vendor::{Vendor, VendorRow};

use futures_util::future::BoxFuture;

/// What every driver method that touches the outside world returns.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, DriverError>>;
