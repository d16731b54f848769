//! A change of power that a caller asked for.

use model::{Node, PowerState, PowerTarget};

use crate::step::{Action, PlannedStep};

/// What is done in the place of `action` on a machine that may be one that must not be switched off: nothing in the place
/// of off, and in the place of the on that follows (`was_spared`) a reset.
pub(crate) fn spared(node: &Node, was_spared: bool, action: Action) -> Option<Action> {
    match action {
        action if !node.disable_power_off => Some(action),
        Action::PowerOff { .. } | Action::SoftPowerOff { .. } => None,
        Action::AgentPowerOff => Some(Action::AgentLockdown),
        // What went off by itself is switched on, what runs and was not to be off runs on.
        Action::PowerOn if was_spared && node.power_state != Some(PowerState::Off) => Some(Action::Reset),
        action => Some(action),
    }
}

/// The steps that lead to `target`; `limit` is the caller's patience with a soft shutdown, in seconds.
///
/// Off comes before on as an action of its own, so that a reboot begun before a crash is finished, not repeated.
pub fn steps(target: PowerTarget, limit: u32) -> Vec<PlannedStep> {
    // A machine that went off has lost its agent.
    let mut actions = match target {
        PowerTarget::On => vec![Action::PowerOn],
        PowerTarget::Off => vec![Action::PowerOff { grace: 0 }],
        PowerTarget::Reboot => vec![Action::PowerOff { grace: 0 }, Action::PowerOn],
        PowerTarget::SoftOff => vec![Action::SoftPowerOff { limit }],
        PowerTarget::SoftReboot => vec![Action::SoftPowerOff { limit }, Action::PowerOn],
    };
    if target != PowerTarget::On {
        actions.insert(1, Action::ForgetAgent);
    }
    vec![PlannedStep::frame("set_power", 0, actions)]
}
