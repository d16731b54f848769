//! Steps that run on the children of a node: on each in turn, to its end.

use std::time::Duration;

use db::{NodeFilter, NodeQuery, Scope};
use driver::{DriverError, Drivers, PowerChange, Retry, StepReply};
use model::{InterfaceKind, Lease, Node, NodeUuid, PowerState, Timestamp};
use provision::{ErrorCode, Outcome, PlannedStep, StepError, StepList};

use crate::engine::Engine;

/// How long a child may be worked on.
const CHILD_LIMIT: Duration = Duration::from_mins(6);

/// The most children that one step may reach.
const MAX_CHILDREN: usize = 256;

impl Engine {
    pub(crate) async fn run_on_children(
        &self,
        parent: &Node,
        step: Option<&PlannedStep>,
        list: StepList,
        only: &[NodeUuid],
    ) -> Outcome {
        let Some(step) = step else { return failed(ErrorCode::Internal, "an action of a step without one.") };
        let filter = NodeFilter {
            parent_node: Some(parent.uuid),
            include_children: true,
            uuids: (!only.is_empty()).then(|| only.to_vec()),
            ..NodeFilter::default()
        };
        let query = NodeQuery { filter, limit: MAX_CHILDREN, ..NodeQuery::new(Scope::All) };
        let children = match self.db.list_nodes(&query).await {
            Ok(children) => children,
            Err(error) => {
                return failed(ErrorCode::Internal, &format!("the node's children cannot be read: {error}."));
            }
        };
        for child in children {
            let uuid = child.uuid;
            tracing::info!(parent = %parent.uuid, node = %uuid, step = step.label(), "running on a child");
            if let Err(error) = Box::pin(self.run_on_child(child, step, list)).await {
                let text = format!("on child node {uuid}: {}", error.message);
                return Outcome::Failed(StepError { message: text, ..error });
            }
        }
        Outcome::done()
    }

    /// Runs the step on one child while its lease is held.
    async fn run_on_child(&self, child: Node, step: &PlannedStep, list: StepList) -> Result<(), StepError> {
        let internal = |error: &dyn std::error::Error| StepError::new(ErrorCode::Internal, error.to_string());
        let busy = || StepError::new(ErrorCode::ChildBusy, "something else is being done to it.");
        let drivers = self.registry.drivers(&child).map_err(|error| internal(&error))?;
        let under_way = self.db.flow_of(child.uuid).await.map_err(|error| internal(&error))?;
        // What an earlier attempt of ours left, before a crash, is ours.
        let ours = child.lease.as_ref().is_some_and(|lease| lease.holder == self.options.hostname);
        if under_way.is_some() || (child.is_locked(Timestamp::now()) && !ours) {
            return Err(busy());
        }
        let mut held = child.clone();
        held.lease_epoch += 1;
        held.lease = Some(Lease {
            holder: self.options.hostname.clone(),
            expires_at: Timestamp::now().plus(CHILD_LIMIT),
            reason: "a step of its parent".to_owned(),
        });
        let held = self.db.update_node(&child, held).await.map_err(|_| busy())?;
        let outcome = match tokio::time::timeout(CHILD_LIMIT, attempt(&drivers, &held, step, list)).await {
            Ok(outcome) => outcome.map_err(DriverError::into_step_error),
            Err(_) => Err(StepError::new(ErrorCode::StepTimeout, "it did not end in time.")),
        };
        let mut free = held.clone();
        free.lease = None;
        if let Ok(Some(power)) = &outcome {
            free.power_state = Some(*power);
        }
        self.db.update_node(&held, free).await.map_err(|error| internal(&error))?;
        outcome.map(drop)
    }
}

async fn attempt(
    drivers: &Drivers,
    child: &Node,
    step: &PlannedStep,
    list: StepList,
) -> Result<Option<PowerState>, DriverError> {
    let off = PowerChange::Off { grace: Duration::ZERO };
    match step.step.as_str() {
        "power_on" => return drivers.power.change(child, PowerChange::On).await.map(Some),
        "power_off" => return drivers.power.change(child, off).await.map(Some),
        "reboot" => {
            drivers.power.change(child, off).await?;
            return drivers.power.change(child, PowerChange::On).await.map(Some);
        }
        _ => {}
    }
    let permanent = |code, text: String| DriverError::new(code, Retry::Permanent, text);
    let kind = step.interface.parse::<InterfaceKind>().ok();
    let found = kind.and_then(|kind| drivers.steps.get(&kind)).and_then(|steps| {
        let rows = steps.offered(child);
        let row = rows.into_iter().find(|row| row.list == list && row.step == step.step);
        row.map(|row| (steps, row))
    });
    let Some((steps, row)) = found else {
        let text = format!("its drivers do not offer step {}.", step.label());
        return Err(permanent(ErrorCode::UnknownStep, text));
    };
    row.check(&step.args).map_err(|error| permanent(error.code, error.message))?;
    match steps.run(child, list, step).await? {
        StepReply::Done(_) => Ok(None),
        StepReply::Waiting(_) | StepReply::Part(_) | StepReply::NotFound => {
            let text = format!("step {} does not end at once, so a parent cannot run it.", step.label());
            Err(permanent(ErrorCode::StepArguments, text))
        }
    }
}

fn failed(code: ErrorCode, text: &str) -> Outcome {
    Outcome::Failed(StepError::new(code, text))
}
