//! The tokio shell of the BMC protocols: sockets, sessions, pacing, retries and deadlines around the sans-IO crate
//! [`ipmi`]. It knows neither nodes nor drivers.
//!
//! * [`IpmiPool`] gives an [`IpmiClient`] for each BMC and keeps sessions between calls.
//! * [`redfish::RedfishPool`] does the same for the crate [`redfish`](::redfish), over HTTPS.
//! * [`emulator::IpmiServer`] serves an [`ipmi::server::Server`] on a UDP address, for simulated fleets and tests.
//!
//! One request is in flight to a BMC at a time: BMCs are small computers, and many answer wrongly or not at all when
//! they are asked two things at once. A BMC that does not answer costs its own callers a deadline once, then nothing
//! until the next probe, and other BMCs' callers nothing at all.

mod breaker;
mod client;
pub mod emulator;
mod error;
mod link;
mod measure;
mod options;
mod patience;
mod pool;
pub mod redfish;

pub use client::{BootSetting, IpmiClient, PowerState, SessionHold};
pub use error::{Error, Operation, Retry};
pub use measure::METRICS;
pub use options::{Credentials, Options, Target};
pub use patience::Patience;
pub use pool::IpmiPool;
