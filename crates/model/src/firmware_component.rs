//! Firmware of the parts of nodes, as it was read last.

use crate::Timestamp;

/// Firmware of one part of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareComponent {
    /// The part, unique on the node: `bios`, `bmc` or `nic:<id>`.
    pub component: String,
    /// The version that it was seen with first.
    pub initial_version: Option<String>,
    /// The version that it was seen with last.
    pub current_version: Option<String>,
    /// The version that was written last.
    pub last_version_flashed: Option<String>,
    /// Who made the part.
    pub vendor: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// When it was seen first.
    pub created_at: Timestamp,
    /// When it was seen changed last.
    pub updated_at: Option<Timestamp>,
}

impl FirmwareComponent {
    /// A part that was seen with a version now.
    pub fn new(component: impl Into<String>, version: Option<String>, now: Timestamp) -> Self {
        Self {
            component: component.into(),
            initial_version: version.clone(),
            current_version: version,
            last_version_flashed: None,
            vendor: None,
            model: None,
            serial_number: None,
            created_at: now,
            updated_at: None,
        }
    }
}
