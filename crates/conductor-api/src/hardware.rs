//! What the API asks of conductors about a node's hardware beside power and boot: RAID, vendor methods, indicators,
//! virtual media, consoles.

use std::collections::BTreeMap;

use model::{
    Indicator, IndicatorName, IndicatorState, JsonObject, MediaDevice, MediaDrive, MediaImage, NodeUuid,
    VendorMethod,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Reply;

/// A call of a vendor's method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorCall {
    /// The method.
    pub method: String,
    /// The HTTP method of the request, in capitals.
    pub http_method: String,
    /// The body.
    pub args: JsonObject,
}

/// How a call of a vendor's method went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorReply {
    /// Whether it is only begun.
    pub is_async: bool,
    /// Whether the result is to be sent as a file: then it is a string.
    pub attach: bool,
    /// The result; null when it is only begun.
    pub value: Value,
}

/// Requests about hardware. `Unsupported` when the node's driver lacks the interface or the ability.
pub trait HardwareRequests: Send + Sync + 'static {
    /// Notes the RAID that is wanted of a node, after its driver has checked it; an empty object wants none.
    fn set_target_raid(&self, node: NodeUuid, wanted: JsonObject) -> Reply<'_, ()>;

    /// What can be said of a logical disk with the driver: names and descriptions. `NotFound` for an unknown driver.
    fn raid_properties(&self, driver: String) -> Reply<'_, BTreeMap<String, String>>;

    /// The vendor methods of a node, by name.
    fn vendor_methods(&self, node: NodeUuid) -> Reply<'_, BTreeMap<String, VendorMethod>>;

    /// Calls a vendor method of a node.
    fn vendor_call(&self, node: NodeUuid, call: VendorCall) -> Reply<'_, VendorReply>;

    /// The vendor methods of a driver, by name: those that need no node.
    fn driver_methods(&self, driver: String) -> Reply<'_, BTreeMap<String, VendorMethod>>;

    /// Calls a vendor method of a driver.
    fn driver_call(&self, driver: String, call: VendorCall) -> Reply<'_, VendorReply>;

    /// The lights that a node has.
    fn indicators(&self, node: NodeUuid) -> Reply<'_, Vec<Indicator>>;

    /// What a light does now.
    fn indicator(&self, node: NodeUuid, name: IndicatorName) -> Reply<'_, IndicatorState>;

    /// Sets a light.
    fn set_indicator(&self, node: NodeUuid, name: IndicatorName, state: IndicatorState) -> Reply<'_, ()>;

    /// The drives for virtual media that a node has.
    fn media(&self, node: NodeUuid) -> Reply<'_, Vec<MediaDrive>>;

    /// Shows an image to a node. Answers once that is begun; a failure is told in the node's `last_error`.
    fn attach_media(&self, node: NodeUuid, image: MediaImage) -> Reply<'_, ()>;

    /// Takes images of these kinds of devices away from a node, of all when none is named. Answers as `attach_media`.
    fn detach_media(&self, node: NodeUuid, devices: Vec<MediaDevice>) -> Reply<'_, ()>;

    /// How the console of a node is reached; `None` while it is off.
    fn console(&self, node: NodeUuid) -> Reply<'_, Option<Value>>;

    /// Switches the console of a node. Answers once that is begun; a failure is told in the node's `last_error`.
    fn set_console(&self, node: NodeUuid, on: bool) -> Reply<'_, ()>;
}
