//! The tokio shell of Redfish: connections, logins, conditions, retries and deadlines around the sans-IO crate
//! [`redfish`]. It knows neither nodes nor drivers.
//!
//! [`RedfishPool`] gives a [`RedfishClient`] for each machine and keeps logins between calls. One request is in flight to a
//! BMC at a time; a BMC that does not answer, or that refuses the password, is left alone until the next probe. Credentials
//! go to the origin they were given for and to no other: redirects and links that lead elsewhere are errors.

mod client;
mod error;
mod exchange;
mod login;
mod options;
mod pool;
mod turn;
mod upkeep;

pub use client::RedfishClient;
pub use error::{Error, Operation};
pub use options::{
    Address, Auth, BadAddress, BadAuthorities, BadSystemId, Credentials, MAX_AUTHORITIES, Options, Password,
    SystemId, Verify,
};
pub use pool::RedfishPool;
