//! Inspection, by implementation.

pub mod agent;
pub mod fake;
