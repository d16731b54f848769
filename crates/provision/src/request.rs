//! Verbs: which are allowed on a node as it is, and what they begin.

use model::Node;

use crate::decide::{Decision, Input, World, begin, decide, move_node};
use crate::event::{FsmEvent, Verb};
use crate::flow::FlowKind;
use crate::record::FlowRecord;

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
    /// This version cannot do it.
    #[error("The operation \"{verb}\" is not supported by this version of the service.")]
    Unsupported {
        /// The verb.
        verb: Verb,
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

/// What a verb begins, where it is supported at all.
fn begins(verb: Verb, node: &Node) -> Option<FlowKind> {
    match verb {
        Verb::Manage if node.provision_state == model::ProvisionState::Enroll => Some(FlowKind::Verify),
        Verb::Provide => Some(FlowKind::Clean),
        Verb::Active | Verb::Deploy | Verb::Rebuild => Some(FlowKind::Deploy),
        Verb::Deleted | Verb::Undeploy => Some(FlowKind::TearDown),
        _ => None,
    }
}

/// Checks that callers may use `verb` on `node` now.
pub fn check(node: &Node, flow: Option<&FlowRecord>, verb: Verb) -> Result<(), Refusal> {
    let name = node.uuid.to_string();
    if !verb.allowed_from().any(|state| state == node.provision_state) {
        let allowed = verb.allowed_from().map(model::ProvisionState::as_str).collect::<Vec<_>>().join(", ");
        return Err(Refusal::WrongState { verb, node: name, state: node.provision_state.as_str(), allowed });
    }
    let deploys =
        matches!(verb.event(), FsmEvent::Deploy | FsmEvent::Rebuild | FsmEvent::Rescue | FsmEvent::Unrescue);
    if node.maintenance && (deploys || matches!(verb, Verb::Clean | Verb::Service)) {
        return Err(Refusal::Maintenance {
            verb,
            node: name,
            reason: because(node.maintenance_reason.as_ref()),
        });
    }
    if node.protected && matches!(verb.event(), FsmEvent::Delete | FsmEvent::Rebuild) {
        return Err(Refusal::Protected { node: name, reason: because(node.protected_reason.as_ref()) });
    }
    if node.retired && verb == Verb::Provide {
        return Err(Refusal::Retired { node: name });
    }
    if let Some(flow) = flow.filter(|flow| flow.open.as_ref().is_some_and(|open| !open.poll)) {
        return Err(Refusal::Busy { node: name, flow: flow.kind.flow().name });
    }
    if begins(verb, node).is_none() && !matches!(verb, Verb::Manage | Verb::Abort) {
        return Err(Refusal::Unsupported { verb });
    }
    Ok(())
}

/// Begins what `verb` asks for. The node must have passed [`check`].
pub fn perform(
    mut node: Node,
    flow: Option<FlowRecord>,
    verb: Verb,
    world: World<'_>,
) -> Result<Decision, Refusal> {
    check(&node, flow.as_ref(), verb)?;
    if let (Verb::Abort, Some(flow)) = (verb, flow) {
        return Ok(decide(node, flow, Input::Abort, world));
    }
    let kind = begins(verb, &node);
    move_node(&mut node, verb.event(), world.now);
    if let Some(kind) = kind {
        return Ok(begin(node, kind, None, world));
    }
    node.last_error = None;
    node.target_provision_state = None;
    Ok(Decision::rest(node, None))
}

/// Begins a change of power.
pub fn perform_power(
    node: Node,
    flow: Option<&FlowRecord>,
    target: model::PowerTarget,
    limit: u32,
    world: World<'_>,
) -> Result<Decision, Refusal> {
    match flow {
        Some(flow) => Err(Refusal::Busy { node: node.uuid.to_string(), flow: flow.kind.flow().name }),
        None => Ok(begin(node, FlowKind::Power, Some((target, limit)), world)),
    }
}
