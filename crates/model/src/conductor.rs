//! Conductors: the processes that work on nodes.

use crate::Timestamp;

/// A registered conductor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conductor {
    /// Row number, the default sort key.
    pub id: i64,
    /// Its name, which is also the holder shown in a node's `reservation`.
    pub hostname: String,
    /// The group whose nodes it takes; empty is the default group.
    pub conductor_group: String,
    /// Names of the hardware types it offers.
    pub drivers: Vec<String>,
    /// False after a graceful stop, and once others declared it dead.
    pub online: bool,
    /// Counts its registrations, and how often it was declared dead: only the current one may write.
    pub epoch: i64,
    /// When it registered first.
    pub created_at: Timestamp,
    /// Its last sign of life.
    pub updated_at: Option<Timestamp>,
}
