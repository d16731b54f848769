//! Free-form JSON lists, kept as text like [`JsonObject`](crate::JsonObject)s.

use std::fmt;

use serde_json::Value;

/// A JSON list as its text.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonList(Box<str>);

impl JsonList {
    /// Wraps text that was checked when it was stored.
    pub fn from_stored(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The items, parsed.
    pub fn to_vec(&self) -> Vec<Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Default for JsonList {
    fn default() -> Self {
        Self("[]".into())
    }
}

impl From<Vec<Value>> for JsonList {
    fn from(items: Vec<Value>) -> Self {
        Self(Value::Array(items).to_string().into())
    }
}

/// Shows how much there is, never what: such lists hold passwords.
impl fmt::Debug for JsonList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonList({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_items_and_hides_them() {
        let list = JsonList::from(vec![json!({"password": "hunter2"})]);
        assert_eq!(list.to_vec(), [json!({"password": "hunter2"})]);
        assert!(!format!("{list:?}").contains("hunter2"));
        assert!(JsonList::default().to_vec().is_empty());
    }
}
