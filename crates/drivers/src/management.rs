//! Management implementations.

pub mod fake;
pub mod ipmi;
pub mod noop;
