//! A change of power that a caller asked for.

use model::PowerTarget;

use crate::step::{Action, PlannedStep};

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
