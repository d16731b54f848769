//! Requests about a node's hardware beside power and boot: RAID, indicators, virtual media, consoles.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_api::{HardwareRequests, Reply, RequestError, VendorCall, VendorReply};
use driver::{Indicators, Management, Media, UnknownInterface};
use model::{
    HardwareType, Indicator, IndicatorName, IndicatorState, InterfaceKind, JsonObject, MediaDevice,
    MediaDrive, MediaImage, Node, NodeUuid, Timestamp, VendorMethod,
};
use provision::Decision;
use serde_json::Value;

use crate::Conductor;
use crate::agent::request_error;
use crate::engine::Engine;
use crate::machine::ask;
use crate::request::driver_failed;

impl HardwareRequests for Conductor {
    fn set_target_raid(&self, node: NodeUuid, wanted: JsonObject) -> Reply<'_, ()> {
        Box::pin(self.engine.want_raid(node, wanted))
    }

    fn raid_properties(&self, driver: String) -> Reply<'_, BTreeMap<String, String>> {
        Box::pin(async move { self.engine.hardware_type(&driver).map(|_| driver::raid_properties()) })
    }

    fn vendor_methods(&self, node: NodeUuid) -> Reply<'_, BTreeMap<String, VendorMethod>> {
        Box::pin(self.engine.list_vendor_methods(node))
    }

    fn vendor_call(&self, node: NodeUuid, call: VendorCall) -> Reply<'_, VendorReply> {
        Box::pin(self.engine.while_in_office(self.engine.call_vendor(node, call)))
    }

    fn driver_methods(&self, driver: String) -> Reply<'_, BTreeMap<String, VendorMethod>> {
        Box::pin(async move { self.engine.list_driver_methods(&driver) })
    }

    fn driver_call(&self, driver: String, call: VendorCall) -> Reply<'_, VendorReply> {
        Box::pin(self.engine.while_in_office(self.engine.call_driver(driver, call)))
    }

    fn indicators(&self, node: NodeUuid) -> Reply<'_, Vec<Indicator>> {
        Box::pin(self.engine.list_indicators(node))
    }

    fn indicator(&self, node: NodeUuid, name: IndicatorName) -> Reply<'_, IndicatorState> {
        Box::pin(self.engine.read_indicator(node, name))
    }

    fn set_indicator(&self, node: NodeUuid, name: IndicatorName, state: IndicatorState) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.write_indicator(node, name, state)))
    }

    fn media(&self, node: NodeUuid) -> Reply<'_, Vec<MediaDrive>> {
        Box::pin(self.engine.list_media(node))
    }

    fn attach_media(&self, node: NodeUuid, image: MediaImage) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.put_media(node, image)))
    }

    fn detach_media(&self, node: NodeUuid, devices: Vec<MediaDevice>) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.take_media(node, devices)))
    }

    fn console(&self, node: NodeUuid) -> Reply<'_, Option<Value>> {
        Box::pin(self.engine.read_console(node))
    }

    fn set_console(&self, node: NodeUuid, on: bool) -> Reply<'_, ()> {
        Box::pin(self.engine.while_in_office(self.engine.switch_console(node, on)))
    }
}

/// Refuses a node that somebody works on.
pub(crate) fn unlocked(node: &Node) -> Result<(), RequestError> {
    match node.lease.as_ref().filter(|_| node.is_locked(Timestamp::now())) {
        Some(lease) => Err(RequestError::Locked {
            node: node.uuid.to_string(),
            holder: lease.holder.clone(),
            reason: lease.reason.clone(),
        }),
        None => Ok(()),
    }
}

/// What is said of a node that does without an interface.
pub(crate) fn without(node: &Node, kind: InterfaceKind) -> RequestError {
    RequestError::Unsupported(format!(
        "Node {} has no {kind} interface: its {kind}_interface is {}.",
        node.uuid,
        node.interfaces.get(kind).unwrap_or("not set")
    ))
}

/// An interface that a node can do without, where it is needed now.
pub(crate) fn needed<T: ?Sized>(
    found: Result<Option<Arc<T>>, UnknownInterface>,
    node: &Node,
    kind: InterfaceKind,
) -> Result<Arc<T>, RequestError> {
    let found = found.map_err(|error| RequestError::Invalid(error.to_string()))?;
    found.ok_or_else(|| without(node, kind))
}

/// The lights of a node, where its driver can reach them.
fn lights<'a>(management: &'a dyn Management, node: &Node) -> Result<&'a dyn Indicators, RequestError> {
    management.validate(node).map_err(|error| driver_failed(&error))?;
    management.indicators().ok_or_else(|| unable(node, "indicators"))
}

