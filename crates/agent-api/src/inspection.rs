//! `POST /v1/continue_inspection`: the agent tells what it found in the machine.

use crate::inventory::Inventory;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body: an inventory, and anything else as data of the collectors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InspectionReport {
    /// What is in the machine.
    pub inventory: Inventory,
    /// `error`, `root_disk`, `boot_interface`, `configuration`, `logs`, …
    #[serde(flatten)]
    pub data: Map<String, Value>,
}

/// The reply of API 1.1: only the node's UUID.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InspectionReply {
    /// The node that matched.
    pub uuid: String,
}
