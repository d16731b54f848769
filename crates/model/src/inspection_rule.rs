//! Inspection rules: what is done to a node when its inspection data fulfils conditions.

use crate::{InspectionRuleUuid, JsonList, Timestamp};

/// The only phase in which rules run.
pub const MAIN_PHASE: &str = "main";

/// An inspection rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectionRule {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: InspectionRuleUuid,
    /// Free text; at most 255 characters.
    pub description: Option<String>,
    /// When it runs.
    pub phase: Option<String>,
    /// Rules of a higher number run first; 0 to 9999.
    pub priority: i64,
    /// Whether conditions and actions are kept from callers. Never taken back.
    pub sensitive: bool,
    /// All have to hold; objects with `op` and `args`.
    pub conditions: JsonList,
    /// What is done; objects with `op` and `args`.
    pub actions: JsonList,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl InspectionRule {
    /// A rule with the defaults of the API, and no actions yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: InspectionRuleUuid::random(),
            description: None,
            phase: Some(MAIN_PHASE.to_owned()),
            priority: 0,
            sensitive: false,
            conditions: JsonList::default(),
            actions: JsonList::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
