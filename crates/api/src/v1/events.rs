//! Events of other services. They are noted in the log and change nothing.

use api_types::Invalid;
use model::MacAddr;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// What the network service tells of.
const EVENTS: [&str; 3] = ["network.bind_port", "network.unbind_port", "network.delete_port"];
/// Members that every event has.
const REQUIRED: [&str; 4] = ["event", "port_id", "mac_address", "status"];
/// Members that an event may have.
const OPTIONAL: [&str; 3] = ["device_id", "binding:host_id", "binding:vnic_type"];
/// The most events of one request.
const MAX_EVENTS: usize = 1000;

/// `POST /v1/events`
pub(crate) async fn post(request: Request) -> Answer {
    request.authorise("baremetal:events:post", None)?;
    request.no_query()?;
    let Some(Value::Array(events)) = request.members(&["events"])?.remove("events") else {
        return Err(Invalid::at("/events", "expected a list of events").into());
    };
    if events.is_empty() || events.len() > MAX_EVENTS {
        let problem = format!("expected 1 to {MAX_EVENTS} events, not {}", events.len());
        return Err(Invalid::at("/events", problem).into());
    }
    for (index, event) in events.iter().enumerate() {
        check(event, &format!("/events/{index}"))?;
    }
    for event in &events {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        tracing::debug!(
            event = text("event"),
            port = text("port_id"),
            address = text("mac_address"),
            status = text("status"),
            "the network service tells of an event"
        );
    }
    Ok(Reply::no_content())
}

fn check(event: &Value, path: &str) -> Result<(), Invalid> {
    let members = event.as_object().ok_or_else(|| Invalid::at(path, "expected an object"))?;
    for key in REQUIRED {
        let value =
            text(members, key, path)?.ok_or_else(|| Invalid::at(path, format!("'{key}' is missing")))?;
        let (fits, expected) = match key {
            "event" => (EVENTS.contains(&value), EVENTS.join(", ")),
            "port_id" => (Uuid::parse_str(value).is_ok(), "a UUID".to_owned()),
            "mac_address" => (value.parse::<MacAddr>().is_ok(), "an Ethernet address".to_owned()),
            _ => (!value.is_empty() && value.len() <= 255, "a word such as ACTIVE".to_owned()),
        };
        if !fits {
            return Err(Invalid::at(format!("{path}/{key}"), format!("expected {expected}")));
        }
    }
    for key in OPTIONAL {
        text(members, key, path)?;
    }
    match members.keys().find(|key| !REQUIRED.contains(&key.as_str()) && !OPTIONAL.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let shown: String = key.chars().take(64).collect();
            Err(Invalid::at(format!("{path}/{shown}"), "an event has no such member"))
        }
    }
}

/// A member that is a string, if it is there.
fn text<'m>(members: &'m Map<String, Value>, key: &str, path: &str) -> Result<Option<&'m str>, Invalid> {
    match members.get(key) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null) if OPTIONAL.contains(&key) => Ok(None),
        Some(_) => Err(Invalid::at(format!("{path}/{key}"), "expected a string")),
        None => Ok(None),
    }
}
