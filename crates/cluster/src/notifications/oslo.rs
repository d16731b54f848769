//! The form of OpenStack's notifications: a message as JSON, wrapped as text into an envelope with a version
//! (oslo.messaging's "2.0").

use db::Event;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// What conductors of Ironic tell of nodes; everything else is told by its API.
const BY_CONDUCTORS: [&str; 6] =
    ["power_set", "power_state_corrected", "provision_set", "console_set", "console_stop", "console_restore"];

/// How much a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    Info,
    Error,
}

impl Priority {
    fn of(kind: &str) -> Self {
        if kind.rsplit('.').next() == Some("error") { Self::Error } else { Self::Info }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Error => "ERROR",
        }
    }

    /// The end of the routing key.
    pub(super) fn routed(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

/// A notification to publish.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) priority: Priority,
    pub(super) text: String,
}

/// Who notifies.
#[derive(Debug)]
pub(super) struct Sender {
    /// Tells the events of this site from those of others.
    pub(super) site: Uuid,
    /// The host that publishes.
    pub(super) host: String,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "oslo.version")]
    version: &'a str,
    #[serde(rename = "oslo.message")]
    message: &'a str,
}

#[derive(Serialize)]
struct Notification<'a> {
    message_id: String,
    publisher_id: String,
    event_type: &'a str,
    priority: &'a str,
    payload: &'a RawValue,
    /// As `2026-11-22 10:00:00.123456`, in UTC.
    timestamp: String,
    #[serde(rename = "_unique_id")]
    unique_id: String,
}

impl Sender {
    /// The notification of an event. The same event has the same identifiers, whenever it is sent.
    pub(super) fn message(&self, event: &Event) -> Message {
        let id = Uuid::new_v5(&self.site, &event.id.to_be_bytes());
        let action = event.kind.split('.').nth(2).unwrap_or_default();
        let service = if BY_CONDUCTORS.contains(&action) { "ironic-conductor" } else { "ironic-api" };
        let at = event.at.to_string();
        let priority = Priority::of(&event.kind);
        let notification = Notification {
            message_id: id.to_string(),
            publisher_id: format!("{service}.{}", self.host),
            event_type: &event.kind,
            priority: priority.as_str(),
            payload: serde_json::from_str(&event.payload).unwrap_or(RawValue::NULL),
            timestamp: at.trim_end_matches("+00:00").replace('T', " "),
            unique_id: id.simple().to_string(),
        };
        // Structures of text are always written.
        let inner = serde_json::to_string(&notification).unwrap_or_default();
        let text = serde_json::to_string(&Envelope { version: "2.0", message: &inner }).unwrap_or_default();
        Message { priority, text }
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn event(id: i64, kind: &str) -> Event {
        Event {
            id,
            kind: kind.to_owned(),
            node: None,
            resource: None,
            owner: None,
            lessee: None,
            payload: r#"{"ironic_object.name":"NodeCRUDPayload"}"#.to_owned(),
            at: Timestamp::from_micros(1_795_000_000_000_001),
        }
    }

    #[test]
    fn a_notification_has_its_envelope() {
        let sender = Sender { site: Uuid::from_u128(7), host: "c1".to_owned() };
        let message = sender.message(&event(1, "baremetal.node.create.end"));
        let envelope: Value = serde_json::from_str(&message.text).unwrap();
        assert_eq!(envelope["oslo.version"], "2.0");
        let inner: Value = serde_json::from_str(envelope["oslo.message"].as_str().unwrap()).unwrap();
        assert_eq!(inner["publisher_id"], "ironic-api.c1");
        assert_eq!(inner["event_type"], "baremetal.node.create.end");
        assert_eq!(inner["priority"], "INFO");
        assert_eq!(inner["payload"], json!({"ironic_object.name": "NodeCRUDPayload"}));
        assert_eq!(inner["timestamp"], "2026-11-18 11:06:40.000001");
        assert_eq!(sender.message(&event(1, "baremetal.node.create.end")).text, message.text);
        assert_ne!(sender.message(&event(2, "baremetal.node.create.end")).text, message.text);
    }

    #[test]
    fn failures_matter_more() {
        let sender = Sender { site: Uuid::nil(), host: "c1".to_owned() };
        let message = sender.message(&event(1, "baremetal.node.provision_set.error"));
        assert_eq!(message.priority.routed(), "error");
        assert!(message.text.contains("ironic-conductor.c1") && message.text.contains("ERROR"));
    }
}
