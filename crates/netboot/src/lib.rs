//! Network boot: DHCP, TFTP, HTTP and router advertisement servers on one provisioning network, as tokio tasks.
//!
//! What a machine boots is asked of a [`BootSource`] at the moment it asks: no files to write, nothing to reload. Which file
//! that makes for which firmware is one pure function, [`decide`]. Everything that a machine does on the way is
//! reported to [`BootSource::record`]. Nothing here knows databases, drivers or provisioning states.

mod address_book;
mod decide;
mod dhcp_server;
mod directory;
mod error;
#[cfg(test)]
mod failures;
mod http;
mod loader;
mod measure;
mod options;
mod router_advertisement;
mod script;
mod service;
mod socket;
mod source;
mod tftp_server;

pub use boot_trace::BootEventKind;
pub use decide::{BootFile, decide};
pub use directory::Directory;
pub use error::NetbootError;
pub use measure::METRICS;
pub use options::{DhcpMode, Options, PoolRange, RelayedNetwork};
pub use script::{BootScriptError, boot_script};
pub use service::{Bound, Running, serve, serve_http};
pub use source::{
    Area, BootEvent, BootSource, BootTarget, FileContent, FileSource, HostBoot, RamdiskBoot, ServedFile,
};
