//! Network implementations.

pub mod noop;
