//! Questions and orders that need the node's BMC or network now, without a flow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use conductor_api::{CurrentBootDevice, InterfaceVerdict, NodeProgress, RequestError};
use driver::{Answer, DriverError, UnknownInterface};
use model::{BootDevice, BootMode, InterfaceKind, Node, NodeUuid};
use serde_json::Value;

use crate::agent::request_error;
use crate::engine::Engine;
use crate::hardware::{needed, unlocked, without};
use crate::request::driver_failed;

/// How long a caller is kept waiting for a BMC.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for a driver, with an end.
pub(crate) async fn ask<T>(answer: Answer<'_, T>) -> Result<T, RequestError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(result) => result.map_err(|error| driver_failed(&error)),
        Err(_) => Err(RequestError::Hardware {
            message: format!("The hardware did not answer within {} s.", PATIENCE.as_secs()),
            transient: true,
        }),
    }
}

/// As [`ask`], for what a driver may not be able to do at all.
async fn ask_if_able<T>(answer: Option<Answer<'_, T>>, what: &str, node: &Node) -> Result<T, RequestError> {
    match answer {
        Some(answer) => ask(answer).await,
        None => Err(RequestError::Unsupported(format!("Driver {} does not support {what}.", node.driver))),
    }
}

fn verdict(result: Result<(), DriverError>) -> InterfaceVerdict {
    match result {
        Ok(()) => InterfaceVerdict { result: Some(true), reason: None },
        Err(error) => InterfaceVerdict { result: Some(false), reason: Some(error.to_string()) },
    }
}

/// The verdict of an interface that a node can do without.
fn optional<T: ?Sized>(
    found: Result<Option<Arc<T>>, UnknownInterface>,
    node: &Node,
    kind: InterfaceKind,
    validate: impl FnOnce(&T) -> Result<(), DriverError>,
) -> InterfaceVerdict {
    match needed(found, node, kind) {
        Ok(interface) => verdict(validate(&interface)),
        Err(error) => InterfaceVerdict { result: Some(false), reason: Some(error.to_string()) },
    }
}

/// The verdict of an interface that has nothing to validate: whether the node has it.
fn chosen(node: &Node, kind: InterfaceKind) -> InterfaceVerdict {
    match node.interfaces.get(kind) {
        Some(name) if !name.starts_with("no-") => InterfaceVerdict { result: Some(true), reason: None },
        _ => {
            let reason = without(node, kind).to_string();
            InterfaceVerdict { result: Some(false), reason: Some(reason) }
        }
    }
}

impl Engine {
    pub(crate) async fn node(&self, uuid: NodeUuid) -> Result<Node, RequestError> {
        Ok(self.load(uuid).await.map_err(|error| request_error(uuid, error))?.0)
    }

    pub(crate) async fn verdicts(
        &self,
        uuid: NodeUuid,
    ) -> Result<BTreeMap<InterfaceKind, InterfaceVerdict>, RequestError> {
        let node = self.node(uuid).await?;
        let drivers = self.drivers(&node)?;
        // What a vendor's method needs is known when it is called.
        let kinds = InterfaceKind::ALL.into_iter().filter(|kind| *kind != InterfaceKind::Vendor);
        Ok(kinds
            .map(|kind| {
                let verdict = match kind {
                    InterfaceKind::Power => verdict(drivers.power.validate(&node)),
                    InterfaceKind::Management => verdict(drivers.management.validate(&node)),
                    InterfaceKind::Boot => verdict(drivers.boot.validate(&node)),
                    InterfaceKind::Deploy => verdict(drivers.deploy.validate(&node)),
                    InterfaceKind::Network => verdict(drivers.network.validate(&node)),
                    InterfaceKind::Inspect if drivers.inspect.is_some() => {
                        verdict(drivers.inspect.as_ref().map_or(Ok(()), |inspect| inspect.validate(&node)))
                    }
                    InterfaceKind::Rescue if drivers.rescue.is_some() => {
                        verdict(drivers.rescue.as_ref().map_or(Ok(()), |rescue| rescue.validate(&node)))
                    }
                    InterfaceKind::Bios => {
                        optional(self.registry.bios(&node), &node, kind, |it| it.validate(&node))
                    }
                    InterfaceKind::Console => {
                        optional(self.registry.console(&node), &node, kind, |it| it.validate(&node))
                    }
                    InterfaceKind::Firmware => {
                        optional(self.registry.firmware(&node), &node, kind, |it| it.validate(&node))
                    }
                    InterfaceKind::Raid => {
                        optional(self.registry.raid(&node), &node, kind, |it| it.validate(&node))
                    }
                    other => chosen(&node, other),
                };
                (kind, verdict)
            })
            .collect())
    }

