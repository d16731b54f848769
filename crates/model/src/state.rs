//! The provision states of a node, with their names on the wire (`contract/states_meta.tsv`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $wire:literal;)*) => {
        /// Where a node stands in its life.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ProvisionState {
            $($(#[$doc])* #[serde(rename = $wire)] $variant,)*
        }

        impl ProvisionState {
            /// Every state, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),* }
            }
        }

        impl FromStr for ProvisionState {
            type Err = ParseStateError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($wire => Ok(Self::$variant),)*
                    _ => Err(ParseStateError(text.chars().take(64).collect())),
                }
            }
        }
    };
}

states! {
    /// In its user's hands.
    Active = "active";
    /// Adoption failed.
    AdoptFailed = "adopt failed";
    /// Being taken over with a running system.
    Adopting = "adopting";
    /// Clean, free to be deployed.
    Available = "available";
    /// Cleaning failed.
    CleanFailed = "clean failed";
    /// Cleaning stopped at a hold step.
    CleanHold = "clean hold";
    /// Cleaning waits for the agent or for hardware.
    CleanWait = "clean wait";
    /// Being cleaned.
    Cleaning = "cleaning";
    /// Being torn down.
    Deleting = "deleting";
    /// Deployment failed.
    DeployFailed = "deploy failed";
    /// Deployment stopped at a hold step.
    DeployHold = "deploy hold";
    /// Being deployed.
    Deploying = "deploying";
    /// Known to the service, not yet verified.
    Enroll = "enroll";
    /// Tear down failed.
    Error = "error";
    /// Inspection failed.
    InspectFailed = "inspect failed";
    /// Inspection waits for the agent's data.
    InspectWait = "inspect wait";
    /// Being inspected.
    Inspecting = "inspecting";
    /// Verified: its BMC answers.
    Manageable = "manageable";
    /// Running the rescue ramdisk.
    Rescue = "rescue";
    /// Rescue failed.
    RescueFailed = "rescue failed";
    /// Rescue waits for the agent.
    RescueWait = "rescue wait";
    /// Being rescued.
    Rescuing = "rescuing";
    /// Servicing failed.
    ServiceFailed = "service failed";
    /// Servicing stopped at a hold step.
    ServiceHold = "service hold";
    /// Servicing waits for the agent.
    ServiceWait = "service wait";
    /// Being serviced.
    Servicing = "servicing";
    /// Leaving rescue failed.
    UnrescueFailed = "unrescue failed";
    /// Leaving rescue.
    Unrescuing = "unrescuing";
    /// Its BMC is being verified.
    Verifying = "verifying";
    /// Deployment waits for the agent (the wire's old name).
    DeployWait = "wait call-back";
}

/// The text names no provision state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a provision state")]
pub struct ParseStateError(pub String);

impl fmt::Display for ProvisionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thirty_states_of_the_contract() {
        let table = include_str!("../../../contract/states_meta.tsv");
        let names: Vec<&str> = table.lines().skip(1).filter_map(|row| row.split('\t').next()).collect();
        let ours: Vec<&str> = ProvisionState::ALL.iter().map(|state| state.as_str()).collect();
        assert_eq!(ours, names);
    }

    #[test]
    fn names_round_trip() {
        for state in ProvisionState::ALL {
            assert_eq!(state.as_str().parse::<ProvisionState>().unwrap(), *state);
        }
        assert!("Active".parse::<ProvisionState>().is_err());
    }
}
