//! The `SecureBoot` resource of a system.

use crate::document::action_target;
use crate::path::ResourcePath;
use serde_json::{Value, json};

/// What the resource says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureBoot {
    /// Whether it will be on at the next boot.
    pub enabled: Option<bool>,
    /// Whether it was on at the last boot.
    pub current: Option<bool>,
}

impl SecureBoot {
    /// Reads the resource.
    pub fn from_value(value: &Value) -> Self {
        let current = match value.get("SecureBootCurrentBoot").and_then(Value::as_str) {
            Some("Enabled") => Some(true),
            Some("Disabled") => Some(false),
            _ => None,
        };
        Self { enabled: value.get("SecureBootEnable").and_then(Value::as_bool), current }
    }
}

/// What becomes of the keys that secure boot trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysReset {
    /// Those of the maker.
    Default,
    /// None: secure boot is then in set-up mode.
    Clear,
}

impl KeysReset {
    /// The name on the wire (schema `SecureBoot`, `ResetKeysType`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "ResetAllKeysToDefault",
            Self::Clear => "DeleteAllKeys",
        }
    }

    /// The body of the action.
    pub fn body(self) -> Value {
        json!({"ResetKeysType": self.as_str()})
    }
}

/// Where the keys are reset, if the resource has the action `#SecureBoot.ResetKeys`.
pub fn reset_keys_target(value: &Value) -> Option<ResourcePath> {
    action_target(value, "#SecureBoot.ResetKeys")
}

/// The body that switches it.
pub fn secure_boot_change(on: bool) -> Value {
    json!({"SecureBootEnable": on})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_known() {
        let resource = json!({"SecureBootEnable": true, "SecureBootCurrentBoot": "Disabled"});
        assert_eq!(
            SecureBoot::from_value(&resource),
            SecureBoot { enabled: Some(true), current: Some(false) }
        );
        assert_eq!(SecureBoot::from_value(&json!({})), SecureBoot { enabled: None, current: None });
        assert_eq!(reset_keys_target(&resource), None);
    }

    #[test]
    fn the_action_on_keys_is_found() {
        let target = "/redfish/v1/Systems/1/SecureBoot/Actions/SecureBoot.ResetKeys";
        let resource = json!({"Actions": {"#SecureBoot.ResetKeys": {"target": target}}});
        assert_eq!(reset_keys_target(&resource).unwrap().as_str(), target);
        assert_eq!(KeysReset::Clear.body(), json!({"ResetKeysType": "DeleteAllKeys"}));
        assert_eq!(KeysReset::Default.body(), json!({"ResetKeysType": "ResetAllKeysToDefault"}));
    }
}
