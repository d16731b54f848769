//! Commands that a conductor sends to the agent, and what the agent says of them.

use crate::progress::Progress;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Body of `POST /v1/commands/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandRequest {
    /// `extension.command`.
    pub name: String,
    /// Arguments by name.
    pub params: Map<String, Value>,
}

impl CommandRequest {
    /// Extension and command, parted at the first dot; `None` when there is no dot or one part is empty.
    pub fn parts(&self) -> Option<(&str, &str)> {
        self.name.split_once('.').filter(|(extension, command)| !extension.is_empty() && !command.is_empty())
    }
}

/// State of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommandStatus {
    /// Still at work.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// The step list was made by another set of hardware managers: ask for the steps again.
    CleanVersionMismatch,
}

/// Why a command failed: `{type, code, message, details}` or, for errors the agent did not foresee, `{error: text}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// Name of the error's kind; `TypeError` means that the arguments do not fit.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// HTTP-like code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Short message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Long message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The whole text of an unforeseen error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CommandError {
    /// An error with its kind, code, short and long message.
    pub fn new(kind: &str, code: u16, message: &str, details: impl Into<String>) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            code: Some(code),
            message: Some(message.to_owned()),
            details: Some(details.into()),
            error: None,
        }
    }

    /// The best text for people.
    pub fn text(&self) -> &str {
        [&self.details, &self.error, &self.message, &self.kind]
            .into_iter()
            .flatten()
            .find(|text| !text.is_empty())
            .map_or("the agent gave no reason", String::as_str)
    }

    /// Whether the agent says that its command takes other arguments than those it was given.
    pub fn is_argument_mismatch(&self) -> bool {
        self.kind.as_deref() == Some("TypeError")
    }
}

/// What the agent says of one command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandResult {
    /// The agent's identifier of the command, a UUID.
    pub id: String,
    /// The command without its extension: `get_clean_steps`.
    pub command_name: String,
    /// Its state.
    pub command_status: CommandStatus,
    /// Set when failed.
    #[serde(default, deserialize_with = "error_of_any_shape")]
    pub command_error: Option<CommandError>,
    /// Null, or an object.
    #[serde(default)]
    pub command_result: Value,
    /// Wrought's own addition: how far a running command is. Other conductors ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_progress: Option<Progress>,
}

impl CommandResult {
    /// Whether the command is still at work.
    pub fn is_running(&self) -> bool {
        self.command_status == CommandStatus::Running
    }
}

/// Answer to `GET /v1/commands/`, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandList {
    /// The commands of this boot.
    #[serde(default)]
    pub commands: Vec<CommandResult>,
}

/// Agents and their plug-ins put a text, an object or nothing here; none of these is a reason to reject a reply.
fn error_of_any_shape<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<CommandError>, D::Error> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Ok(match Value::deserialize(source)? {
        Value::Null => None,
        Value::Object(map) => {
            let field = |key: &str| map.get(key).and_then(text);
            let code = map.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            let known = CommandError {
                kind: field("type"),
                code,
                message: field("message"),
                details: field("details"),
                error: field("error"),
            };
            let unknown = known == CommandError::default() && !map.is_empty();
            Some(if unknown { CommandError { error: text(&Value::Object(map)), ..known } } else { known })
        }
        other => Some(CommandError { error: text(&other), ..CommandError::default() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_parts() {
        let request = |name: &str| CommandRequest { name: name.to_owned(), params: Map::new() };
        assert_eq!(request("clean.get_clean_steps").parts(), Some(("clean", "get_clean_steps")));
        for name in ["clean", ".x", "x.", ""] {
            assert_eq!(request(name).parts(), None, "{name}");
        }
    }

    #[test]
    fn any_error_shape_is_read() {
        let error = |json: &str| {
            let text = format!(
                r#"{{"id":"1","command_name":"x","command_status":"FAILED","command_error":{json}}}"#
            );
            serde_json::from_str::<CommandResult>(&text).expect("reply").command_error
        };
        assert_eq!(error("null"), None);
        assert_eq!(error(r#""boom""#).expect("error").text(), "boom");
        assert_eq!(error(r#"{"error":"boom"}"#).expect("error").text(), "boom");
        assert_eq!(error("[1]").expect("error").text(), "[1]");
        assert_eq!(error(r#"{"odd":1}"#).expect("error").text(), r#"{"odd":1}"#);
        let full = error(r#"{"type":"TypeError","code":500,"message":"m","details":"d"}"#).expect("error");
        assert!(full.is_argument_mismatch());
        assert_eq!((full.code, full.text()), (Some(500), "d"));
    }
}
