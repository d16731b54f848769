//! The nouns of bare metal: nodes, ports, traits, typed ids, units and their validation.
//!
//! Knows nothing of HTTP, SQL or hardware: no IO but the one reading of the wall clock in [`Timestamp::now`].

mod boot;
mod capabilities;
mod conductor;
mod hardware;
mod ids;
mod json;
mod mac;
mod name;
mod node;
mod port;
mod power;
mod secret;
mod state;
mod time;
mod traits;

pub use boot::{BootDevice, BootMode};
pub use capabilities::Capabilities;
pub use conductor::Conductor;
pub use hardware::{HardwareType, InterfaceKind, InterfaceSet};
pub use ids::{ChassisUuid, FlowId, HistoryUuid, NodeUuid, PortUuid, PortgroupUuid};
pub use json::{JsonObject, NotAnObject};
pub use mac::{InvalidMac, MacAddr};
pub use name::{InvalidName, NODE_NAMES_RESERVED, validate_hostname, validate_logical_name};
pub use node::{BootIntent, Fault, Lease, Node};
pub use port::Port;
pub use power::{PowerState, PowerTarget};
pub use secret::Secret;
pub use state::{ParseStateError, ProvisionState};
pub use time::{InvalidTimestamp, Timestamp};
pub use traits::{InvalidTrait, Trait};
