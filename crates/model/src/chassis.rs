//! Chassis.

use crate::{ChassisUuid, JsonObject, Timestamp};

/// Something that nodes are mounted in, for operators' bookkeeping alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chassis {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: ChassisUuid,
    /// Free text; at most 255 characters.
    pub description: Option<String>,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl Chassis {
    /// A chassis without a description.
    pub fn new(now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: ChassisUuid::random(),
            description: None,
            extra: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
