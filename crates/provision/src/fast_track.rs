//! Fast track: a ramdisk that runs and calls is taken as it is. The machine is not booted for a cleaning or a deployment,
//! and not switched off after a cleaning.

use std::time::Duration;

use model::{Node, PowerState, Timestamp};

use crate::flow::FlowKind;
use crate::step::{Action, PlannedStep};

/// Whether an agent runs on the node that has called within `silence`, and nothing has gone wrong since.
fn is_alive(node: &Node, silence: Duration, now: Timestamp) -> bool {
    let called = node.driver_internal_info.get_str("agent_last_heartbeat");
    let called = called.and_then(|text| text.parse::<Timestamp>().ok());
    node.power_state == Some(PowerState::On)
        && node.last_error.is_none()
        && node.driver_internal_info.get("agent_url").is_some()
        && called.is_some_and(|at| at.plus(silence) > now)
}

/// Leaves out of a plan what a running ramdisk makes needless.
pub(crate) fn shorten(
    steps: &mut [PlannedStep],
    kind: FlowKind,
    node: &Node,
    silence: Option<Duration>,
    now: Timestamp,
) {
    let Some(silence) = silence.filter(|_| matches!(kind, FlowKind::Clean | FlowKind::Deploy)) else {
        return;
    };
    let boots = |step: &&mut PlannedStep| {
        step.actions.iter().any(|action| matches!(action, Action::FetchAgentSteps(_)))
    };
    if is_alive(node, silence, now) {
        for step in steps.iter_mut().filter(boots) {
            step.actions.retain(|action| !is_boot(action));
        }
    }
    if kind == FlowKind::Clean {
        for step in steps.iter_mut().filter(|step| step.actions.contains(&Action::AgentPowerOff)) {
            step.actions.retain(|action| matches!(action, Action::Network(_)));
        }
    }
}

const fn is_boot(action: &Action) -> bool {
    matches!(
        action,
        Action::PowerOff { .. } | Action::ForgetAgent | Action::SetBootDevice { .. } | Action::PowerOn
    )
}
