//! How a change of state is told to others: which event of the state machine it was, and whether something began,
//! ended or failed by it. Read off the two states, so that whoever records a change can tell it.

use model::ProvisionState as S;

use crate::event::FsmEvent as E;
use crate::transitions::TRANSITIONS;

/// What a change means to those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Work began.
    Start,
    /// Work ended.
    End,
    /// It failed.
    Error,
    /// Neither: one stable state after another, or one kind of work after another.
    Success,
}

impl Status {
    /// The last word of an event's type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Error => "error",
            Self::Success => "success",
        }
    }
}

/// Whether a node rests in `state` until somebody asks for something (`contract/states_meta.tsv`, `fsm_stable`).
const fn is_stable(state: S) -> bool {
    matches!(state, S::Active | S::Available | S::Enroll | S::Error | S::Manageable | S::Rescue)
}

/// What the change from `from` to `to`, with the aim `target`, is told as. `None` for the event when no row of the table
/// leads there: a state that was set by hand.
pub fn told_as(from: S, to: S, target: Option<S>) -> (Option<E>, Status) {
    let event = event_between(from, to, target);
    let status = match (event, is_stable(from), is_stable(to)) {
        (Some(E::Fail), ..) => Status::Error,
        (_, true, false) => Status::Start,
        (_, false, true) => Status::End,
        _ => Status::Success,
    };
    (event, status)
}

fn event_between(from: S, to: S, target: Option<S>) -> Option<E> {
    let mut rows = TRANSITIONS.iter().filter(|(start, _, end)| *start == from && *end == to).map(|row| row.1);
    let direct = match (rows.next(), rows.next()) {
        // Cleaning by hand goes back to manageable, and a wait that is aborted has failed, too.
        (Some(E::Clean), Some(E::Provide)) if target != Some(S::Manageable) => Some(E::Provide),
        (Some(E::Abort), Some(E::Fail)) => Some(E::Fail),
        (first, _) => first,
    };
    // More than one step was recorded at once: the last one is told.
    direct.or_else(|| {
        let reached = |state: S| TRANSITIONS.iter().any(|(start, _, end)| *start == from && *end == state);
        TRANSITIONS.iter().find(|(start, _, end)| *end == to && reached(*start)).map(|row| row.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_as_what_they_are() {
        let cases = [
            (S::Available, S::Deploying, Some(S::Active), Some(E::Deploy), Status::Start),
            (S::Deploying, S::DeployWait, Some(S::Active), Some(E::Wait), Status::Success),
            (S::DeployWait, S::Deploying, Some(S::Active), Some(E::Resume), Status::Success),
            (S::Deploying, S::Active, None, Some(E::Done), Status::End),
            (S::DeployWait, S::DeployFailed, Some(S::Active), Some(E::Fail), Status::Error),
            (S::CleanWait, S::CleanFailed, None, Some(E::Fail), Status::Error),
            (S::Verifying, S::Enroll, None, Some(E::Fail), Status::Error),
            (S::Manageable, S::Cleaning, Some(S::Manageable), Some(E::Clean), Status::Start),
            (S::Manageable, S::Cleaning, Some(S::Available), Some(E::Provide), Status::Start),
            (S::Available, S::Manageable, None, Some(E::Manage), Status::Success),
            (S::Manageable, S::Available, None, Some(E::Done), Status::Success),
            (S::Enroll, S::Active, None, None, Status::Success),
        ];
        for (from, to, target, event, status) in cases {
            assert_eq!(told_as(from, to, target), (event, status), "{from} -> {to}");
        }
    }

    #[test]
    fn stable_states_are_those_of_the_contract() {
        for row in include_str!("../../../contract/states_meta.tsv").lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            assert_eq!(is_stable(cells[0].parse().unwrap()), cells[2] == "yes", "{}", cells[0]);
        }
    }
}
