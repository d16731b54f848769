//! Methods that an interface of a vendor offers beside the API: who may call them and how.

use serde::{Deserialize, Serialize};

/// What callers are told of a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorMethod {
    /// The HTTP methods that it takes, in capitals.
    pub http_methods: Vec<String>,
    /// Whether the caller is answered before it is done.
    #[serde(rename = "async")]
    pub is_async: bool,
    /// What it does.
    pub description: String,
    /// Whether its result is a file, and not JSON.
    pub attach: bool,
    /// Whether nobody else may work on the node meanwhile; methods of drivers work on no node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_exclusive_lock: Option<bool>,
}
