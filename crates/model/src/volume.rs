//! Remote volumes: how a node reaches storage, and which volumes it has there.

use crate::{JsonObject, NodeUuid, Timestamp, VolumeConnectorUuid, VolumeTargetUuid};

/// An address that a node has in a storage network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeConnector {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: VolumeConnectorUuid,
    /// The node it belongs to.
    pub node_uuid: NodeUuid,
    /// What the address is (the field `type`): `iqn`, `ip`, `mac`, `wwnn`, `wwpn`, `port`, `portgroup`; at most 32
    /// characters.
    pub kind: String,
    /// The address, unique among those of its type; at most 255 characters.
    pub connector_id: String,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl VolumeConnector {
    /// A connector that has no address yet.
    pub fn new(node_uuid: NodeUuid, now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: VolumeConnectorUuid::random(),
            node_uuid,
            kind: String::new(),
            connector_id: String::new(),
            extra: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}

/// A volume of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeTarget {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: VolumeTargetUuid,
    /// The node it belongs to.
    pub node_uuid: NodeUuid,
    /// How it is reached: `iscsi`, `fibre_channel`; at most 64 characters.
    pub volume_type: String,
    /// Its identifier in the storage service; at most 36 characters.
    pub volume_id: String,
    /// Its place in the boot order, unique for the node; the node boots from 0.
    pub boot_index: i64,
    /// What is needed to reach it, secrets among it.
    pub properties: JsonObject,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl VolumeTarget {
    /// A target that names no volume yet.
    pub fn new(node_uuid: NodeUuid, now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: VolumeTargetUuid::random(),
            node_uuid,
            volume_type: String::new(),
            volume_id: String::new(),
            boot_index: 0,
            properties: JsonObject::default(),
            extra: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
