//! What the API asks of conductors: one trait, in-process today, over a bus between hosts.
//!
//! Everything here is about one node and is either an intent (recorded, then worked on; the answer only says that it was
//! accepted) or a question that needs the node's BMC now. Knows neither HTTP nor drivers.

mod hardware;

pub use hardware::{HardwareRequests, VendorCall, VendorReply};

mod progress;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::{
    AllocationUuid, BootDevice, BootMode, HardwareType, InterfaceKind, JsonObject, Node, NodeUuid,
    PowerTarget,
};
use provision::{Asker, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use progress::{NodeProgress, RemainingStep};

/// A change of provision state that a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct ProvisionArgs {
    /// URL, base64 of a gzip ISO 9660 image, or an object to build one from.
    pub configdrive: Option<Value>,
    /// Steps of a manual cleaning.
    pub clean_steps: Option<Vec<Value>>,
    /// Steps of a deployment that the caller adds or replaces.
    pub deploy_steps: Option<Vec<Value>>,
    /// Steps of a servicing.
    pub service_steps: Option<Vec<Value>>,
    /// Password for `rescue`.
    pub rescue_password: Option<model::Secret>,
    /// Run the steps without booting the ramdisk.
    pub disable_ramdisk: bool,
    /// Who asks, for the node's history.
    pub user: Option<String>,
    /// The caller's project, for the node's history.
    pub project: Option<String>,
}

/// The verdict of one interface of a node: `Ok` or why not; `None` when it is not supported at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceVerdict {
    /// Whether it could be used; null on the wire when the interface is not supported.
    pub result: Option<bool>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The boot device that a BMC reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentBootDevice {
    /// Null when the BMC names none.
    pub boot_device: Option<BootDevice>,
    /// Whether it stays set after the next boot; null when unknown.
    pub persistent: Option<bool>,
}

/// What an agent says of itself in a heartbeat.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// Where its command server listens; empty for one-way agents.
    pub callback_url: String,
    /// Its version.
    pub agent_version: Option<String>,
    /// The token that lookup gave it.
    pub agent_token: Option<model::Secret>,
    /// PEM of its certificate.
    pub agent_verify_ca: Option<String>,
    /// `start`, `end` or `error`, of one-way agents.
    pub agent_status: Option<String>,
    /// Free text beside it.
    pub agent_status_message: Option<String>,
}

/// What an agent knows of the machine it woke up on.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// Ethernet addresses, invalid ones already dropped.
    pub addresses: Vec<model::MacAddr>,
    /// The node, when the agent was told.
    pub node_uuid: Option<NodeUuid>,
    /// Whether a token is to be made (API 1.62 and newer).
    pub wants_token: bool,
}

/// What a ramdisk reports of the machine that it inspected.
#[derive(Debug, Clone)]
pub struct InspectionReport {
    /// The node, when the ramdisk was told.
    pub node_uuid: Option<NodeUuid>,
    /// Ethernet addresses of the machine, invalid ones already dropped.
    pub addresses: Vec<model::MacAddr>,
    /// Addresses of its BMC.
    pub bmc_addresses: Vec<String>,
    /// The inventory, and whatever else the ramdisk says.
    pub data: model::NodeInventory,
    /// Whether a token is to be made (API 1.84 and newer).
    pub wants_token: bool,
}

/// The answer to a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupReply {
    /// The node found.
    pub node: Arc<Node>,
    /// The `config` member of the reply.
    pub config: JsonObject,
}

/// Progress of a long agent command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProgress {
    /// The command, as `write_image`.
    pub command: String,
    /// What it does now, as `writing`.
    pub phase: String,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, when known.
    pub bytes_total: Option<u64>,
}

