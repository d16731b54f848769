//! Deploy templates: steps that a trait of an instance adds to its deployment.

use crate::{DeployTemplateUuid, JsonObject, PlannedStep, Timestamp};

/// A deploy template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployTemplate {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: DeployTemplateUuid,
    /// The trait that asks for it; unique.
    pub name: String,
    /// What it adds; at least one.
    pub steps: Vec<PlannedStep>,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl DeployTemplate {
    /// A template with the defaults of the API, and no steps yet.
    pub fn new(name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: DeployTemplateUuid::random(),
            name: name.into(),
            steps: Vec::new(),
            extra: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
