//! Events of other services. They are noted in the log and change nothing.

use api_types::Invalid;
use serde_json::Value;

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// The most events of one request.
const MAX_EVENTS: usize = 1000;

/// `POST /v1/events`
pub(crate) async fn post(request: Request) -> Answer {
    request.authorise("baremetal:events:post", None)?;
    let Some(Value::Array(events)) = request.shaped()?.remove("events") else {
        return Err(Invalid::at("/events", "expected a list of events").into());
    };
    if events.is_empty() || events.len() > MAX_EVENTS {
        let problem = format!("expected 1 to {MAX_EVENTS} events, not {}", events.len());
        return Err(Invalid::at("/events", problem).into());
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
