//! The nouns of bare metal: nodes, ports, traits, typed ids, units and their validation.
//!
//! Knows nothing of HTTP, SQL or hardware: no IO but the one reading of the wall clock in [`Timestamp::now`].

mod allocation;
mod bios_setting;
mod boot;
mod capabilities;
mod chassis;
mod conductor;
mod deploy_template;
mod firmware_component;
mod hardware;
mod ids;
mod indicator;
mod inspection_rule;
mod inventory;
mod json;
mod json_list;
mod mac;
mod name;
mod node;
mod planned_step;
mod port;
mod portgroup;
mod power;
pub mod root_device;
mod runbook;
mod scope;
mod secret;
mod state;
mod time;
mod traits;
mod vendor_method;
mod virtual_media;
mod volume;

pub use allocation::{Allocation, AllocationState, InvalidAllocationState};
pub use bios_setting::BiosSetting;
pub use boot::{BootDevice, BootMode};
pub use capabilities::Capabilities;
pub use chassis::Chassis;
pub use conductor::Conductor;
pub use deploy_template::DeployTemplate;
pub use firmware_component::FirmwareComponent;
pub use hardware::{HardwareType, InterfaceKind, InterfaceSet};
pub use ids::{AllocationUuid, DeployTemplateUuid, InspectionRuleUuid, RunbookUuid};
pub use ids::{
    ChassisUuid, FlowId, HistoryUuid, NodeUuid, PortUuid, PortgroupUuid, VolumeConnectorUuid,
    VolumeTargetUuid,
};
pub use indicator::{Indicator, IndicatorName, IndicatorState};
pub use inspection_rule::{InspectionRule, MAIN_PHASE};
pub use inventory::NodeInventory;
pub use json::{JsonObject, NotAnObject};
pub use json_list::JsonList;
pub use mac::{InvalidMac, MacAddr};
pub use name::{InvalidName, NODE_NAMES_RESERVED, validate_hostname, validate_logical_name};
pub use node::{BootIntent, Fault, Lease, Node};
pub use planned_step::PlannedStep;
pub use port::Port;
pub use portgroup::Portgroup;
pub use power::{PowerState, PowerTarget};
pub use runbook::Runbook;
pub use scope::{Scope, Stake};
pub use secret::Secret;
pub use state::{ParseStateError, ProvisionState};
pub use time::{InvalidTimestamp, Timestamp};
pub use traits::{InvalidTrait, Trait};
pub use vendor_method::VendorMethod;
pub use virtual_media::{MediaDevice, MediaDrive, MediaImage, MediaSource};
pub use volume::{VolumeConnector, VolumeTarget};
