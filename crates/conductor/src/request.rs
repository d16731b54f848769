//! Intents of callers: checked, recorded, answered, then worked on.

use std::sync::Arc;
use std::time::Duration;

use conductor_api::{ProvisionArgs, RequestError};
use driver::{DriverError, Drivers, Retry};
use model::{Node, NodeUuid, PowerState, PowerTarget, Secret};
use provision::{AUTOMATIC_LESSEE, Asker, FsmEvent, Refusal, Verb, check, perform, perform_power};

use crate::agent::request_error;
use crate::engine::Engine;
use crate::rescue_password;
use crate::wish::instance_traits;

/// How long a soft power off may take where the caller does not say, in seconds.
const SOFT_POWER_OFF_LIMIT: u32 = 600;

/// A refusal of the core, as the API shows it.
fn refused(refusal: &Refusal) -> RequestError {
    let text = refusal.to_string();
    match refusal {
        Refusal::WrongState { .. }
        | Refusal::Maintenance { .. }
        | Refusal::Retired { .. }
        | Refusal::Steps { .. } => RequestError::Invalid(text),
        Refusal::Protected { .. } => RequestError::Forbidden(text),
        Refusal::Busy { .. } | Refusal::InMaintenance { .. } => RequestError::Conflict(text),
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
fn store_arguments(node: &mut Node, verb: Verb, args: &ProvisionArgs, password_hash: Option<&str>) {
    if matches!(verb.event(), FsmEvent::Deploy | FsmEvent::Rebuild) {
        if let Some(drive) = &args.configdrive {
            node.instance_info.set("configdrive", drive.clone());
        }
        if let (None, Some(project)) = (&node.lessee, node.instance_info.get_str("project_id")) {
            node.lessee = Some(project);
            node.driver_internal_info.set(AUTOMATIC_LESSEE, true.into());
        }
    }
    if let Some(hash) = password_hash {
        node.instance_info.set("hashed_rescue_password", hash.into());
    }
}

/// Hashes the password of a rescue, off the runtime: it takes milliseconds of computing.
async fn hashed(password: Option<&Secret>) -> Result<Option<String>, RequestError> {
    let Some(password) = password.cloned() else { return Ok(None) };
    let hash = tokio::task::spawn_blocking(move || rescue_password::hash(password.expose())).await;
    hash.map(Some).map_err(|error| RequestError::Internal(format!("the password cannot be hashed: {error}")))
}

impl Engine {
    pub(crate) async fn request_provision(
        self: &Arc<Self>,
        uuid: NodeUuid,
        verb: Verb,
        args: ProvisionArgs,
    ) -> Result<(), RequestError> {
        let standing = self.read(uuid).await.map_err(|error| request_error(uuid, error))?;
        let wish = self.wish(&standing.node, verb, &args).await?;
        let hash = hashed(args.rescue_password.as_ref()).await?;
        let asker = Asker { user: args.user.clone(), project: args.project.clone() };
        let admission = self.options.limits.admission(verb, &self.options.conductor_group);
        let turn = self
            .admitted_turn(uuid, admission, Some(standing), |mut node, flow, world| {
                check(&node, flow.as_ref(), verb).map_err(|refusal| refused(&refusal))?;
                store_arguments(&mut node, verb, &args, hash.as_deref());
                self.validate_for(&node, verb)?;
                let decided = perform(node, flow, verb, &wish, world).map_err(|refusal| refused(&refusal))?;
                Ok(decided.asked_by(asker.clone()))
            })
            .await;
        let (standing, effect) = turn.map_err(|error| request_error(uuid, error))?;
        tracing::info!(node = %uuid, %verb, state = %standing.node.provision_state, "accepted");
        self.follow(standing, effect);
        Ok(())
    }

    /// What can be known to fail is refused at once, before the node moves.
    fn validate_for(&self, node: &Node, verb: Verb) -> Result<(), RequestError> {
        let verifies = verb == Verb::Manage && node.provision_state == model::ProvisionState::Enroll;
        if matches!(verb, Verb::Abort | Verb::Unhold | Verb::Deleted | Verb::Undeploy)
            || (verb == Verb::Manage && !verifies)
        {
            return Ok(());
        }
        let drivers = self.drivers(node)?;
        let failed = |what: &str, error: &DriverError| {
            RequestError::Invalid(format!("Failed to validate {what} of node {}: {error}", node.uuid))
        };
        let lacks = |what: &str| {
            RequestError::Unsupported(format!(
                "Node {} cannot do '{verb}': its {what}_interface is {}.",
                node.uuid,
                what.parse().ok().and_then(|kind| node.interfaces.get(kind)).unwrap_or("not set")
            ))
        };
        drivers.power.validate(node).map_err(|error| failed("power", &error))?;
        let network = || drivers.network.validate(node).map_err(|error| failed("network", &error));
        match verb.event() {
            FsmEvent::Deploy | FsmEvent::Rebuild => {
                validate_traits(node)?;
                drivers.boot.validate(node).map_err(|error| failed("boot", &error))?;
                network()?;
                drivers.deploy.validate(node).map_err(|error| failed("deploy", &error))
            }
            FsmEvent::Provide | FsmEvent::Clean | FsmEvent::Service => network(),
            FsmEvent::Inspect => {
                let inspect = drivers.inspect.ok_or_else(|| lacks("inspect"))?;
                inspect.validate(node).map_err(|error| failed("inspect", &error))
            }
            FsmEvent::Rescue | FsmEvent::Unrescue => {
                network()?;
                let rescue = drivers.rescue.ok_or_else(|| lacks("rescue"))?;
                rescue.validate(node).map_err(|error| failed("rescue", &error))
            }
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
        asker: Asker,
    ) -> Result<(), RequestError> {
        let limit =
            timeout.map_or(SOFT_POWER_OFF_LIMIT, |limit| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX));
        let limit = limit.min(86_400);
        let turn = self
            .turn_on(uuid, None, |node, flow, world| {
                let drivers = self.drivers(&node)?;
                drivers.power.validate(&node).map_err(|error| driver_failed(&error))?;
                if node.disable_power_off && target.end() == PowerState::Off {
                    return Err(RequestError::Conflict(format!(
                        "Node {} has disable_power_off set: it cannot be powered off.",
                        node.uuid
                    )));
                }
                let decided = perform_power(node, flow, target, limit, world);
                Ok(decided.map_err(|refusal| refused(&refusal))?.asked_by(asker.clone()))
            })
            .await;
        let (standing, effect) = turn.map_err(|error| request_error(uuid, error))?;
        tracing::info!(node = %uuid, %target, "accepted");
        self.follow(standing, effect);
        Ok(())
    }
}

/// Traits asked for by the instance must be the node's.
fn validate_traits(node: &Node) -> Result<(), RequestError> {
    let wanted = instance_traits(node);
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
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
