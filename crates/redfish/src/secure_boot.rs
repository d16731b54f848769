//! The `SecureBoot` resource of a system.

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
    }
}
