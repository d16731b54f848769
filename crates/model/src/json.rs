//! Free-form JSON objects (`extra`, `properties`, `driver_info` …), kept as text.
//!
//! Most requests only carry them from the store to the wire, so the text is validated once, when it enters, and parsed
//! again only by who looks inside.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A JSON object as its text. The empty one, which most of a node's are, takes no memory of its own.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct JsonObject(Option<Box<str>>);

/// The empty object.
const EMPTY: &str = "{}";

/// The text is not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object")]
pub struct NotAnObject;

impl JsonObject {
    /// Checks that `text` is one JSON object and keeps it.
    pub fn parse(text: &str) -> Result<Self, NotAnObject> {
        let _: Map<String, Value> = serde_json::from_str(text).map_err(|_| NotAnObject)?;
        Ok(Self::from_stored(text))
    }

    /// Wraps text that was checked when it was stored.
    pub fn from_stored(text: &str) -> Self {
        Self((text != EMPTY).then(|| text.into()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(EMPTY)
    }

    /// Whether the object has no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_none() || self.to_map().is_empty()
    }

    /// The members, parsed.
    pub fn to_map(&self) -> Map<String, Value> {
        self.0.as_deref().map(|text| serde_json::from_str(text).unwrap_or_default()).unwrap_or_default()
    }

    /// The member `key`, parsed.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.to_map().remove(key)
    }

    /// The member `key` when it is a string.
    pub fn get_str(&self, key: &str) -> Option<String> {
        match self.get(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Sets the member `key`.
    pub fn set(&mut self, key: &str, value: Value) {
        let mut map = self.to_map();
        map.insert(key.to_owned(), value);
        *self = Self::from(map);
    }

    /// Removes the member `key` and returns it.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let mut map = self.to_map();
        let removed = map.remove(key);
        if removed.is_some() {
            *self = Self::from(map);
        }
        removed
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(map: Map<String, Value>) -> Self {
        Self((!map.is_empty()).then(|| Value::Object(map).to_string().into()))
    }
}

/// Shows how much there is, never what: such objects hold passwords.
impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({} bytes)", self.as_str().len())
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.as_str()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Self::from(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_the_text_and_edits_members() {
        let mut object = JsonObject::parse(r#"{"b": 1, "a": "x"}"#).unwrap();
        assert_eq!(object.as_str(), r#"{"b": 1, "a": "x"}"#);
        object.set("c", json!([1]));
        assert_eq!(object.get("c"), Some(json!([1])));
        assert_eq!(object.remove("b"), Some(json!(1)));
        assert_eq!(object.get_str("a").as_deref(), Some("x"));
        assert!(JsonObject::default().is_empty());
    }

    #[test]
    fn refuses_other_values() {
        assert_eq!(JsonObject::parse("[1]"), Err(NotAnObject));
        assert_eq!(JsonObject::parse("{"), Err(NotAnObject));
    }

    #[test]
    fn debug_hides_the_content() {
        let object = JsonObject::parse(r#"{"ipmi_password": "hunter2"}"#).unwrap();
        assert!(!format!("{object:?}").contains("hunter2"));
    }
}
