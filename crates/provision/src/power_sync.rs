//! Power as it is stored against power as the BMC tells it: which nodes are looked at, and what a look leads to.
//!
//! Pure, as all of the core: who looks, how often and at how many at once is the shell's.

use model::{Fault, Node, PowerState, PowerTarget, ProvisionState as S};

use crate::decide::{Decision, Note, World};
use crate::error::{ErrorCode, StepError};
use crate::record::FlowRecord;
use crate::request::{Refusal, perform_power};

/// States in which nobody looks: the ramdisk switches the machine, or the BMC is not known to be the node's.
pub const UNWATCHED: [S; 4] = [S::DeployWait, S::CleanWait, S::Enroll, S::AdoptFailed];

/// What is done about power that is not as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerSyncPolicy {
    /// Switch the machine to what is stored; otherwise what is stored follows the machine.
    pub force: bool,
    /// Looks in a row that may fail, or find another state, before the node goes into maintenance.
    pub max_retries: u32,
}

impl Default for PowerSyncPolicy {
    fn default() -> Self {
        Self { force: true, max_retries: 3 }
    }
}

/// What a look at a machine's power brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenPower {
    /// The state.
    State(PowerState),
    /// The BMC did not tell.
    Unread(StepError),
}

impl SeenPower {
    /// From an answer. "error" is none.
    pub fn of(answer: Result<PowerState, StepError>) -> Self {
        match answer {
            Ok(PowerState::Error) => {
                Self::Unread(StepError::new(ErrorCode::BmcRefused, "the BMC tells the power state 'error'."))
            }
            Ok(state) => Self::State(state),
            Err(error) => Self::Unread(error),
        }
    }

    /// Whether it is what is stored.
    pub fn agrees(&self, stored: Option<PowerState>) -> bool {
        matches!(self, Self::State(state) if stored == Some(*state))
    }
}

/// Whether a node's power is compared at all now: somebody else is in charge of it otherwise.
pub fn is_watched(node: &Node) -> bool {
    !node.maintenance
        && node.lease.is_none()
        && node.target_power_state.is_none()
        && !UNWATCHED.contains(&node.provision_state)
}

/// Whether a look may end the maintenance that an unreadable power state began.
pub fn is_recoverable(node: &Node) -> bool {
    node.maintenance
        && node.fault == Some(Fault::Power)
        && node.lease.is_none()
        && node.target_power_state.is_none()
        && node.provision_state != S::Enroll
}

/// What follows from a look that did not find what is stored; `failures` counts it and those in a row before it. `None`
/// when nothing is to be recorded.
///
/// # Errors
/// When the machine should be switched, and something else is being done to it.
pub fn sync_power(
    node: Node,
    flow: Option<FlowRecord>,
    seen: &SeenPower,
    failures: u32,
    policy: PowerSyncPolicy,
    world: World<'_>,
) -> Result<Option<Decision>, Refusal> {
    if !is_watched(&node) || seen.agrees(node.power_state) {
        return Ok(None);
    }
    let exhausted = failures > policy.max_retries;
    let (state, stored) = match (seen, node.power_state) {
        (SeenPower::Unread(error), _) if exhausted => {
            let text =
                format!("the power state could not be read {failures} times in a row: {}", error.message);
            let error = StepError::new(error.code, text).hint(error.hint.clone());
            return Ok(Some(give_up(node, flow, None, &error)));
        }
        (SeenPower::Unread(_), _) => return Ok(None),
        (SeenPower::State(state), None) => {
            let text = format!("the machine is found in the state {state}");
            return Ok(Some(adopt(node, flow, *state, text)));
        }
        (SeenPower::State(state), Some(stored)) => (*state, stored),
    };
    if exhausted {
        let text = format!(
            "the machine is in the state {state} and should be in {stored}; it was found so {failures} times in a row."
        );
        let error = StepError::new(ErrorCode::PowerStuck, text);
        return Ok(Some(give_up(node, flow, Some(state), &error)));
    }
    // A flow that waits knows what its machine does, and a person may hold it: neither is interfered with.
    let target = match stored {
        PowerState::On if policy.force && flow.is_none() && !node.disable_power_off => PowerTarget::On,
        PowerState::Off if policy.force && flow.is_none() && !node.disable_power_off => PowerTarget::Off,
        _ => {
            let text = format!("the machine is found in the state {state}, not in {stored}");
            return Ok(Some(adopt(node, flow, state, text)));
        }
    };
    let mut decided = perform_power(node, flow, target, 0, world)?;
    let text = format!("the machine is found in the state {state}, not in {stored}: it is switched back");
    decided.notes.insert(0, note(false, text));
    Ok(Some(decided))
}

/// What follows when the BMC of a node that was given up tells the power state again; `None` when nothing does.
pub fn recover_power(mut node: Node, flow: Option<FlowRecord>, state: PowerState) -> Option<Decision> {
    if !is_recoverable(&node) {
        return None;
    }
    node.maintenance = false;
    node.fault = None;
    let reason = node.maintenance_reason.take();
    if reason.is_some_and(|reason| node.last_error.as_deref() == Some(&account(&reason))) {
        node.last_error = None;
    }
    let text = format!("the power state can be read again: {state}; the node leaves maintenance");
    Some(adopt(node, flow, state, text))
}

