//! Power implementations.

pub mod fake;
pub mod ipmi;
pub mod redfish;
