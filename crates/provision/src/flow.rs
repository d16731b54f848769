//! Flows as rows: which states they run in, and what follows a failure. Their steps are in the files below this one.

pub mod clean;
pub mod deploy;
pub mod power;
pub mod tear_down;
pub mod verify;

use model::{BootIntent, ProvisionState as S};
use serde::{Deserialize, Serialize};

use crate::event::FsmEvent;
use crate::step::{Action, NetworkChange};

/// The flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowKind {
    /// Is the BMC reachable?
    Verify,
    /// Automated cleaning.
    Clean,
    /// Deployment, and rebuild.
    Deploy,
    /// Taking the machine back.
    TearDown,
    /// A change of power asked for by a caller; no change of provision state.
    Power,
}

/// One flow: the states it uses are those that the transition table gives to its events.
#[derive(Debug)]
pub struct Flow {
    /// Which.
    pub kind: FlowKind,
    /// Its name in logs, history and progress.
    pub name: &'static str,
    /// The state that it strives for.
    pub target: Option<S>,
    /// The event when its last step is done; `None` leaves the state alone.
    pub done: Option<FsmEvent>,
    /// The event when it failed.
    pub fail: Option<FsmEvent>,
    /// What is done after a failure, before the state says so. Nothing here can fail the flow again.
    pub after_failure: &'static [Action],
    /// Whether a failure after its first step leaves the node in doubt, so that maintenance is set.
    pub failure_needs_operator: bool,
}

/// Every flow.
pub const FLOWS: &[Flow] = &[
    Flow {
        kind: FlowKind::Verify,
        name: "verify",
        target: Some(S::Manageable),
        done: Some(FsmEvent::Done),
        fail: Some(FsmEvent::Fail),
        after_failure: &[],
        failure_needs_operator: false,
    },
    Flow {
        kind: FlowKind::Clean,
        name: "clean",
        target: Some(S::Available),
        done: Some(FsmEvent::Done),
        fail: Some(FsmEvent::Fail),
        after_failure: &[
            Action::CollectLogs,
            Action::PowerOff { grace: 0 },
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveCleaning),
        ],
        failure_needs_operator: true,
    },
    Flow {
        kind: FlowKind::Deploy,
        name: "deploy",
        target: Some(S::Active),
        done: Some(FsmEvent::Done),
        fail: Some(FsmEvent::Fail),
        after_failure: &[
            Action::CollectLogs,
            Action::PowerOff { grace: 0 },
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveProvisioning),
        ],
        failure_needs_operator: false,
    },
    Flow {
        kind: FlowKind::TearDown,
        name: "tear down",
        target: Some(S::Available),
        done: Some(FsmEvent::Clean),
        fail: Some(FsmEvent::Fail),
        after_failure: &[],
        failure_needs_operator: false,
    },
    Flow {
        kind: FlowKind::Power,
        name: "power",
        target: None,
        done: None,
        fail: None,
        after_failure: &[],
        failure_needs_operator: false,
    },
];

impl FlowKind {
    /// Its row.
    pub fn flow(self) -> &'static Flow {
        // The table has a row for every kind: tested below.
        FLOWS.iter().find(|flow| flow.kind == self).unwrap_or(&FLOWS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::next_state;

    #[test]
    fn each_kind_has_its_row() {
        for kind in [FlowKind::Verify, FlowKind::Clean, FlowKind::Deploy, FlowKind::TearDown, FlowKind::Power]
        {
            assert_eq!(kind.flow().kind, kind);
        }
    }

    #[test]
    fn the_events_of_a_flow_exist_in_its_states() {
        let running = [
            (FlowKind::Verify, S::Verifying),
            (FlowKind::Clean, S::Cleaning),
            (FlowKind::Deploy, S::Deploying),
            (FlowKind::TearDown, S::Deleting),
        ];
        for (kind, state) in running {
            let flow = kind.flow();
            assert!(next_state(state, flow.done.unwrap()).is_some(), "{kind:?} cannot end");
            assert!(next_state(state, flow.fail.unwrap()).is_some(), "{kind:?} cannot fail");
        }
    }
}
