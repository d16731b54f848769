//! Nodes: the physical machines.

use serde::{Deserialize, Serialize};

use crate::{
    BootMode, ChassisUuid, InterfaceSet, JsonObject, NodeUuid, PowerState, PowerTarget, ProvisionState,
    Timestamp, Trait,
};

/// Why a node was put into maintenance by the service itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// Its power state could not be read.
    #[serde(rename = "power failure")]
    Power,
    /// Cleaning failed in a step.
    #[serde(rename = "clean failure")]
    Clean,
    /// Aborting a rescue failed.
    #[serde(rename = "rescue abort failure")]
    RescueAbort,
    /// Servicing failed in a step.
    #[serde(rename = "service failure")]
    Service,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::Power, Self::Clean, Self::RescueAbort, Self::Service];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Power => "power failure",
            Self::Clean => "clean failure",
            Self::RescueAbort => "rescue abort failure",
            Self::Service => "service failure",
        }
    }
}

/// What a machine that asks over the network is given to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootIntent {
    /// Nothing: it gets an address, no boot file.
    #[default]
    None,
    /// The deploy ramdisk.
    Ramdisk,
    /// Its own disk.
    Disk,
}

impl BootIntent {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ramdisk => "ramdisk",
            Self::Disk => "disk",
        }
    }

    /// Reads the name in the store; anything unknown is `None`.
    pub fn from_stored(text: &str) -> Self {
        match text {
            "ramdisk" => Self::Ramdisk,
            "disk" => Self::Disk,
            _ => Self::None,
        }
    }
}

/// The right to work on a node, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The conductor that holds it: `reservation` on the wire.
    pub holder: String,
    /// Until when, unless renewed.
    pub expires_at: Timestamp,
    /// What for, as shown to operators.
    pub reason: String,
}

/// A physical machine.
///
/// `revision` counts the writes of the row: every write names the revision it was decided on, so that two writers
/// never undo each other's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Row number, the default sort key; 0 before it is stored.
    pub id: i64,
    /// Number of writes so far.
    pub revision: i64,
    /// Identifier.
    pub uuid: NodeUuid,
    /// Unique logical name.
    pub name: Option<String>,
    /// Hardware type.
    pub driver: String,
    /// How to reach the BMC, and secrets.
    pub driver_info: JsonObject,
    /// What drivers remember.
    pub driver_internal_info: JsonObject,
    /// Facts: `cpu_arch`, `memory_mb`, `capabilities`, `root_device` …
    pub properties: JsonObject,
    /// What is, or is to be, deployed.
    pub instance_info: JsonObject,
    /// The user's machine that lives on it; unique.
    pub instance_uuid: Option<String>,
    /// The user's name for it; 1 to 255 characters.
    pub instance_name: Option<String>,
    /// Whatever the operator keeps here.
    pub extra: JsonObject,
    /// Static network configuration in OpenStack's `network_data` form.
    pub network_data: JsonObject,
    /// The chassis it is in.
    pub chassis_uuid: Option<ChassisUuid>,
    /// Where it stands in its life.
    pub provision_state: ProvisionState,
    /// Where it is going.
    pub target_provision_state: Option<ProvisionState>,
    /// When `provision_state` was touched last.
    pub provision_updated_at: Option<Timestamp>,
    /// Power as last observed.
    pub power_state: Option<PowerState>,
    /// A change of power that is under way.
    pub target_power_state: Option<PowerTarget>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Whether the service keeps its hands off.
    pub maintenance: bool,
    /// Why.
    pub maintenance_reason: Option<String>,
    /// Set when the service itself switched maintenance on.
    pub fault: Option<Fault>,
    /// Who works on it now.
    pub lease: Option<Lease>,
    /// Counts the leases given so far: a holder of an old one can write nothing.
    pub lease_epoch: i64,
    /// Whether the serial console is on.
    pub console_enabled: bool,
    /// The implementation of each interface.
    pub interfaces: InterfaceSet,
    /// For schedulers; at most 80 characters.
    pub resource_class: Option<String>,
    /// Qualities.
    pub traits: Vec<Trait>,
    /// Group of conductors that may work on it; lower case, at most 255.
    pub conductor_group: String,
    /// Whether automated cleaning runs; `None` follows the configuration.
    pub automated_clean: Option<bool>,
    /// Whether it is protected from rebuild and deletion.
    pub protected: bool,
    /// Why.
    pub protected_reason: Option<String>,
    /// Whether it is to leave the site.
    pub retired: bool,
    /// Why.
    pub retired_reason: Option<String>,
    /// Owning project; at most 255 characters.
    pub owner: Option<String>,
    /// Leasing project; at most 255 characters.
    pub lessee: Option<String>,
    /// Free text; at most 4096 characters.
    pub description: Option<String>,
    /// Shard key; at most 255 characters.
    pub shard: Option<String>,
    /// The node whose part it is (a DPU in a server).
    pub parent_node: Option<NodeUuid>,
    /// Whether power off is refused.
    pub disable_power_off: bool,
    /// Firmware mode as read from the BMC.
    pub boot_mode: Option<BootMode>,
    /// Secure boot as read from the BMC.
    pub secure_boot: Option<bool>,
    /// Health as read from the BMC: OK, Warning, Critical.
    pub health: Option<String>,
    /// The cleaning step being run.
    pub clean_step: JsonObject,
    /// The deploy step being run.
    pub deploy_step: JsonObject,
    /// The service step being run.
    pub service_step: JsonObject,
    /// RAID as it is.
    pub raid_config: JsonObject,
    /// RAID as wanted.
    pub target_raid_config: JsonObject,
    /// The allocation it serves.
    pub allocation_uuid: Option<String>,
    /// What it is given when it boots over the network.
    pub boot_intent: BootIntent,
    /// When the last inspection began.
    pub inspection_started_at: Option<Timestamp>,
    /// When it ended.
    pub inspection_finished_at: Option<Timestamp>,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
}

impl Node {
    /// A node with the defaults of the API, in `enroll`.
    pub fn new(driver: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id: 0,
            revision: 0,
            uuid: NodeUuid::random(),
            name: None,
            driver: driver.into(),
            driver_info: JsonObject::default(),
            driver_internal_info: JsonObject::default(),
            properties: JsonObject::default(),
            instance_info: JsonObject::default(),
            instance_uuid: None,
            instance_name: None,
            extra: JsonObject::default(),
            network_data: JsonObject::default(),
            chassis_uuid: None,
            provision_state: ProvisionState::Enroll,
            target_provision_state: None,
            provision_updated_at: None,
            power_state: None,
            target_power_state: None,
            last_error: None,
            maintenance: false,
            maintenance_reason: None,
            fault: None,
            lease: None,
            lease_epoch: 0,
            console_enabled: false,
            interfaces: InterfaceSet::default(),
            resource_class: None,
            traits: Vec::new(),
            conductor_group: String::new(),
            automated_clean: None,
            protected: false,
            protected_reason: None,
            retired: false,
            retired_reason: None,
            owner: None,
            lessee: None,
            description: None,
            shard: None,
            parent_node: None,
            disable_power_off: false,
            boot_mode: None,
            secure_boot: None,
            health: None,
            clean_step: JsonObject::default(),
            deploy_step: JsonObject::default(),
            service_step: JsonObject::default(),
            raid_config: JsonObject::default(),
            target_raid_config: JsonObject::default(),
            allocation_uuid: None,
            boot_intent: BootIntent::None,
            inspection_started_at: None,
            inspection_finished_at: None,
            created_at: now,
            updated_at: None,
        }
    }

    /// Whether a live lease is held on it.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.expires_at > now)
    }
}
