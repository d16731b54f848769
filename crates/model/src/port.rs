//! Network ports.

use crate::{JsonObject, MacAddr, NodeUuid, PortUuid, PortgroupUuid, Timestamp};

/// A network port of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: PortUuid,
    /// The node it belongs to.
    pub node_uuid: NodeUuid,
    /// Its Ethernet address, unique.
    pub address: MacAddr,
    /// Unique logical name.
    pub name: Option<String>,
    /// Whether the node may boot from it.
    pub pxe_enabled: bool,
    /// The switch and switch port it is plugged into.
    pub local_link_connection: JsonObject,
    /// The bond it is part of.
    pub portgroup_uuid: Option<PortgroupUuid>,
    /// The physical network it reaches; at most 64 characters.
    pub physical_network: Option<String>,
    /// Whether it belongs to a smart NIC.
    pub is_smartnic: bool,
    /// Whether it may be put into a group made at deployment.
    pub available_for_dynamic_portgroup: bool,
    /// Free text; at most 255 characters.
    pub description: Option<String>,
    /// The maker of the NIC; at most 32 characters.
    pub vendor: Option<String>,
    /// A label of the operator's; at most 80 characters.
    pub category: Option<String>,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// What the service keeps here (VIF identifiers).
    pub internal_info: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl Port {
    /// A port with the defaults of the API.
    pub fn new(node_uuid: NodeUuid, address: MacAddr, now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: PortUuid::random(),
            node_uuid,
            address,
            name: None,
            pxe_enabled: true,
            local_link_connection: JsonObject::default(),
            portgroup_uuid: None,
            physical_network: None,
            is_smartnic: false,
            available_for_dynamic_portgroup: true,
            description: None,
            vendor: None,
            category: None,
            extra: JsonObject::default(),
            internal_info: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
