//! Groups of bonded ports.

use crate::{JsonObject, MacAddr, NodeUuid, PortgroupUuid, Timestamp};

/// Several ports of a node that act as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portgroup {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Identifier.
    pub uuid: PortgroupUuid,
    /// The node it belongs to.
    pub node_uuid: NodeUuid,
    /// The Ethernet address of the bond, unique.
    pub address: Option<MacAddr>,
    /// Unique logical name.
    pub name: Option<String>,
    /// The bonding mode in Linux's words.
    pub mode: String,
    /// Whether its ports also work one by one, as they must while a machine boots from the network.
    pub standalone_ports_supported: bool,
    /// The physical network it reaches; at most 64 characters.
    pub physical_network: Option<String>,
    /// A label of the operator's; at most 80 characters.
    pub category: Option<String>,
    /// Options of the bond.
    pub properties: JsonObject,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// What the service keeps here (VIF identifiers).
    pub internal_info: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl Portgroup {
    /// The bonding mode of groups that are made without one: one port works, another takes over when it fails.
    pub const DEFAULT_MODE: &'static str = "active-backup";

    /// A group with the defaults of the API.
    pub fn new(node_uuid: NodeUuid, now: Timestamp) -> Self {
        Self {
            id: 0,
            uuid: PortgroupUuid::random(),
            node_uuid,
            address: None,
            name: None,
            mode: Self::DEFAULT_MODE.to_owned(),
            standalone_ports_supported: true,
            physical_network: None,
            category: None,
            properties: JsonObject::default(),
            extra: JsonObject::default(),
            internal_info: JsonObject::default(),
            created_at: now,
            updated_at: None,
        }
    }
}
