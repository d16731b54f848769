//! Verbs: which are allowed on a node as it is, and what they begin.

use model::{BootIntent, Node, PowerState, PowerTarget, ProvisionState as S};

use crate::decide::{Decision, Input, World, begin, begin_power, decide, move_node};
use crate::error::{ErrorCode, StepError};
use crate::event::{FsmEvent, Verb};
use crate::fast_track;
use crate::flow::{FlowKind, adopt, tear_down, verify};
use crate::plan::{self, Plan, RequestedStep, Wish};
use crate::record::FlowRecord;
use crate::step::{Action, PlannedStep, StepList};

/// Why a verb is refused. Each is shown to the caller as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The table has no such transition.
    #[error(
        "The requested action \"{verb}\" can not be performed on node \"{node}\" while it is in state \"{state}\". It is possible from: {allowed}."
    )]
    WrongState {
        /// The verb.
        verb: Verb,
        /// The node.
        node: String,
        /// Its state.
        state: &'static str,
        /// States that allow it.
        allowed: String,
    },
    /// Maintenance is on.
    #[error(
        "The {verb} operation can't be performed on node {node} because it's in maintenance mode{reason}. Clear maintenance first."
    )]
    Maintenance {
        /// The verb.
        verb: Verb,
        /// The node.
        node: String,
        /// `: why`, or empty.
        reason: String,
    },
    /// Maintenance is on, and a person is at work.
    #[error("Node {node} is in maintenance{reason}: {verb} is not possible. Clear maintenance first.")]
    InMaintenance {
        /// The verb.
        verb: Verb,
        /// The node.
        node: String,
        /// `: why`, or empty.
        reason: String,
    },
    /// The node is protected.
    #[error(
        "Node {node} is protected and can not be undeployed, rebuilt or deleted{reason}. Clear protected first."
    )]
    Protected {
        /// The node.
        node: String,
        /// `: why`, or empty.
        reason: String,
    },
    /// The node is retired.
    #[error("Node {node} can not be provided: it is retired. Clear retired first.")]
    Retired {
        /// The node.
        node: String,
    },
    /// What was sent along makes no sense for the node.
    #[error("The operation \"{verb}\" is refused for node {node}: {error}")]
    Steps {
        /// The verb.
        verb: Verb,
        /// The node.
        node: String,
        /// Why.
        error: StepError,
    },
    /// Something is being done to the machine right now.
    #[error("Node {node} is busy: {flow} is under way. Retry when it is done.")]
    Busy {
        /// The node.
        node: String,
        /// What.
        flow: &'static str,
    },
}

fn because(reason: Option<&String>) -> String {
    reason.map(|text| format!(": {text}")).unwrap_or_default()
}

/// What a verb begins; `None` for those that only move the node, or speak to its flow.
fn begins(verb: Verb, node: &Node) -> Option<FlowKind> {
    match verb {
        Verb::Manage if node.provision_state == S::Enroll => Some(FlowKind::Verify),
        Verb::Provide | Verb::Clean => Some(FlowKind::Clean),
        Verb::Active | Verb::Deploy | Verb::Rebuild => Some(FlowKind::Deploy),
        Verb::Deleted | Verb::Undeploy => Some(FlowKind::TearDown),
        Verb::Inspect => Some(FlowKind::Inspect),
        Verb::Adopt => Some(FlowKind::Adopt),
        Verb::Rescue => Some(FlowKind::Rescue),
        Verb::Unrescue => Some(FlowKind::Unrescue),
        Verb::Service => Some(FlowKind::Service),
        Verb::Manage | Verb::Abort | Verb::Unhold => None,
    }
}

/// Checks that callers may use `verb` on `node` now.
pub fn check(node: &Node, flow: Option<&FlowRecord>, verb: Verb) -> Result<(), Refusal> {
    let name = node.uuid.to_string();
    if !verb.allowed_from().any(|state| state == node.provision_state) {
        let allowed = verb.allowed_from().map(S::as_str).collect::<Vec<_>>().join(", ");
        return Err(Refusal::WrongState { verb, node: name, state: node.provision_state.as_str(), allowed });
    }
    let reason = because(node.maintenance_reason.as_ref());
    let deploys =
        matches!(verb.event(), FsmEvent::Deploy | FsmEvent::Rebuild | FsmEvent::Rescue | FsmEvent::Unrescue);
    if node.maintenance && (deploys || matches!(verb, Verb::Clean | Verb::Service)) {
        return Err(Refusal::Maintenance { verb, node: name, reason });
    }
    if node.maintenance && verb == Verb::Abort && node.provision_state == S::ServiceFailed {
        return Err(Refusal::InMaintenance { verb, node: name, reason });
    }
    if node.protected && matches!(verb.event(), FsmEvent::Delete | FsmEvent::Rebuild) {
        return Err(Refusal::Protected { node: name, reason: because(node.protected_reason.as_ref()) });
    }
    if node.retired && verb == Verb::Provide {
        return Err(Refusal::Retired { node: name });
    }
    match flow.filter(|flow| flow.open.as_ref().is_some_and(|open| !open.poll)) {
        Some(flow) => Err(Refusal::Busy { node: name, flow: flow.kind.flow().name }),
        None => Ok(()),
    }
}

