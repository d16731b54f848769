//! Allocations: a wish for a node of a class, and the node that was found for it.

use std::fmt;
use std::str::FromStr;

use crate::{AllocationUuid, JsonObject, NodeUuid, Timestamp, Trait};

/// How far an allocation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllocationState {
    /// A node is being looked for.
    Allocating,
    /// It has its node.
    Active,
    /// No node was found; `last_error` says why.
    Error,
}

impl AllocationState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Allocating, Self::Active, Self::Error];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allocating => "allocating",
            Self::Active => "active",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for AllocationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no state of an allocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no state of an allocation: expected allocating, active or error")]
pub struct InvalidAllocationState(pub String);

impl FromStr for AllocationState {
    type Err = InvalidAllocationState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| InvalidAllocationState(text.chars().take(64).collect()))
    }
}

/// An allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier; becomes the `instance_uuid` of the node.
    pub uuid: AllocationUuid,
    /// Unique name; a node of the same name is tried first.
    pub name: Option<String>,
    /// The node found.
    pub node_uuid: Option<NodeUuid>,
    /// How far it has come.
    pub state: AllocationState,
    /// Why no node was found.
    pub last_error: Option<String>,
    /// The class that the node has to have; `None` only for an allocation made for a node without one.
    pub resource_class: Option<String>,
    /// The project it belongs to; its node has to be owned or leased by the same.
    pub owner: Option<String>,
    /// The node has to have all of these.
    pub traits: Vec<Trait>,
    /// The node has to be one of these; any, when empty.
    pub candidate_nodes: Vec<NodeUuid>,
    /// Whatever the user keeps here.
    pub extra: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl Allocation {
    /// An allocation with the defaults of the API, still without a class.
    pub fn new(now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: AllocationUuid::random(),
            name: None,
            node_uuid: None,
            state: AllocationState::Allocating,
            last_error: None,
            resource_class: None,
            owner: None,
            traits: Vec::new(),
            candidate_nodes: Vec::new(),
            extra: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
