//! What moves a node: the verbs that callers use, and the events of the state machine.

use std::fmt;
use std::str::FromStr;

use model::ProvisionState;

/// A verb of `PUT /v1/nodes/{id}/states/provision` (contract/verbs.tsv).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Deploy (the usual spelling).
    Active,
    /// Deploy (newer spelling, no arguments).
    Deploy,
    /// Deploy again.
    Rebuild,
    /// Tear down.
    Deleted,
    /// Tear down (alias).
    Undeploy,
    /// Verify the BMC, or take back from available.
    Manage,
    /// Clean and make available.
    Provide,
    /// Inspect.
    Inspect,
    /// Abort what waits.
    Abort,
    /// Clean by given steps.
    Clean,
    /// Take over with a running system.
    Adopt,
    /// Boot the rescue ramdisk.
    Rescue,
    /// Leave rescue.
    Unrescue,
    /// Go on from a hold.
    Unhold,
    /// Run service steps.
    Service,
}

/// One row of the table of verbs.
struct VerbRow {
    verb: Verb,
    name: &'static str,
    event: FsmEvent,
}

const VERBS: &[VerbRow] = &[
    VerbRow { verb: Verb::Active, name: "active", event: FsmEvent::Deploy },
    VerbRow { verb: Verb::Deploy, name: "deploy", event: FsmEvent::Deploy },
    VerbRow { verb: Verb::Rebuild, name: "rebuild", event: FsmEvent::Rebuild },
    VerbRow { verb: Verb::Deleted, name: "deleted", event: FsmEvent::Delete },
    VerbRow { verb: Verb::Undeploy, name: "undeploy", event: FsmEvent::Delete },
    VerbRow { verb: Verb::Manage, name: "manage", event: FsmEvent::Manage },
    VerbRow { verb: Verb::Provide, name: "provide", event: FsmEvent::Provide },
    VerbRow { verb: Verb::Inspect, name: "inspect", event: FsmEvent::Inspect },
    VerbRow { verb: Verb::Abort, name: "abort", event: FsmEvent::Abort },
    VerbRow { verb: Verb::Clean, name: "clean", event: FsmEvent::Clean },
    VerbRow { verb: Verb::Adopt, name: "adopt", event: FsmEvent::Adopt },
    VerbRow { verb: Verb::Rescue, name: "rescue", event: FsmEvent::Rescue },
    VerbRow { verb: Verb::Unrescue, name: "unrescue", event: FsmEvent::Unrescue },
    VerbRow { verb: Verb::Unhold, name: "unhold", event: FsmEvent::Unhold },
    VerbRow { verb: Verb::Service, name: "service", event: FsmEvent::Service },
];

impl Verb {
    /// Every verb with its name, in the contract's order.
    pub fn all() -> impl Iterator<Item = Self> {
        VERBS.iter().map(|row| row.verb)
    }

    fn row(self) -> &'static VerbRow {
        // The table has a row for every variant: tested below.
        VERBS.iter().find(|row| row.verb == self).unwrap_or(&VERBS[0])
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The event it stands for.
    pub fn event(self) -> FsmEvent {
        self.row().event
    }

    /// The states in which a caller may use it. The event `clean` also follows a tear-down and `manage` ends a
    /// manual cleaning: those rows of the table belong to the service, not to callers.
    pub fn allowed_from(self) -> impl Iterator<Item = ProvisionState> {
        crate::transitions::allowed_from(self.event())
            .filter(|state| !matches!(state, ProvisionState::Deleting | ProvisionState::Cleaning))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        VERBS.iter().find(|row| row.name == text).map(|row| row.verb).ok_or_else(|| {
            format!(
                "'{}' is not a provision target: expected one of {}",
                text.chars().take(64).collect::<String>(),
                VERBS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
            )
        })
    }
}

macro_rules! events {
    ($($variant:ident = $wire:literal;)*) => {
        /// An event of the state machine (contract/states.tsv).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FsmEvent {
            $(#[doc = concat!("`", $wire, "`")] $variant,)*
        }

        impl fmt::Display for FsmEvent {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $wire),* })
            }
        }
    };
}

events! {
    Abort = "abort";
    Adopt = "adopt";
    Clean = "clean";
    Delete = "delete";
    Deploy = "deploy";
    Done = "done";
    Fail = "fail";
    Hold = "hold";
    Inspect = "inspect";
    Manage = "manage";
    Provide = "provide";
    Rebuild = "rebuild";
    Rescue = "rescue";
    Resume = "resume";
    Service = "service";
    Unhold = "unhold";
    Unrescue = "unrescue";
    Wait = "wait";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_verbs_of_the_contract() {
        let table = include_str!("../../../contract/verbs.tsv");
        let mut seen = BTreeSet::new();
        for row in table.lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            let verb: Verb = cells[0].parse().unwrap();
            seen.insert(verb);
            assert_eq!(verb.event().to_string(), cells[2], "{verb}");
            let states: BTreeSet<String> = cells[3].split(", ").map(str::to_owned).collect();
            let ours: BTreeSet<String> = verb.allowed_from().map(|state| state.to_string()).collect();
            assert_eq!(ours, states, "{verb}");
        }
        assert_eq!(seen, Verb::all().collect());
    }
}
