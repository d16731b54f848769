//! The reset action of a system: which kinds of reset there are, and which of them a BMC offers.

use crate::document::texts;
use crate::path::ResourcePath;
use core::fmt;
use serde_json::{Value, json};

/// Kinds of reset (schema `Resource`, `ResetType`) that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetType {
    /// Switch on.
    On,
    /// Switch on, for BMCs that do not know `On`.
    ForceOn,
    /// Switch off at once.
    ForceOff,
    /// Ask the operating system to shut down.
    GracefulShutdown,
    /// Reset at once.
    ForceRestart,
    /// Ask the operating system to restart.
    GracefulRestart,
    /// Off and on again.
    PowerCycle,
    /// A non-maskable interrupt.
    Nmi,
}

impl ResetType {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "On",
            Self::ForceOn => "ForceOn",
            Self::ForceOff => "ForceOff",
            Self::GracefulShutdown => "GracefulShutdown",
            Self::ForceRestart => "ForceRestart",
            Self::GracefulRestart => "GracefulRestart",
            Self::PowerCycle => "PowerCycle",
            Self::Nmi => "Nmi",
        }
    }

    /// Whether sending it twice does no more than sending it once.
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::On | Self::ForceOn | Self::ForceOff | Self::GracefulShutdown)
    }

    /// What does the same for the machine, best first; itself is the first. A graceful reset is never the place-holder of
    /// a forced one nor the reverse.
    const fn equivalents(self) -> &'static [Self] {
        match self {
            Self::On => &[Self::On, Self::ForceOn],
            Self::ForceOn => &[Self::ForceOn, Self::On],
            Self::ForceOff => &[Self::ForceOff],
            Self::GracefulShutdown => &[Self::GracefulShutdown],
            Self::ForceRestart => &[Self::ForceRestart, Self::PowerCycle],
            Self::GracefulRestart => &[Self::GracefulRestart],
            Self::PowerCycle => &[Self::PowerCycle],
            Self::Nmi => &[Self::Nmi],
        }
    }

    /// The body of the action.
    pub fn body(self) -> Value {
        json!({"ResetType": self.as_str()})
    }
}

impl fmt::Display for ResetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reset action as a system describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetAction {
    /// Where to post.
    pub target: ResourcePath,
    /// The kinds it takes, if it says so.
    pub allowed: Option<Vec<String>>,
    /// Where it says so, if elsewhere (`@Redfish.ActionInfo`).
    pub info: Option<ResourcePath>,
}

/// More kinds than the schema has are not read.
const MAX_ALLOWED: usize = 32;

impl ResetAction {
    /// Reads the action `#ComputerSystem.Reset` of a system.
    pub fn from_system(system: &Value) -> Option<Self> {
        let action = system.get("Actions")?.get("#ComputerSystem.Reset")?;
        let target = ResourcePath::new(action.get("target")?.as_str()?).ok()?;
        let allowed = texts(action, "ResetType@Redfish.AllowableValues", MAX_ALLOWED);
        let info = action.get("@Redfish.ActionInfo").and_then(ResourcePath::of_link);
        Some(Self { target, allowed, info })
    }

    /// What to send for `wanted`, by what is allowed; the wanted kind itself when the BMC does not say what it allows.
    pub fn choose(&self, wanted: ResetType) -> Option<ResetType> {
        let Some(allowed) = &self.allowed else { return Some(wanted) };
        let equivalents = wanted.equivalents().iter();
        equivalents.copied().find(|kind| allowed.iter().any(|name| name.eq_ignore_ascii_case(kind.as_str())))
    }
}

/// The kinds of reset that an `ActionInfo` resource lists.
pub fn allowed_resets(info: &Value) -> Option<Vec<String>> {
    let parameters = info.get("Parameters")?.as_array()?;
    let named = |parameter: &&Value| parameter.get("Name").and_then(Value::as_str) == Some("ResetType");
    texts(parameters.iter().find(named)?, "AllowableValues", MAX_ALLOWED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(allowed: &Value) -> ResetAction {
        ResetAction::from_system(&json!({"Actions": {"#ComputerSystem.Reset": {
            "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "ResetType@Redfish.AllowableValues": allowed,
        }}}))
        .unwrap()
    }

    #[test]
    fn equivalents_stand_in_and_others_do_not() {
        let few = action(&json!(["ForceOn", "ForceOff", "PowerCycle", 7]));
        assert_eq!(few.choose(ResetType::On), Some(ResetType::ForceOn));
        assert_eq!(few.choose(ResetType::ForceRestart), Some(ResetType::PowerCycle));
        assert_eq!(few.choose(ResetType::GracefulShutdown), None);
        assert_eq!(few.choose(ResetType::Nmi), None);
        assert_eq!(action(&json!(null)).choose(ResetType::Nmi), Some(ResetType::Nmi));
    }

    #[test]
    fn the_list_may_be_elsewhere() {
        let info = json!({"Parameters": [{"Name": "ResetType", "AllowableValues": ["On", "ForceOff"]}]});
        assert_eq!(allowed_resets(&info).unwrap(), ["On", "ForceOff"]);
        assert_eq!(allowed_resets(&json!({"Parameters": null})), None);
        let elsewhere = json!({"Actions": {"#ComputerSystem.Reset": {"target": "http://evil.example/"}}});
        assert_eq!(ResetAction::from_system(&elsewhere), None);
    }
}
