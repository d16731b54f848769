//! Implementations of the firmware interface.

pub mod fake;