/// What is stored follows the machine.
fn adopt(mut node: Node, flow: Option<FlowRecord>, state: PowerState, text: String) -> Decision {
    node.power_state = Some(state);
    Decision { notes: vec![note(false, text)], ..Decision::rest(node, flow) }
}

/// The node is in doubt until its BMC answers again, or a person says otherwise.
fn give_up(
    mut node: Node,
    flow: Option<FlowRecord>,
    observed: Option<PowerState>,
    error: &StepError,
) -> Decision {
    let reason = error.to_string();
    let text = account(&reason);
    node.power_state = observed;
    node.maintenance = true;
    node.fault = Some(Fault::Power);
    node.maintenance_reason = Some(reason);
    node.last_error = Some(text.clone());
    Decision { notes: vec![note(true, text)], ..Decision::rest(node, flow) }
}

fn account(reason: &str) -> String {
    format!("power sync failed: {reason}")
}

fn note(error: bool, text: String) -> Note {
    Note { event_type: "monitoring", error, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    use crate::decide::{Plans, Policy};
    use crate::step::PlannedStep;

    struct NoPlans;

    impl Plans for NoPlans {
        fn deploy(&self, _: &Node) -> Vec<PlannedStep> {
            Vec::new()
        }

        fn clean(&self, _: &Node) -> Vec<PlannedStep> {
            Vec::new()
        }
    }

    fn node(stored: Option<PowerState>) -> Node {
        let mut node = Node::new("ipmi", Timestamp::from_micros(1));
        node.provision_state = S::Active;
        node.power_state = stored;
        node
    }

    fn silent() -> SeenPower {
        SeenPower::of(Err(StepError::new(ErrorCode::BmcUnreachable, "no answer.")))
    }

    fn look(node: Node, seen: &SeenPower, failures: u32, force: bool) -> Option<Decision> {
        let (policy, limits) = (PowerSyncPolicy { force, ..PowerSyncPolicy::default() }, Policy::default());
        let world = World { now: Timestamp::from_micros(2), holder: "one", policy: &limits, plans: &NoPlans };
        sync_power(node, None, seen, failures, policy, world).unwrap()
    }

    const ON: SeenPower = SeenPower::State(PowerState::On);

    #[test]
    fn nobody_looks_where_somebody_else_is_in_charge() {
        let ways: [fn(&mut Node); 4] = [
            |node| node.maintenance = true,
            |node| node.target_power_state = Some(PowerTarget::Off),
            |node| node.provision_state = S::DeployWait,
            |node| {
                node.lease = Some(model::Lease {
                    holder: "one".to_owned(),
                    expires_at: Timestamp::from_micros(9),
                    reason: "deploy".to_owned(),
                });
            },
        ];
        for change in ways {
            let mut node = node(Some(PowerState::Off));
            change(&mut node);
            assert!(look(node, &ON, 9, true).is_none());
        }
        for state in UNWATCHED {
            assert!(!is_watched(&Node { provision_state: state, ..node(None) }), "{state}");
        }
    }

    #[test]
    fn what_agrees_and_what_is_not_known_yet_is_no_matter() {
        assert!(look(node(Some(PowerState::On)), &ON, 0, true).is_none());
        let first = look(node(None), &ON, 0, true).unwrap();
        assert_eq!((first.node.power_state, first.effect), (Some(PowerState::On), None));
        assert!(look(node(None), &silent(), 3, true).is_none());
    }

    #[test]
    fn another_state_is_forced_or_adopted() {
        let forced = look(node(Some(PowerState::Off)), &ON, 1, true).unwrap();
        assert_eq!(forced.node.target_power_state, Some(PowerTarget::Off));
        assert_eq!(forced.node.power_state, Some(PowerState::Off));
        assert!(forced.effect.is_some());
        for (force, never_off) in [(false, false), (true, true)] {
            let node = Node { disable_power_off: never_off, ..node(Some(PowerState::Off)) };
            let adopted = look(node, &ON, 1, force).unwrap();
            assert_eq!((adopted.node.power_state, adopted.effect), (Some(PowerState::On), None));
        }
    }

    #[test]
    fn after_too_many_looks_the_node_is_in_doubt_until_it_can_be_read() {
        assert!(look(node(Some(PowerState::Off)), &silent(), 3, true).is_none());
        let lost = look(node(Some(PowerState::Off)), &silent(), 4, true).unwrap().node;
        assert_eq!((lost.maintenance, lost.fault, lost.power_state), (true, Some(Fault::Power), None));
        let reason = lost.maintenance_reason.clone().unwrap();
        assert!(reason.starts_with("E0101: ") && reason.contains("4 times"), "{reason}");
        assert_eq!(lost.last_error, Some(format!("power sync failed: {reason}")));

        let stuck = look(node(Some(PowerState::Off)), &ON, 4, true).unwrap().node;
        assert_eq!(stuck.power_state, Some(PowerState::On));
        assert!(stuck.maintenance_reason.unwrap().starts_with("E0104: "));

        let back = recover_power(lost.clone(), None, PowerState::On).unwrap().node;
        assert_eq!((back.maintenance, back.fault, back.maintenance_reason), (false, None, None));
        assert_eq!((back.power_state, back.last_error), (Some(PowerState::On), None));
        let by_hand = Node { fault: None, ..lost };
        assert!(recover_power(by_hand, None, PowerState::On).is_none());
    }

    #[test]
    fn error_is_no_state() {
        assert!(matches!(SeenPower::of(Ok(PowerState::Error)), SeenPower::Unread(_)));
    }
}
