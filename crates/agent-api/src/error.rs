//! The body of an error reply, on the agent's and the API's side alike.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error body. The agent sends both the WSME shape (`faultcode`, `faultstring`) and the shape of a serialized
/// agent error (`type`, `code`, `message`, `details`), since conductors read the one and people the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// `Client` or `Server`.
    #[serde(default)]
    pub faultcode: String,
    /// What is wrong, for people.
    #[serde(default)]
    pub faultstring: String,
    /// Name of the error's kind.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// HTTP status.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub code: u16,
    /// Short message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Long message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(code: &u16) -> bool {
    *code == 0
}

impl Fault {
    /// An error body for a status, with the error's kind and what is wrong.
    pub fn new(code: u16, kind: &str, details: impl Into<String>) -> Self {
        let details = details.into();
        let faultcode = if code < 500 { "Client" } else { "Server" };
        Self {
            faultcode: faultcode.to_owned(),
            faultstring: details.clone(),
            kind: kind.to_owned(),
            code,
            message: details.clone(),
            details,
        }
    }

    /// The text for people out of any error body: `faultstring`, `error_message` (an object, or the same as text),
    /// `details` or `message`; else the start of the body itself.
    pub fn text_of(body: &[u8]) -> String {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
        };
        Self::text_in(&value, 0).unwrap_or_else(|| value.to_string().chars().take(500).collect())
    }

    fn text_in(value: &Value, depth: u8) -> Option<String> {
        for key in ["faultstring", "error_message", "details", "message"] {
            match value.get(key) {
                Some(Value::String(text)) if depth < 2 && text.starts_with('{') => {
                    let inner = serde_json::from_str(text).ok();
                    return inner
                        .and_then(|inner| Self::text_in(&inner, depth + 1))
                        .or_else(|| Some(text.clone()));
                }
                Some(Value::String(text)) if !text.is_empty() => return Some(text.clone()),
                Some(inner @ Value::Object(_)) if depth < 2 => return Self::text_in(inner, depth + 1),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_known_shapes() {
        let cases: [(&[u8], &str); 6] = [
            (br#"{"faultcode":"Client","faultstring":"agent is busy"}"#, "agent is busy"),
            (br#"{"error_message":{"faultstring":"no node"}}"#, "no node"),
            (br#"{"error_message":"{\"faultstring\":\"no node\"}"}"#, "no node"),
            (br#"{"type":"X","code":404,"message":"m","details":"d"}"#, "d"),
            (b"<html>", "<html>"),
            (b"[1]", "[1]"),
        ];
        for (body, text) in cases {
            assert_eq!(Fault::text_of(body), text);
        }
    }
}
