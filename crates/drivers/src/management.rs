//! Management implementations.

pub mod fake;
pub mod ipmi;
pub mod noop;
pub mod redfish;
mod redfish_clock;
mod redfish_firmware;
mod redfish_steps;
