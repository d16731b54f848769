//! What agents call: lookup and heartbeat. Public: agents have a token, checked by the conductor, and no account.

use api_types::{NODE, Selection, Shape};
use boot_trace::{BootEventKind, HeartbeatRefusal, Told};
use conductor_api::{Heartbeat, Lookup, LookupReply};
use db::{NodeKey, Scope};
use http::StatusCode;
use microversion::{param_gate, since};
use model::{Node, NodeUuid, Secret, Timestamp};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::node_power::admit;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::{Request, no_node};

/// The fields of its node that an agent is told.
const LOOKUP_FIELDS: [&str; 4] = ["uuid", "properties", "instance_info", "driver_internal_info"];
/// Addresses that one lookup may name.
const MAX_ADDRESSES: usize = 256;

/// `GET /v1/lookup`
pub(crate) async fn lookup(request: Request) -> Answer {
    enabled(&request)?;
    request.authorise("baremetal:driver:ipa_lookup", None)?;
    let addresses = request.query.list("addresses").unwrap_or_default();
    let lookup = Lookup {
        addresses: addresses.iter().take(MAX_ADDRESSES).filter_map(|text| text.parse().ok()).collect(),
        node_uuid: request.query.uuid("node_uuid")?.map(NodeUuid::from_uuid),
        wants_token: request.version.at_least(const { since("agent-token") }),
    };
    if lookup.addresses.is_empty() && lookup.node_uuid.is_none() {
        return Err(ApiError::bad_request("At least one valid address, or node_uuid, is required."));
    }
    let found = request.state.conductors.lookup(lookup).await?;
    Ok(Reply::json(told(&request, &found)?))
}

/// What an agent is told of its node.
pub(super) fn told(request: &Request, found: &LookupReply) -> Result<Vec<u8>, ApiError> {
    let shape = Shape::Named(LOOKUP_FIELDS.map(str::to_owned).to_vec());
    let selection = Selection::new(&NODE, &shape, request.version)?;
    Ok(request.written(|cx, out| {
        out.raw("{");
        out.key(true, "node");
        selection.write(&found.node, cx, out);
        out.key(false, "config");
        out.object(&found.config);
        out.raw("}");
    }))
}

/// `POST /v1/heartbeat/{node_ident}`
pub(crate) async fn heartbeat(request: Request) -> Answer {
    enabled(&request)?;
    request.authorise("baremetal:node:ipa_heartbeat", None)?;
    let read = match request.shaped() {
        Ok(body) => read(&request, body),
        Err(error) => Err((HeartbeatRefusal::Malformed, error)),
    };
    let heartbeat = match read {
        Ok(heartbeat) => heartbeat,
        Err((reason, error)) => {
            if let Ok(node) = node(&request).await {
                see_refusal(&request, &node, reason, &error);
            }
            return Err(error);
        }
    };
    let node = node(&request).await?;
    // Whoever names no node is told so, whatever else is wrong.
    judge(&heartbeat)
        .inspect_err(|error| see_refusal(&request, &node, HeartbeatRefusal::Malformed, error))?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    request.state.conductors.heartbeat(node.uuid, heartbeat).await?;
    Ok(Reply::accepted())
}

/// Takes note, for the node's boot trace, of a heartbeat that no conductor gets to see.
fn see_refusal(request: &Request, node: &Node, reason: HeartbeatRefusal, error: &ApiError) {
    let kind = BootEventKind::HeartbeatRefused { reason, error: error.text().to_owned() };
    request.state.db.see_boot(Some(node.uuid), Timestamp::now(), Told::machine(kind));
}

pub(super) fn enabled(request: &Request) -> Result<(), ApiError> {
    if request.state.options.ramdisk_endpoints {
        return Ok(());
    }
    Err(ApiError::forbidden("The endpoints for ramdisks are switched off here."))
}

/// The node of a heartbeat: agents may see every node.
async fn node(request: &Request) -> Result<Node, ApiError> {
    let ident = request.param("node_ident");
    let key = match Uuid::parse_str(ident) {
        Ok(uuid) => NodeKey::Uuid(NodeUuid::from_uuid(uuid)),
        Err(_) => NodeKey::Name(ident.to_owned()),
    };
    request.state.db.get_node(&key, &Scope::All).await?.ok_or_else(|| no_node(ident))
}

fn read(request: &Request, mut body: Map<String, Value>) -> Result<Heartbeat, (HeartbeatRefusal, ApiError)> {
    for name in ["agent_version", "agent_verify_ca", "agent_status", "agent_status_message"] {
        if body.contains_key(name) {
            admit(request, param_gate("heartbeat", name), &format!("'{name}'"))
                .map_err(|error| (HeartbeatRefusal::Version, error))?;
        }
    }
    let malformed = |text: String| (HeartbeatRefusal::Malformed, ApiError::bad_request(text));
    let mut text = |name: &str| match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(format!("/{name}: expected a string"))),
    };
    let callback_url =
        text("callback_url")?.ok_or_else(|| malformed("/callback_url: a value is required".to_owned()))?;
    let heartbeat = Heartbeat {
        agent_version: text("agent_version")?,
        agent_token: text("agent_token")?.map(Secret::new),
        agent_verify_ca: text("agent_verify_ca")?,
        agent_status: text("agent_status")?,
        agent_status_message: text("agent_status_message")?,
        callback_url,
    };
    Ok(heartbeat)
}

fn judge(heartbeat: &Heartbeat) -> Result<(), ApiError> {
    if !heartbeat.callback_url.is_empty() && !heartbeat.callback_url.starts_with("http") {
        return Err(ApiError::bad_request("/callback_url: expected an http or https URL"));
    }
    match &heartbeat.agent_status {
        _ if heartbeat.agent_token.is_none() => {
            Err(ApiError::bad_request("/agent_token: a value is required"))
        }
        _ => Ok(()),
    }
}