/// Virtual media of a node, where its driver has any.
fn drives<'a>(management: &'a dyn Management, node: &Node) -> Result<&'a dyn Media, RequestError> {
    management.validate(node).map_err(|error| driver_failed(&error))?;
    management.media().ok_or_else(|| unable(node, "virtual media"))
}

fn unable(node: &Node, what: &str) -> RequestError {
    let management = node.interfaces.get(InterfaceKind::Management).unwrap_or("not set");
    RequestError::Unsupported(format!(
        "The management interface of node {}, which is {management}, has no {what}.",
        node.uuid
    ))
}

/// RAID.
impl Engine {
    /// A hardware type that this conductor offers.
    pub(crate) fn hardware_type(&self, name: &str) -> Result<&HardwareType, RequestError> {
        let found = self.registry.hardware_types.iter().find(|hardware| hardware.name == name);
        found.ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            RequestError::Unavailable(format!("This conductor does not offer driver {shown}."))
        })
    }

    pub(crate) async fn want_raid(&self, uuid: NodeUuid, wanted: JsonObject) -> Result<(), RequestError> {
        let turn = self
            .turn(uuid, |mut node, flow, _| {
                unlocked(&node)?;
                if !wanted.is_empty() {
                    let raid = needed(self.registry.raid(&node), &node, InterfaceKind::Raid)?;
                    raid.check(&wanted).map_err(|error| driver_failed(&error))?;
                }
                node.target_raid_config = wanted.clone();
                Ok(Decision::rest(node, flow))
            })
            .await;
        turn.map(drop).map_err(|error| request_error(uuid, error))
    }
}

/// Indicators.
impl Engine {
    pub(crate) async fn list_indicators(&self, uuid: NodeUuid) -> Result<Vec<Indicator>, RequestError> {
        let node = self.node(uuid).await?;
        let management = self.drivers(&node)?.management;
        ask(lights(management.as_ref(), &node)?.list(&node)).await
    }

    pub(crate) async fn read_indicator(
        &self,
        uuid: NodeUuid,
        name: IndicatorName,
    ) -> Result<IndicatorState, RequestError> {
        let node = self.node(uuid).await?;
        let management = self.drivers(&node)?.management;
        let lights = lights(management.as_ref(), &node)?;
        known(ask(lights.list(&node)).await?, &name, &node)?;
        ask(lights.state(&node, &name)).await
    }

    pub(crate) async fn write_indicator(
        &self,
        uuid: NodeUuid,
        name: IndicatorName,
        state: IndicatorState,
    ) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        unlocked(&node)?;
        let management = self.drivers(&node)?.management;
        let lights = lights(management.as_ref(), &node)?;
        let indicator = known(ask(lights.list(&node)).await?, &name, &node)?;
        if indicator.readonly {
            return Err(RequestError::Invalid(format!("Indicator {name} cannot be set.")));
        }
        if !indicator.states.contains(&state) {
            let states = indicator.states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
            return Err(RequestError::Invalid(format!("Indicator {name} cannot be {state}, only {states}.")));
        }
        ask(lights.set(&node, &name, state)).await
    }
}

/// The indicator called `name`.
fn known(list: Vec<Indicator>, name: &IndicatorName, node: &Node) -> Result<Indicator, RequestError> {
    list.into_iter().find(|indicator| indicator.name == *name).ok_or_else(|| {
        let shown: String = name.to_string().chars().take(64).collect();
        RequestError::Invalid(format!("Node {} has no indicator {shown}.", node.uuid))
    })
}

/// Virtual media.
impl Engine {
    pub(crate) async fn list_media(&self, uuid: NodeUuid) -> Result<Vec<MediaDrive>, RequestError> {
        let node = self.node(uuid).await?;
        let management = self.drivers(&node)?.management;
        ask(drives(management.as_ref(), &node)?.drives(&node)).await
    }

    pub(crate) async fn put_media(&self, uuid: NodeUuid, image: MediaImage) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        unlocked(&node)?;
        let management = self.drivers(&node)?.management;
        ask(drives(management.as_ref(), &node)?.attach(&node, &image)).await?;
        tracing::info!(node = %uuid, device = %image.device, "virtual media attached");
        Ok(())
    }

    pub(crate) async fn take_media(
        &self,
        uuid: NodeUuid,
        devices: Vec<MediaDevice>,
    ) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        unlocked(&node)?;
        let management = self.drivers(&node)?.management;
        let devices = if devices.is_empty() { MediaDevice::ALL.to_vec() } else { devices };
        ask(drives(management.as_ref(), &node)?.detach(&node, &devices)).await?;
        tracing::info!(node = %uuid, ?devices, "virtual media detached");
        Ok(())
    }
}
