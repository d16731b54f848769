//! Management implementations.

pub mod fake;
pub mod ipmi;
pub mod noop;
pub mod redfish;