    pub(crate) async fn read_boot_device(&self, uuid: NodeUuid) -> Result<CurrentBootDevice, RequestError> {
        let node = self.node(uuid).await?;
        let (boot_device, persistent) = ask(self.drivers(&node)?.management.boot_device(&node)).await?;
        Ok(CurrentBootDevice { boot_device, persistent })
    }

    pub(crate) async fn write_boot_device(
        &self,
        uuid: NodeUuid,
        device: BootDevice,
        persistent: bool,
    ) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        unlocked(&node)?;
        let management = self.drivers(&node)?.management;
        management.validate(&node).map_err(|error| driver_failed(&error))?;
        let supported = management.supported_boot_devices(&node);
        if !supported.contains(&device) {
            let list = supported.iter().map(|device| device.as_str()).collect::<Vec<_>>().join(", ");
            return Err(RequestError::Invalid(format!(
                "Boot device {device} is not supported by the node's management interface; it supports {list}."
            )));
        }
        ask(management.set_boot_device(&node, device, persistent)).await
    }

    pub(crate) async fn boot_devices(&self, uuid: NodeUuid) -> Result<Vec<BootDevice>, RequestError> {
        let node = self.node(uuid).await?;
        Ok(self.drivers(&node)?.management.supported_boot_devices(&node))
    }

    pub(crate) async fn write_boot_mode(&self, uuid: NodeUuid, mode: BootMode) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        let management = self.drivers(&node)?.management;
        ask_if_able(management.set_boot_mode(&node, mode), "setting the boot mode", &node).await?;
        self.note_firmware(uuid, Some(mode), None).await
    }

    pub(crate) async fn write_secure_boot(&self, uuid: NodeUuid, on: bool) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        let management = self.drivers(&node)?.management;
        ask_if_able(management.set_secure_boot(&node, on), "setting secure boot", &node).await?;
        self.note_firmware(uuid, None, Some(on)).await
    }

    async fn note_firmware(
        &self,
        uuid: NodeUuid,
        mode: Option<BootMode>,
        secure: Option<bool>,
    ) -> Result<(), RequestError> {
        let turn = self
            .turn(uuid, |mut node, flow, _| {
                node.boot_mode = mode.or(node.boot_mode);
                node.secure_boot = secure.or(node.secure_boot);
                Ok(provision::Decision::rest(node, flow))
            })
            .await;
        turn.map(drop).map_err(|error| request_error(uuid, error))
    }

    pub(crate) async fn raise_nmi(&self, uuid: NodeUuid) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        unlocked(&node)?;
        let management = self.drivers(&node)?.management;
        ask_if_able(management.inject_nmi(&node), "non-maskable interrupts", &node).await
    }

    pub(crate) async fn list_vifs(&self, uuid: NodeUuid) -> Result<Vec<Value>, RequestError> {
        let node = self.node(uuid).await?;
        ask(self.drivers(&node)?.network.vifs(&node)).await
    }

    pub(crate) async fn attach(&self, uuid: NodeUuid, vif: Value) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        ask(self.drivers(&node)?.network.attach_vif(&node, vif)).await
    }

    pub(crate) async fn detach(&self, uuid: NodeUuid, vif: String) -> Result<(), RequestError> {
        let node = self.node(uuid).await?;
        ask(self.drivers(&node)?.network.detach_vif(&node, vif)).await
    }

    pub(crate) async fn standing(&self, uuid: NodeUuid) -> Result<NodeProgress, RequestError> {
        let (_, flow) = self.load(uuid).await.map_err(|error| request_error(uuid, error))?;
        Ok(NodeProgress::of(flow.as_ref(), self.progress.get(uuid).as_ref()))
    }
}
