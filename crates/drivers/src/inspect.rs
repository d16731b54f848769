//! Inspection, by implementation.

pub mod fake;
