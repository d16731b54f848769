//! Ports: what can be asked of them. The statements are in `rows`.

pub(crate) mod rows;

use model::{MacAddr, NodeUuid, PortUuid, PortgroupUuid};

use crate::Scope;

/// What names one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortKey {
    /// Its identifier.
    Uuid(PortUuid),
    /// Its logical name.
    Name(String),
    /// Its Ethernet address.
    Address(MacAddr),
}

/// Which ports a list has; what is `None` does not filter, an empty set has no ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortFilter {
    /// Of one of these nodes. At most 16,384.
    pub nodes: Option<Vec<NodeUuid>>,
    /// With one of these addresses. At most 16,384.
    pub addresses: Option<Vec<MacAddr>>,
    /// In this bond.
    pub portgroup_uuid: Option<PortgroupUuid>,
    /// Of a node in one of these shards.
    pub shards: Option<Vec<String>>,
    /// With this text in the description; upper and lower case ASCII are the same.
    pub description_contains: Option<String>,
    /// Of a node in one of these conductor groups.
    pub conductor_groups: Option<Vec<String>>,
}

/// A page of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortQuery {
    /// Whose nodes' ports the caller may see.
    pub visible_to: Scope,
    /// Which of them it wants.
    pub filter: PortFilter,
    /// In which order; equal ones follow their row number.
    pub sort_key: PortSort,
    /// Whether the order is reversed.
    pub descending: bool,
    /// The last port of the page before.
    pub marker: Option<PortUuid>,
    /// The most ports on the page; `usize::MAX` for all.
    pub limit: usize,
}

impl PortQuery {
    /// All ports, oldest first.
    pub fn new(visible_to: Scope) -> Self {
        Self {
            visible_to,
            filter: PortFilter::default(),
            sort_key: PortSort::Id,
            descending: false,
            marker: None,
            limit: usize::MAX,
        }
    }

    /// The ports of one node, oldest first.
    pub fn of_node(visible_to: Scope, node: NodeUuid) -> Self {
        let mut query = Self::new(visible_to);
        query.filter.nodes = Some(vec![node]);
        query
    }
}

macro_rules! port_sorts {
    ($($variant:ident = $column:literal;)*) => {
        /// The columns that ports can be ordered by: all but JSON. Absent values come first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum PortSort {
            /// The row number: the order of creation.
            #[default]
            Id,
            $(#[doc = concat!("The field `", $column, "`.")] $variant,)*
        }

        impl PortSort {
            /// Every order.
            pub const ALL: &'static [Self] = &[Self::Id, $(Self::$variant),*];

            /// The order by the field of this name on the wire; `None` when there is no such order.
            pub fn from_field(name: &str) -> Option<Self> {
                match name {
                    "id" => Some(Self::Id),
                    $($column => Some(Self::$variant),)*
                    _ => None,
                }
            }

            pub(crate) fn column(self) -> &'static str {
                match self {
                    Self::Id => "id",
                    $(Self::$variant => $column,)*
                }
            }
        }
    };
}

port_sorts! {
    Uuid = "uuid";
    NodeUuid = "node_uuid";
    Address = "address";
    Name = "name";
    PxeEnabled = "pxe_enabled";
    PortgroupUuid = "portgroup_uuid";
    PhysicalNetwork = "physical_network";
    IsSmartnic = "is_smartnic";
    AvailableForDynamicPortgroup = "available_for_dynamic_portgroup";
    Description = "description";
    Vendor = "vendor";
    Category = "category";
    CreatedAt = "created_at";
    UpdatedAt = "updated_at";
}
