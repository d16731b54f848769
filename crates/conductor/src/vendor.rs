//! Calls of vendors' methods: of a node, or of a driver without one. What takes its time goes on as a task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use conductor_api::{RequestError, VendorCall, VendorReply};
use driver::{Vendor, VendorRow};
use model::{InterfaceKind, NodeUuid, VendorMethod};
use provision::{Decision, Note};
use serde_json::Value;

use crate::engine::Engine;
use crate::hardware::unlocked;
use crate::machine::ask;
use crate::request::driver_failed;

/// How long a method may take that nobody waits for.
const LIMIT: Duration = Duration::from_mins(10);

/// The methods as callers see them.
fn told(rows: &[VendorRow], of_node: bool) -> BTreeMap<String, VendorMethod> {
    rows.iter().map(|row| (row.name.to_owned(), row.told(of_node))).collect()
}

/// The method that a call names, if it takes the request's HTTP method.
fn chosen<'a>(rows: &'a [VendorRow], call: &VendorCall) -> Result<&'a VendorRow, RequestError> {
    let shown: String = call.method.chars().take(64).collect();
    let Some(row) = rows.iter().find(|row| row.name == call.method) else {
        return Err(RequestError::Invalid(format!("There is no vendor method '{shown}' here.")));
    };
    if row.http_methods.contains(&call.http_method.as_str()) {
        return Ok(row);
    }
    let takes = row.http_methods.join(", ");
    Err(RequestError::Invalid(format!("Vendor method {shown} takes {takes}, not {}.", call.http_method)))
}

impl Engine {
    pub(crate) async fn list_vendor_methods(
        &self,
        uuid: NodeUuid,
    ) -> Result<BTreeMap<String, VendorMethod>, RequestError> {
        let node = self.node(uuid).await?;
        let vendor = self.registry.vendor(&node).map_err(|error| RequestError::Invalid(error.to_string()))?;
        Ok(told(vendor.as_ref().map_or(&[], |vendor| vendor.methods()), true))
    }

    pub(crate) async fn call_vendor(
        self: &Arc<Self>,
        uuid: NodeUuid,
        call: VendorCall,
    ) -> Result<VendorReply, RequestError> {
        let node = self.node(uuid).await?;
        let vendor = self.registry.vendor(&node).map_err(|error| RequestError::Invalid(error.to_string()))?;
        let row = *chosen(vendor.as_ref().map_or(&[], |vendor| vendor.methods()), &call)?;
        let vendor = vendor.ok_or_else(|| crate::hardware::without(&node, InterfaceKind::Vendor))?;
        if row.exclusive {
            unlocked(&node)?;
        }
        vendor.validate(&node, row.name, &call.args).map_err(|error| driver_failed(&error))?;
        tracing::info!(node = %uuid, method = row.name, "vendor method called");
        let reply = |value| VendorReply { is_async: row.is_async, attach: row.attach, value };
        if !row.is_async {
            return ask(vendor.call(&node, row.name, &call.args)).await.map(reply);
        }
        let engine = Arc::clone(self);
        self.in_background(async move {
            let done = tokio::time::timeout(LIMIT, vendor.call(&node, row.name, &call.args)).await;
            let problem = match done {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it did not end within {} s.", LIMIT.as_secs()),
            };
            engine.note_failed_call(uuid, format!("Vendor method {} failed: {problem}", row.name)).await;
        })?;
        Ok(reply(Value::Null))
    }

    /// A call that nobody waits for has failed: the node says so.
    async fn note_failed_call(&self, uuid: NodeUuid, text: String) {
        tracing::warn!(node = %uuid, error = text, "a vendor method failed");
        let turn = self
            .turn(uuid, |mut node, flow, _| {
                node.last_error = Some(text.clone());
                let note = Note { event_type: "vendor", error: true, text: text.clone() };
                Ok(Decision { notes: vec![note], ..Decision::rest(node, flow) })
            })
            .await;
        if let Err(error) = turn {
            tracing::warn!(node = %uuid, error = &error as &dyn std::error::Error, "cannot record a failure");
        }
    }

    /// The default vendor interface of a driver, when it has one.
    fn vendor_of(&self, driver: &str) -> Result<Option<&Arc<dyn Vendor>>, RequestError> {
        let name = self.hardware_type(driver)?.default_interface(InterfaceKind::Vendor);
        Ok(name.and_then(|name| self.registry.vendor.get(name)))
    }

    pub(crate) fn list_driver_methods(
        &self,
        driver: &str,
    ) -> Result<BTreeMap<String, VendorMethod>, RequestError> {
        let vendor = self.vendor_of(driver)?;
        Ok(told(vendor.map_or(&[], |vendor| vendor.driver_methods()), false))
    }

    pub(crate) async fn call_driver(
        self: &Arc<Self>,
        driver: String,
        call: VendorCall,
    ) -> Result<VendorReply, RequestError> {
        let vendor = self.vendor_of(&driver)?.cloned();
        let row = *chosen(vendor.as_ref().map_or(&[], |vendor| vendor.driver_methods()), &call)?;
        let vendor =
            vendor.ok_or_else(|| RequestError::Unsupported(format!("Driver {driver} has no vendor.")))?;
        tracing::info!(driver, method = row.name, "vendor method called");
        let reply = |value| VendorReply { is_async: row.is_async, attach: row.attach, value };
        if !row.is_async {
            return ask(vendor.driver_call(row.name, &call.args)).await.map(reply);
        }
        self.in_background(async move {
            match tokio::time::timeout(LIMIT, vendor.driver_call(row.name, &call.args)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(driver, method = row.name, %error, "a vendor method failed");
                }
                Err(_) => tracing::warn!(driver, method = row.name, "a vendor method did not end in time"),
            }
        })?;
        Ok(reply(Value::Null))
    }

    /// Does work that nobody waits for, until the service stops. `Unavailable` when there is too much of it.
    fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), RequestError> {
        let Ok(permit) = Arc::clone(&self.background).try_acquire_owned() else {
            return Err(RequestError::Unavailable(
                "Too much is going on in the background; please retry later.".to_owned(),
            ));
        };
        let (stop, tenure) = (self.stop.clone(), self.tenure());
        self.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                done = tenure.within(work) => if done.is_none() {
                    tracing::warn!("the lease was lost: what was done in the background is left");
                },
                () = stop.cancelled() => {}
            }
        });
        Ok(())
    }
}
