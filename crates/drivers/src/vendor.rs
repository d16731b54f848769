//! Implementations of the vendor interface.

pub mod fake;
pub mod ipmi;
