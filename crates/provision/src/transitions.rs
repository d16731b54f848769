//! The one table that moves a node (contract/states.tsv); nothing else decides which state may follow which.

use model::ProvisionState as S;

use crate::event::FsmEvent as E;

/// `(from, event, to)`, in the order of the contract.
pub const TRANSITIONS: &[(S, E, S)] = &[
    (S::Active, E::Delete, S::Deleting),
    (S::Active, E::Rebuild, S::Deploying),
    (S::Active, E::Rescue, S::Rescuing),
    (S::Active, E::Service, S::Servicing),
    (S::AdoptFailed, E::Adopt, S::Adopting),
    (S::AdoptFailed, E::Manage, S::Manageable),
    (S::Adopting, E::Done, S::Active),
    (S::Adopting, E::Fail, S::AdoptFailed),
    (S::Available, E::Deploy, S::Deploying),
    (S::Available, E::Manage, S::Manageable),
    (S::CleanFailed, E::Manage, S::Manageable),
    (S::CleanHold, E::Abort, S::CleanFailed),
    (S::CleanHold, E::Unhold, S::CleanWait),
    (S::CleanWait, E::Abort, S::CleanFailed),
    (S::CleanWait, E::Fail, S::CleanFailed),
    (S::CleanWait, E::Hold, S::CleanHold),
    (S::CleanWait, E::Resume, S::Cleaning),
    (S::Cleaning, E::Done, S::Available),
    (S::Cleaning, E::Fail, S::CleanFailed),
    (S::Cleaning, E::Hold, S::CleanHold),
    (S::Cleaning, E::Manage, S::Manageable),
    (S::Cleaning, E::Wait, S::CleanWait),
    (S::Deleting, E::Clean, S::Cleaning),
    (S::Deleting, E::Fail, S::Error),
    (S::DeployFailed, E::Delete, S::Deleting),
    (S::DeployFailed, E::Deploy, S::Deploying),
    (S::DeployFailed, E::Rebuild, S::Deploying),
    (S::DeployHold, E::Abort, S::DeployFailed),
    (S::DeployHold, E::Unhold, S::DeployWait),
    (S::Deploying, E::Done, S::Active),
    (S::Deploying, E::Fail, S::DeployFailed),
    (S::Deploying, E::Hold, S::DeployHold),
    (S::Deploying, E::Wait, S::DeployWait),
    (S::Enroll, E::Manage, S::Verifying),
    (S::Error, E::Delete, S::Deleting),
    (S::Error, E::Rebuild, S::Deploying),
    (S::InspectFailed, E::Inspect, S::Inspecting),
    (S::InspectFailed, E::Manage, S::Manageable),
    (S::InspectWait, E::Abort, S::InspectFailed),
    (S::InspectWait, E::Done, S::Manageable),
    (S::InspectWait, E::Fail, S::InspectFailed),
    (S::InspectWait, E::Resume, S::Inspecting),
    (S::Inspecting, E::Done, S::Manageable),
    (S::Inspecting, E::Fail, S::InspectFailed),
    (S::Inspecting, E::Wait, S::InspectWait),
    (S::Manageable, E::Adopt, S::Adopting),
    (S::Manageable, E::Clean, S::Cleaning),
    (S::Manageable, E::Inspect, S::Inspecting),
    (S::Manageable, E::Provide, S::Cleaning),
    (S::Rescue, E::Delete, S::Deleting),
    (S::Rescue, E::Rescue, S::Rescuing),
    (S::Rescue, E::Unrescue, S::Unrescuing),
    (S::RescueFailed, E::Delete, S::Deleting),
    (S::RescueFailed, E::Rescue, S::Rescuing),
    (S::RescueFailed, E::Unrescue, S::Unrescuing),
    (S::RescueWait, E::Abort, S::RescueFailed),
    (S::RescueWait, E::Delete, S::Deleting),
    (S::RescueWait, E::Fail, S::RescueFailed),
    (S::RescueWait, E::Resume, S::Rescuing),
    (S::Rescuing, E::Done, S::Rescue),
    (S::Rescuing, E::Fail, S::RescueFailed),
    (S::Rescuing, E::Wait, S::RescueWait),
    (S::ServiceFailed, E::Abort, S::Active),
    (S::ServiceFailed, E::Delete, S::Deleting),
    (S::ServiceFailed, E::Hold, S::ServiceHold),
    (S::ServiceFailed, E::Rescue, S::Rescuing),
    (S::ServiceFailed, E::Service, S::Servicing),
    (S::ServiceFailed, E::Wait, S::ServiceWait),
    (S::ServiceHold, E::Abort, S::ServiceFailed),
    (S::ServiceHold, E::Fail, S::ServiceFailed),
    (S::ServiceHold, E::Service, S::Servicing),
    (S::ServiceHold, E::Unhold, S::ServiceWait),
    (S::ServiceWait, E::Abort, S::ServiceFailed),
    (S::ServiceWait, E::Delete, S::Deleting),
    (S::ServiceWait, E::Fail, S::ServiceFailed),
    (S::ServiceWait, E::Hold, S::ServiceHold),
    (S::ServiceWait, E::Resume, S::Servicing),
    (S::Servicing, E::Done, S::Active),
    (S::Servicing, E::Fail, S::ServiceFailed),
    (S::Servicing, E::Hold, S::ServiceHold),
    (S::Servicing, E::Wait, S::ServiceWait),
    (S::UnrescueFailed, E::Delete, S::Deleting),
    (S::UnrescueFailed, E::Rescue, S::Rescuing),
    (S::UnrescueFailed, E::Unrescue, S::Unrescuing),
    (S::Unrescuing, E::Done, S::Active),
    (S::Unrescuing, E::Fail, S::UnrescueFailed),
    (S::Verifying, E::Done, S::Manageable),
    (S::Verifying, E::Fail, S::Enroll),
    (S::DeployWait, E::Abort, S::DeployFailed),
    (S::DeployWait, E::Delete, S::Deleting),
    (S::DeployWait, E::Fail, S::DeployFailed),
    (S::DeployWait, E::Hold, S::DeployHold),
    (S::DeployWait, E::Resume, S::Deploying),
];

