//! Composes the service from its parts, by one configuration: store, conductor, API, network boot.
//!
//! The only place that reads the configuration; nothing below it knows where its settings come from.

pub mod config;

mod administrator;
mod boot_source;
mod explain;
mod file_source;
mod identity;
mod logging;
mod messaging;
mod observe;
mod reach;
mod roles;
mod run;
mod site;
mod working;

pub use config::{Config, ConfigError};
pub use explain::explain;
pub use identity::rules;
pub use logging::start_logging;
pub use roles::{Role, Roles, UnknownRole};
pub use run::{install_tls_provider, serve};