/// The plan of what `verb` begins on `node`.
fn plan(kind: FlowKind, verb: Verb, node: &Node, wish: &Wish, world: World<'_>) -> Result<Plan, StepError> {
    stays_on(node, wish)?;
    let plans = world.plans;
    let with_ramdisk = |steps: Vec<PlannedStep>| {
        let waits = |action: &Action| matches!(action, Action::AwaitAgent | Action::AwaitInspection);
        let ramdisk = steps.iter().any(|step| step.actions.iter().any(waits));
        Plan { ramdisk, ..Plan::bare(steps) }
    };
    let mut plan = match kind {
        FlowKind::Verify => plan::verification(verify::frame(), &plans.offered(node, StepList::Verify)),
        FlowKind::Clean if verb == Verb::Clean => {
            let list = StepList::Clean;
            plan::in_order(plans.clean(node), &plans.offered(node, list), wish, list, false)?
        }
        FlowKind::Clean => return cleaning(node, world),
        FlowKind::Service => {
            let list = StepList::Service;
            // A servicing may take the place of one that is held, whose ramdisk runs.
            let in_ramdisk = node.boot_intent == BootIntent::Ramdisk;
            plan::in_order(plans.service(node), &plans.offered(node, list), wish, list, in_ramdisk)?
        }
        FlowKind::Deploy => {
            plan::deployment(plans.deploy(node), &plans.offered(node, StepList::Deploy), wish)?
        }
        FlowKind::TearDown => Plan::bare(tear_down::steps()),
        FlowKind::Power => Plan::default(),
        FlowKind::Inspect => with_ramdisk(plans.inspect(node)),
        FlowKind::Rescue => with_ramdisk(plans.rescue(node)),
        FlowKind::Unrescue => Plan::bare(plans.unrescue(node)),
        FlowKind::Adopt => Plan::bare(adopt::steps()),
    };
    fast_track::shorten(&mut plan.steps, kind, node, world.policy.fast_track, world.now);
    Ok(plan)
}

/// Refuses steps that switch off what must not be off.
fn stays_on(node: &Node, wish: &Wish) -> Result<(), StepError> {
    let switches_off = |step: &RequestedStep| step.step == "power_off" && step.children.is_none();
    if node.disable_power_off && wish.steps.iter().chain(&wish.templates).any(switches_off) {
        let text = "step power_off is not possible: the node has disable_power_off set.";
        return Err(StepError::new(ErrorCode::StepArguments, text));
    }
    Ok(())
}

/// The plan of an automated cleaning: the runbook's steps in its order where there is one, else what drivers offer.
pub(crate) fn cleaning(node: &Node, world: World<'_>) -> Result<Plan, StepError> {
    let plans = world.plans;
    if !plans.cleans(node) {
        return Ok(Plan::default());
    }
    let (frame, list) = (plans.clean(node), StepList::Clean);
    let mut plan = match plans.runbook(node)? {
        None => plan::automated(frame, &plans.offered(node, list)),
        Some(runbook) => {
            stays_on(node, &runbook)?;
            let plan = plan::in_order(frame, &plans.offered(node, list), &runbook, list, false)?;
            Plan { automated: true, ..plan }
        }
    };
    fast_track::shorten(&mut plan.steps, FlowKind::Clean, node, world.policy.fast_track, world.now);
    Ok(plan)
}

/// Begins what `verb` asks for, as [`check`] allows; `wish` is what the caller sent along.
pub fn perform(
    mut node: Node,
    flow: Option<FlowRecord>,
    verb: Verb,
    wish: &Wish,
    world: World<'_>,
) -> Result<Decision, Refusal> {
    check(&node, flow.as_ref(), verb)?;
    match (verb, flow) {
        (Verb::Abort, Some(flow)) => return Ok(decide(node, flow, Input::Abort, world)),
        (Verb::Unhold, Some(flow)) => return Ok(decide(node, flow, Input::Unhold, world)),
        _ => {}
    }
    let was = node.provision_state;
    let kind = begins(verb, &node);
    if let Some(kind) = kind {
        let refused = |error| Refusal::Steps { verb, node: node.uuid.to_string(), error };
        let plan = plan(kind, verb, &node, wish, world).map_err(refused)?;
        move_node(&mut node, verb.event(), world.now);
        return Ok(begin(node, kind, plan, world));
    }
    move_node(&mut node, verb.event(), world.now);
    node.last_error = None;
    node.target_provision_state = None;
    // What was serviced was left off, ready to boot its user's system.
    if was == S::ServiceFailed && node.power_state == Some(PowerState::Off) {
        return Ok(begin_power(node, PowerTarget::On, 0, world));
    }
    Ok(Decision::rest(node, None))
}

/// Begins a change of power: by itself, or beside a flow that waits.
pub fn perform_power(
    node: Node,
    flow: Option<FlowRecord>,
    target: PowerTarget,
    limit: u32,
    world: World<'_>,
) -> Result<Decision, Refusal> {
    let Some(flow) = flow else { return Ok(begin_power(node, target, limit, world)) };
    let works = flow.open.as_ref().is_some_and(|open| !open.poll);
    // Erasing a disk must not be cut short: cleaning keeps its power.
    if works || flow.wait.is_none() || node.provision_state == S::CleanWait {
        return Err(Refusal::Busy { node: node.uuid.to_string(), flow: flow.kind.flow().name });
    }
    Ok(decide(node, flow, Input::Power(target, limit), world))
}
