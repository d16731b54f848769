//! Intents of callers: checked, recorded, answered, then worked on.

use std::sync::Arc;
use std::time::Duration;

use conductor_api::{ProvisionArgs, RequestError};
use driver::{DriverError, Drivers, Retry};
use model::{Node, NodeUuid, PowerState, PowerTarget};
use provision::{FsmEvent, Refusal, Verb, check, perform, perform_power};
use serde_json::Value;

use crate::agent::request_error;
use crate::engine::Engine;

/// How long a soft power off may take where the caller does not say, in seconds.
const SOFT_POWER_OFF_LIMIT: u32 = 600;

/// A refusal of the core, as the API shows it.
fn refused(refusal: &Refusal) -> RequestError {
    let text = refusal.to_string();
    match refusal {
        Refusal::WrongState { .. } | Refusal::Maintenance { .. } | Refusal::Retired { .. } => {
            RequestError::Invalid(text)
        }
        Refusal::Protected { .. } => RequestError::Forbidden(text),
        Refusal::Unsupported { .. } => RequestError::Unsupported(text),
        Refusal::Busy { .. } => RequestError::Conflict(text),
    }
}

/// A driver's failure, as the API shows it.
pub(crate) fn driver_failed(error: &DriverError) -> RequestError {
    match error.retry() {
        Retry::Permanent => RequestError::Invalid(error.to_string()),
        Retry::Transient => RequestError::Hardware { message: error.to_string(), transient: true },
        Retry::NeedsOperator => RequestError::Hardware { message: error.to_string(), transient: false },
    }
}

/// Puts what the caller sent along into the node.
fn store_arguments(node: &mut Node, verb: Verb, args: &ProvisionArgs) {
    if matches!(verb.event(), FsmEvent::Deploy | FsmEvent::Rebuild)
        && let Some(drive) = &args.configdrive
    {
        node.instance_info.set("configdrive", drive.clone());
    }
}

impl Engine {
    pub(crate) async fn request_provision(
        self: &Arc<Self>,
        uuid: NodeUuid,
        verb: Verb,
        args: ProvisionArgs,
    ) -> Result<(), RequestError> {
        let turn = self
            .turn(uuid, |mut node, flow, world| {
                check(&node, flow.as_ref(), verb).map_err(|refusal| refused(&refusal))?;
                store_arguments(&mut node, verb, &args);
                self.validate_for(&node, verb)?;
                let mut decided = perform(node, flow, verb, world).map_err(|refusal| refused(&refusal))?;
                if let Some(note) = decided.notes.first_mut()
                    && let Some(user) = &args.user
                {
                    note.text = format!("{} (asked for by {user})", note.text);
                }
                Ok(decided)
            })
            .await;
        let (node, effect) = turn.map_err(|error| request_error(uuid, error))?;
        tracing::info!(node = %uuid, %verb, state = %node.provision_state, "accepted");
        self.follow(node, effect);
        Ok(())
    }

    /// What can be known to fail is refused at once, before the node moves.
    fn validate_for(&self, node: &Node, verb: Verb) -> Result<(), RequestError> {
        let begins = matches!(verb.event(), FsmEvent::Deploy | FsmEvent::Rebuild | FsmEvent::Provide)
            || (verb == Verb::Manage && node.provision_state == model::ProvisionState::Enroll);
        if !begins {
            return Ok(());
        }
        let drivers = self.drivers(node)?;
        let failed = |what: &str, error: &DriverError| {
            RequestError::Invalid(format!("Failed to validate {what} of node {}: {error}", node.uuid))
        };
        drivers.power.validate(node).map_err(|error| failed("power", &error))?;
        match verb.event() {
            FsmEvent::Deploy | FsmEvent::Rebuild => {
                validate_traits(node)?;
                drivers.boot.validate(node).map_err(|error| failed("boot", &error))?;
                drivers.network.validate(node).map_err(|error| failed("network", &error))?;
                drivers.deploy.validate(node).map_err(|error| failed("deploy", &error))
            }
            FsmEvent::Provide => drivers.network.validate(node).map_err(|error| failed("network", &error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn drivers(&self, node: &Node) -> Result<Drivers, RequestError> {
        self.registry.drivers(node).map_err(|error| RequestError::Invalid(error.to_string()))
    }

    pub(crate) async fn request_power(
        self: &Arc<Self>,
        uuid: NodeUuid,
        target: PowerTarget,
        timeout: Option<Duration>,
    ) -> Result<(), RequestError> {
        let limit =
            timeout.map_or(SOFT_POWER_OFF_LIMIT, |limit| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX));
        let limit = limit.min(86_400);
        let turn = self
            .turn(uuid, |node, flow, world| {
                let drivers = self.drivers(&node)?;
                drivers.power.validate(&node).map_err(|error| driver_failed(&error))?;
                if node.disable_power_off && target.end() == PowerState::Off {
                    return Err(RequestError::Conflict(format!(
                        "Node {} has disable_power_off set: it cannot be powered off.",
                        node.uuid
                    )));
                }
                perform_power(node, flow.as_ref(), target, limit, world).map_err(|refusal| refused(&refusal))
            })
            .await;
        let (node, effect) = turn.map_err(|error| request_error(uuid, error))?;
        tracing::info!(node = %uuid, %target, "accepted");
        self.follow(node, effect);
        Ok(())
    }
}

/// Traits asked for by the instance must be the node's.
fn validate_traits(node: &Node) -> Result<(), RequestError> {
    let wanted =
        node.instance_info.get("traits").and_then(|value| value.as_array().cloned()).unwrap_or_default();
    let missing: Vec<&str> = wanted
        .iter()
        .filter_map(Value::as_str)
        .filter(|name| !node.traits.iter().any(|known| known.as_str() == *name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(RequestError::Invalid(format!(
        "Cannot deploy node {}: instance_info asks for traits that it does not have: {}",
        node.uuid,
        missing.join(", ")
    )))
}