/// The state that `event` leads to from `from`, if the table allows it.
pub fn next_state(from: S, event: E) -> Option<S> {
    TRANSITIONS.iter().find(|(state, on, _)| *state == from && *on == event).map(|(_, _, to)| *to)
}

/// The states in which `event` is allowed.
pub fn allowed_from(event: E) -> impl Iterator<Item = S> {
    TRANSITIONS.iter().filter(move |(_, on, _)| *on == event).map(|(from, _, _)| *from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn equals_the_contract() {
        let table = include_str!("../../../contract/states.tsv");
        let rows: Vec<(String, String, String)> = table
            .lines()
            .skip(1)
            .map(|row| {
                let mut cells = row.split('\t').map(str::to_owned);
                (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap())
            })
            .collect();
        let ours: Vec<(String, String, String)> = TRANSITIONS
            .iter()
            .map(|(from, event, to)| (from.to_string(), event.to_string(), to.to_string()))
            .collect();
        assert_eq!(ours, rows);
    }

    #[test]
    fn one_row_for_each_state_and_event() {
        let keys: BTreeSet<_> = TRANSITIONS.iter().map(|(from, event, _)| (*from, *event)).collect();
        assert_eq!(keys.len(), TRANSITIONS.len());
    }

    #[test]
    fn every_state_is_reachable_and_none_is_a_trap() {
        let mut reached = BTreeSet::from([S::Enroll]);
        while let Some((_, _, new)) =
            TRANSITIONS.iter().find(|(from, _, to)| reached.contains(from) && !reached.contains(to))
        {
            reached.insert(*new);
        }
        for state in S::ALL {
            assert!(reached.contains(state), "{state} cannot be reached");
            assert!(TRANSITIONS.iter().any(|(from, _, _)| from == state), "{state} has no way out");
        }
    }

    #[test]
    fn every_wait_can_resume_fail_and_be_aborted() {
        for (_, _, wait) in TRANSITIONS.iter().filter(|(_, event, _)| *event == E::Wait) {
            assert!(next_state(*wait, E::Fail).is_some(), "{wait} cannot fail");
            assert!(next_state(*wait, E::Resume).is_some(), "{wait} cannot resume");
            assert!(next_state(*wait, E::Abort).is_some(), "{wait} cannot be aborted");
        }
    }
}
