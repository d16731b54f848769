//! Steps that are written down to be run later: those of deploy templates and runbooks.

use crate::JsonObject;

/// A step and when its turn is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// The interface that offers it, as `bios`.
    pub interface: String,
    /// Its name.
    pub step: String,
    /// What it is given.
    pub args: JsonObject,
    /// Deploy templates run steps of a higher number first (0 switches a step off); runbooks run steps of a lower
    /// number first, and call it `order`.
    pub priority: i64,
}
