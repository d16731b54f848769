//! Flows that nobody speaks to: when each has to be looked at, what is fed to it then, and nodes that lost their flow.

use std::time::Duration;

use model::{FlowId, Node, ProvisionState as S, Timestamp};

use crate::decide::{Decision, Input, World, decide, move_node};
use crate::error::{ErrorCode, StepError};
use crate::event::FsmEvent;
use crate::record::{FlowRecord, WaitFor};

/// How long after the limit of an action nobody can still be at work on it.
const WATCHDOG: Duration = Duration::from_mins(2);

/// States that only a flow can end (`contract/states_meta.tsv`, `conductor_restart`).
pub const DRIVEN_STATES: [S; 9] = [
    S::Adopting,
    S::Cleaning,
    S::Deleting,
    S::Deploying,
    S::Inspecting,
    S::Rescuing,
    S::Servicing,
    S::Unrescuing,
    S::Verifying,
];

/// What is fed to a flow whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// [`Input::Restarted`]: an action is open, and whoever began it is not at work on it any more.
    Restarted,
    /// [`Input::Overdue`] where the reason is known, else [`Input::Timer`]: a machine did not arrive.
    Overdue,
    /// [`Input::Timer`].
    Timer,
}

impl FlowRecord {
    /// When it must be looked at even if nothing happens. Only a hold has no such time.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let watchdog = self.open.as_ref().map(|open| open.since.plus(open.action.limit() + WATCHDOG));
        watchdog.or_else(|| self.deadline())
    }

    /// What it is fed when that time has come and nobody works on it.
    pub fn due(&self) -> Due {
        match self.wait.as_ref().map(|wait| &wait.event) {
            _ if self.open.is_some() => Due::Restarted,
            Some(WaitFor::Agent | WaitFor::Inspection) => Due::Overdue,
            _ => Due::Timer,
        }
    }
}

/// Feeds `input` to the node's flow, if it still has one.
pub fn feed(node: Node, flow: Option<FlowRecord>, input: Input, world: World<'_>) -> Decision {
    match flow {
        Some(flow) => decide(node, flow, input, world),
        None => Decision::rest(node, None),
    }
}

/// Takes up a flow that nobody works on any more, as it was seen then: in run `run`, with the effect `seq` as its last. Whoever
/// has begun another since is at work on it, and it is left alone.
pub fn take_up(
    node: Node,
    flow: Option<FlowRecord>,
    (run, seq): (FlowId, i64),
    world: World<'_>,
) -> Decision {
    match flow {
        Some(flow) if flow.id == run && flow.seq == seq => decide(node, flow, Input::Restarted, world),
        flow => Decision::rest(node, flow),
    }
}

/// Holds a node on for an effect that could not begin yet, as if it had been decided now; `None` when it is not to be done
/// any more.
pub fn hold_on(
    mut node: Node,
    flow: Option<FlowRecord>,
    (run, seq): (FlowId, i64),
    world: World<'_>,
) -> Option<Decision> {
    let mut flow = flow.filter(|flow| flow.id == run)?;
    let open = flow.open.as_mut().filter(|open| open.seq == seq)?;
    open.since = world.now;
    if let Some(lease) = node.lease.as_mut().filter(|lease| lease.holder == world.holder) {
        lease.expires_at = open.held_until(world.now);
    }
    Some(Decision::rest(node, Some(flow)))
}

/// Fails a node in the middle of something that no flow drives, so that it does not stay in a state that nobody can leave.
pub fn fail_orphan(mut node: Node, flow: Option<FlowRecord>, world: World<'_>) -> Decision {
    if flow.is_none() && DRIVEN_STATES.contains(&node.provision_state) {
        let text = format!("{} was under way, and no record of it is left.", node.provision_state);
        node.last_error = Some(StepError::new(ErrorCode::Internal, text).to_string());
        node.lease = None;
        move_node(&mut node, FsmEvent::Fail, world.now);
    }
    Decision::rest(node, flow)
}
