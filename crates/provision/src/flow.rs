//! Flows as rows: which states they run in, and what follows a failure. Their steps are in the files below this one.

pub mod adopt;
pub mod clean;
pub mod deploy;
pub mod inspect;
pub mod power;
pub mod rescue;
pub mod service;
pub mod tear_down;
pub mod verify;

use model::{BootDevice, BootIntent, Fault, ProvisionState as S};
use serde::{Deserialize, Serialize};

use crate::event::FsmEvent;
use crate::step::{Action, NetworkChange};

/// The flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowKind {
    /// Is the BMC reachable?
    Verify,
    /// Cleaning, automated or by given steps.
    Clean,
    /// Deployment, and rebuild.
    Deploy,
    /// Taking the machine back.
    TearDown,
    /// A change of power asked for by a caller; no change of provision state.
    Power,
    /// What does the machine consist of?
    Inspect,
    /// Into the rescue ramdisk.
    Rescue,
    /// Out of it.
    Unrescue,
    /// Taking over a machine that runs.
    Adopt,
    /// Given steps on a machine in its user's hands.
    Service,
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
    /// The fault of a node whose flow failed after its first step: it is in doubt, so maintenance is set.
    pub fault: Option<Fault>,
}

const fn plain(kind: FlowKind, name: &'static str, target: S) -> Flow {
    Flow {
        kind,
        name,
        target: Some(target),
        done: Some(FsmEvent::Done),
        fail: Some(FsmEvent::Fail),
        after_failure: &[],
        fault: None,
    }
}

/// Every flow.
pub const FLOWS: &[Flow] = &[
    plain(FlowKind::Verify, "verify", S::Manageable),
    Flow {
        after_failure: &[
            Action::CollectLogs,
            Action::PowerOff { grace: 0 },
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveCleaning),
        ],
        fault: Some(Fault::Clean),
        ..plain(FlowKind::Clean, "clean", S::Available)
    },
    Flow {
        after_failure: &[
            Action::CollectLogs,
            Action::PowerOff { grace: 0 },
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveProvisioning),
        ],
        ..plain(FlowKind::Deploy, "deploy", S::Active)
    },
    Flow { done: Some(FsmEvent::Clean), ..plain(FlowKind::TearDown, "tear down", S::Available) },
    Flow {
        kind: FlowKind::Power,
        name: "power",
        target: None,
        done: None,
        fail: None,
        after_failure: &[],
        fault: None,
    },
    Flow {
        after_failure: &[
            Action::PowerOff { grace: 0 },
            Action::ForgetAgent,
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveInspection),
        ],
        ..plain(FlowKind::Inspect, "inspect", S::Manageable)
    },
    Flow {
        after_failure: &[
            Action::CollectLogs,
            Action::PowerOff { grace: 0 },
            Action::ForgetAgent,
            Action::Boot(BootIntent::None),
            Action::Network(NetworkChange::RemoveRescuing),
        ],
        ..plain(FlowKind::Rescue, "rescue", S::Rescue)
    },
    plain(FlowKind::Unrescue, "unrescue", S::Active),
    plain(FlowKind::Adopt, "adopt", S::Active),
    Flow {
        // The user's system is what the machine boots next; whether it may is for a person to say.
        after_failure: &[
            Action::CollectLogs,
            Action::PowerOff { grace: 0 },
            Action::ForgetAgent,
            Action::Network(NetworkChange::RemoveServicing),
            Action::Network(NetworkChange::ConfigureTenant),
            Action::Boot(BootIntent::Disk),
            Action::SetBootDevice { device: BootDevice::Disk, persistent: true },
        ],
        fault: Some(Fault::Service),
        ..plain(FlowKind::Service, "service", S::Active)
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

    /// Each flow that has a state of its own, with that state.
    const RUNNING: [(FlowKind, S); 9] = [
        (FlowKind::Verify, S::Verifying),
        (FlowKind::Clean, S::Cleaning),
        (FlowKind::Deploy, S::Deploying),
        (FlowKind::TearDown, S::Deleting),
        (FlowKind::Inspect, S::Inspecting),
        (FlowKind::Rescue, S::Rescuing),
        (FlowKind::Unrescue, S::Unrescuing),
        (FlowKind::Adopt, S::Adopting),
        (FlowKind::Service, S::Servicing),
    ];

    #[test]
    fn each_kind_has_its_row() {
        for kind in RUNNING.into_iter().map(|(kind, _)| kind).chain([FlowKind::Power]) {
            assert_eq!(kind.flow().kind, kind);
        }
    }

    #[test]
    fn the_events_of_a_flow_exist_in_its_states() {
        for (kind, state) in RUNNING {
            let flow = kind.flow();
            assert!(next_state(state, flow.done.unwrap()).is_some(), "{kind:?} cannot end");
            assert!(next_state(state, flow.fail.unwrap()).is_some(), "{kind:?} cannot fail");
        }
    }
}
