//! Typed identifiers: one newtype per kind of object, so that a port's UUID is never taken for a node's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! typed_uuid {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random (version 4) identifier.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// Wraps an identifier read elsewhere.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

typed_uuid! {
    /// A node.
    NodeUuid;
    /// A network port of a node.
    PortUuid;
    /// A group of bonded ports.
    PortgroupUuid;
    /// A chassis.
    ChassisUuid;
    /// One run of a flow (a deploy, a cleaning …) on one node.
    FlowId;
    /// An entry of a node's history.
    HistoryUuid;
    /// An address of a node in a storage network.
    VolumeConnectorUuid;
    /// A volume of a node.
    VolumeTargetUuid;
    /// A deploy template.
    DeployTemplateUuid;
    /// A runbook.
    RunbookUuid;
    /// An inspection rule.
    InspectionRuleUuid;
    /// An allocation.
    AllocationUuid;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let id = NodeUuid::random();
        assert_eq!(id.to_string().parse::<NodeUuid>().unwrap(), id);
        assert_eq!(id.to_string().len(), 36);
    }
}