/// Why a request was not accepted. The text is shown to the caller as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RequestError {
    /// No such node.
    #[error("Node {0} could not be found.")]
    NotFound(String),
    /// Somebody else works on the node: 409.
    #[error(
        "Node {node} is locked by host {holder} ({reason}), please retry after the current operation is completed."
    )]
    Locked {
        /// The node.
        node: String,
        /// The conductor.
        holder: String,
        /// What it does.
        reason: String,
    },
    /// The request makes no sense for the node as it is or as it is configured: 400.
    #[error("{0}")]
    Invalid(String),
    /// The request conflicts with the node's state: 409.
    #[error("{0}")]
    Conflict(String),
    /// The node is protected: 403.
    #[error("{0}")]
    Forbidden(String),
    /// The driver has no such interface or method: 400.
    #[error("{0}")]
    Unsupported(String),
    /// The agent's token is missing or wrong: 400.
    #[error("{0}")]
    BadToken(String),
    /// The lookup found no node that may be told: 404, the same text for every cause.
    #[error("Could not find a node for the given addresses or UUID in a state that allows lookup.")]
    LookupNotFound,
    /// The BMC did not do as asked: 400 or 500 as `transient` says.
    #[error("{message}")]
    Hardware {
        /// What was tried and what came back.
        message: String,
        /// Whether trying again may help.
        transient: bool,
    },
    /// No conductor or no room: 503.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of the service: 500.
    #[error("{0}")]
    Internal(String),
}

/// A future answer.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, RequestError>>;

/// The conductors, as the API sees them.
pub trait Conductors: HardwareRequests {
    /// Host name of the conductor in charge of the node; `None` when nobody is.
    fn conductor_of(&self, node: &Node) -> Option<String>;

    /// The hardware types that conductors offer, by name, in alphabetical order.
    fn hardware_types(&self) -> Arc<[HardwareType]>;

    /// Hosts that offer the hardware type.
    fn hosts_of(&self, hardware_type: &str) -> Vec<String>;

    /// Records the wish to move a node and starts to work on it. Answers once it is recorded.
    fn provision(&self, node: NodeUuid, verb: Verb, args: ProvisionArgs) -> Reply<'_, ()>;

    /// Records the wish of `asker` to change a node's power and starts to work on it.
    fn set_power(
        &self,
        node: NodeUuid,
        target: PowerTarget,
        timeout: Option<Duration>,
        asker: Asker,
    ) -> Reply<'_, ()>;

    /// Asks every interface of the node whether it could be used. Does not touch the BMC.
    fn validate(&self, node: NodeUuid) -> Reply<'_, BTreeMap<InterfaceKind, InterfaceVerdict>>;

    /// Asks the BMC for the boot device.
    fn boot_device(&self, node: NodeUuid) -> Reply<'_, CurrentBootDevice>;

    /// Sets the boot device.
    fn set_boot_device(&self, node: NodeUuid, device: BootDevice, persistent: bool) -> Reply<'_, ()>;

    /// The boot devices that the node's driver can set.
    fn supported_boot_devices(&self, node: NodeUuid) -> Reply<'_, Vec<BootDevice>>;

    /// Records the wish for a firmware mode and sets it.
    fn set_boot_mode(&self, node: NodeUuid, mode: BootMode) -> Reply<'_, ()>;

    /// Records the wish for secure boot and sets it.
    fn set_secure_boot(&self, node: NodeUuid, on: bool) -> Reply<'_, ()>;

    /// Raises a non-maskable interrupt.
    fn inject_nmi(&self, node: NodeUuid) -> Reply<'_, ()>;

    /// The virtual network interfaces attached to the node, each a `{"id": …}` object.
    fn vifs(&self, node: NodeUuid) -> Reply<'_, Vec<Value>>;

    /// Attaches a virtual network interface; `vif` is the request's body.
    fn attach_vif(&self, node: NodeUuid, vif: Value) -> Reply<'_, ()>;

    /// Detaches a virtual network interface.
    fn detach_vif(&self, node: NodeUuid, vif: String) -> Reply<'_, ()>;

    /// Finds the node that an agent runs on.
    fn lookup(&self, lookup: Lookup) -> Reply<'_, LookupReply>;

    /// Takes what a ramdisk reports of its machine. Answers once that is stored.
    fn inspected(&self, report: InspectionReport) -> Reply<'_, LookupReply>;

    /// Takes note that an agent lives.
    fn heartbeat(&self, node: NodeUuid, heartbeat: Heartbeat) -> Reply<'_, ()>;

    /// Starts to look for a node for a recorded allocation. Answers at once: the allocation says how it ends.
    fn allocate(&self, allocation: AllocationUuid) -> Reply<'_, ()>;

    /// Takes note of an agent's progress; kept in memory only.
    fn agent_progress(&self, node: NodeUuid, token: model::Secret, progress: AgentProgress) -> Reply<'_, ()>;

    /// Where the node stands.
    fn progress(&self, node: NodeUuid) -> Reply<'_, NodeProgress>;
}
