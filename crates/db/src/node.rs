//! Nodes: what can be asked of them. The columns are in `columns`, reading in `read`, writing in `write`.

pub(crate) mod columns;
pub(crate) mod read;
pub(crate) mod write;

use model::{ChassisUuid, Fault, InterfaceKind, MacAddr, NodeUuid, ProvisionState, Timestamp};

use crate::Scope;

/// What names one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKey {
    /// Its identifier.
    Uuid(NodeUuid),
    /// Its logical name.
    Name(String),
    /// The address of one of its ports.
    Address(MacAddr),
    /// The user's machine that lives on it.
    Instance(String),
}

impl From<NodeUuid> for NodeKey {
    fn from(uuid: NodeUuid) -> Self {
        Self::Uuid(uuid)
    }
}

/// Which nodes a list has; what is `None` (or empty, where it says so) does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFilter {
    /// One of these; an empty set has no nodes. At most 16,384.
    pub uuids: Option<Vec<NodeUuid>>,
    /// The user's machine.
    pub instance_uuid: Option<String>,
    /// The user's name for it.
    pub instance_name: Option<String>,
    /// In this chassis.
    pub chassis_uuid: Option<ChassisUuid>,
    /// Whether it has an `instance_uuid`.
    pub associated: Option<bool>,
    /// Whether it is in maintenance.
    pub maintenance: Option<bool>,
    /// Whether its console is on.
    pub console_enabled: Option<bool>,
    /// Whether it is to leave the site.
    pub retired: Option<bool>,
    /// In one of these states; empty: in any.
    pub provision_states: Vec<ProvisionState>,
    /// Of this hardware type.
    pub driver: Option<String>,
    /// Of this resource class.
    pub resource_class: Option<String>,
    /// With this fault.
    pub fault: Option<Fault>,
    /// In this conductor group (the empty one is the default group).
    pub conductor_group: Option<String>,
    /// Owned by this project.
    pub owner: Option<String>,
    /// Leased by this project.
    pub lessee: Option<String>,
    /// Owned or leased by this project.
    pub project: Option<String>,
    /// With this text in the description; upper and lower case ASCII are the same.
    pub description_contains: Option<String>,
    /// In one of these shards; an empty set has no nodes.
    pub shards: Option<Vec<String>>,
    /// Whether it has a shard.
    pub sharded: Option<bool>,
    /// Whether nodes that are part of another one are listed, too.
    pub include_children: bool,
    /// Only the parts of this node.
    pub parent_node: Option<NodeUuid>,
    /// Leased (worked on) by this conductor, whether or not the lease has run out.
    pub lease_holder: Option<String>,
    /// With a lease that has run out by this time.
    pub lease_expired_at: Option<Timestamp>,
}

/// A page of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeQuery {
    /// Which nodes the caller may see.
    pub visible_to: Scope,
    /// Which of them it wants.
    pub filter: NodeFilter,
    /// In which order; equal ones follow their row number.
    pub sort_key: NodeSort,
    /// Whether the order is reversed.
    pub descending: bool,
    /// The last node of the page before.
    pub marker: Option<NodeUuid>,
    /// The most nodes on the page; `usize::MAX` for all.
    pub limit: usize,
}

impl NodeQuery {
    /// All nodes that are not part of another one, oldest first.
    pub fn new(visible_to: Scope) -> Self {
        Self {
            visible_to,
            filter: NodeFilter::default(),
            sort_key: NodeSort::Id,
            descending: false,
            marker: None,
            limit: usize::MAX,
        }
    }
}

macro_rules! node_sorts {
    ($($variant:ident = $wire:literal in $column:literal;)*) => {
        /// The columns that nodes can be ordered by: all but JSON and traits. Absent values come first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum NodeSort {
            /// The row number: the order of enrolment.
            #[default]
            Id,
            $(#[doc = concat!("The field `", $wire, "`.")] $variant,)*
            /// The implementation of an interface.
            Interface(InterfaceKind),
        }

        impl NodeSort {
            /// Every order but those by interface.
            pub const FIELDS: &'static [Self] = &[Self::Id, $(Self::$variant),*];

            /// The order by the field of this name on the wire; `None` when there is no such order.
            pub fn from_field(name: &str) -> Option<Self> {
                match name {
                    "id" => Some(Self::Id),
                    $($wire => Some(Self::$variant),)*
                    _ => name.strip_suffix("_interface")?.parse().ok().map(Self::Interface),
                }
            }

            pub(crate) fn column(self) -> &'static str {
                match self {
                    Self::Id => "id",
                    $(Self::$variant => $column,)*
                    Self::Interface(kind) => columns::interface_column(kind),
                }
            }
        }
    };
}

node_sorts! {
    Uuid = "uuid" in "uuid";
    Name = "name" in "name";
    Driver = "driver" in "driver";
    InstanceUuid = "instance_uuid" in "instance_uuid";
    InstanceName = "instance_name" in "instance_name";
    ChassisUuid = "chassis_uuid" in "chassis_uuid";
    ProvisionState = "provision_state" in "provision_state";
    TargetProvisionState = "target_provision_state" in "target_provision_state";
    ProvisionUpdatedAt = "provision_updated_at" in "provision_updated_at";
    PowerState = "power_state" in "power_state";
    TargetPowerState = "target_power_state" in "target_power_state";
    LastError = "last_error" in "last_error";
    Maintenance = "maintenance" in "maintenance";
    MaintenanceReason = "maintenance_reason" in "maintenance_reason";
    Fault = "fault" in "fault";
    Reservation = "reservation" in "lease_holder";
    ConsoleEnabled = "console_enabled" in "console_enabled";
    ResourceClass = "resource_class" in "resource_class";
    ConductorGroup = "conductor_group" in "conductor_group";
    AutomatedClean = "automated_clean" in "automated_clean";
    Protected = "protected" in "protected";
    ProtectedReason = "protected_reason" in "protected_reason";
    Retired = "retired" in "retired";
    RetiredReason = "retired_reason" in "retired_reason";
    Owner = "owner" in "owner";
    Lessee = "lessee" in "lessee";
    Description = "description" in "description";
    Shard = "shard" in "shard";
    ParentNode = "parent_node" in "parent_node";
    DisablePowerOff = "disable_power_off" in "disable_power_off";
    BootMode = "boot_mode" in "boot_mode";
    SecureBoot = "secure_boot" in "secure_boot";
    Health = "health" in "health";
    InspectionStartedAt = "inspection_started_at" in "inspection_started_at";
    InspectionFinishedAt = "inspection_finished_at" in "inspection_finished_at";
    CreatedAt = "created_at" in "created_at";
    UpdatedAt = "updated_at" in "updated_at";
}
