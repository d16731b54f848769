//! Runbooks: steps under a name, for cleaning and servicing.

use crate::{JsonObject, PlannedStep, RunbookUuid, Timestamp, Trait};

/// A runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runbook {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: RunbookUuid,
    /// Unique name.
    pub name: String,
    /// Free text; at most 255 characters.
    pub description: Option<String>,
    /// Whether its steps run without a ramdisk.
    pub disable_ramdisk: bool,
    /// Whether every project may use it; then it has no owner.
    pub public: bool,
    /// The project it belongs to.
    pub owner: Option<String>,
    /// A node needs one of these to be run on; in order, each once.
    pub traits: Vec<Trait>,
    /// What it runs; at least one.
    pub steps: Vec<PlannedStep>,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl Runbook {
    /// A runbook with the defaults of the API, and no steps yet.
    pub fn new(name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: RunbookUuid::random(),
            name: name.into(),
            description: None,
            disable_ramdisk: false,
            public: false,
            owner: None,
            traits: Vec::new(),
            steps: Vec::new(),
            extra: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
