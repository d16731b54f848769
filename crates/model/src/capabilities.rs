//! The `capabilities` of a node: `key:value` pairs separated by commas in `properties`, an object in `instance_info`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Parsed capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(BTreeMap<String, String>);

impl Capabilities {
    /// Reads either form; text without a colon is skipped.
    pub fn parse(value: &Value) -> Self {
        match value {
            Value::Object(map) => Self(
                map.iter()
                    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                    .collect(),
            ),
            Value::String(text) if text.trim_start().starts_with('{') => {
                serde_json::from_str::<Value>(text).map(|value| Self::parse(&value)).unwrap_or_default()
            }
            Value::String(text) => Self(
                text.split(',')
                    .filter_map(|pair| pair.split_once(':'))
                    .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                    .collect(),
            ),
            _ => Self::default(),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets `key`.
    pub fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.to_owned());
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }
}

/// The text form: `boot_mode:uefi,secure_boot:true`.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            write!(f, "{}{key}:{value}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms() {
        let text = Capabilities::parse(&json!("boot_mode:uefi, secure_boot:true,junk"));
        assert_eq!(text.get("boot_mode"), Some("uefi"));
        assert_eq!(text.to_string(), "boot_mode:uefi,secure_boot:true");
        assert_eq!(Capabilities::parse(&json!({"boot_mode": "uefi", "secure_boot": "true"})), text);
        assert_eq!(Capabilities::parse(&json!(r#"{"boot_mode": "uefi", "secure_boot": "true"}"#)), text);
    }
}
