//! How many nodes may be deployed and cleaned at once, so that networks and image servers are not run over.

use db::Admission;
use model::ProvisionState as S;
use provision::{FsmEvent, Verb};

/// How many nodes may be worked on at once; without a number, any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// In `deploying` and `wait call-back`.
    pub deploys: Option<u32>,
    /// In `deleting`, `cleaning` and `clean wait`.
    pub cleans: Option<u32>,
    /// Whether only the nodes of the conductor's own group count.
    pub per_group: bool,
}

impl Limits {
    /// The limit that `verb` has to pass; `group` is the conductor's.
    pub(crate) fn admission(&self, verb: Verb, group: &str) -> Option<Admission> {
        let (what, states, most) = match verb.event() {
            FsmEvent::Deploy | FsmEvent::Rebuild => {
                ("deployed", [S::Deploying, S::DeployWait, S::DeployWait], self.deploys?)
            }
            FsmEvent::Delete | FsmEvent::Clean => {
                ("cleaned", [S::Deleting, S::Cleaning, S::CleanWait], self.cleans?)
            }
            _ => return None,
        };
        Some(Admission { what, states, most, conductor_group: self.per_group.then(|| group.to_owned()) })
    }
}
