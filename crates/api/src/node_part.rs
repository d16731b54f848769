//! What belongs to a node (ports, portgroups, volumes): its node, as bodies and rows name it.

use api_types::Invalid;
use db::NodeKey;
use http::StatusCode;
use model::{Node, NodeUuid};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::ApiError;
use crate::request::{Request, no_node};

/// 404 for a `noun`.
pub(crate) fn missing(noun: &str, ident: &str) -> ApiError {
    let shown: String = ident.chars().take(300).collect();
    ApiError::not_found(format!("{noun} {shown} could not be found."))
}

/// Refuses the body of a creation that lacks one of `names`.
pub(crate) fn require(body: &Map<String, Value>, names: &[&str]) -> Result<(), ApiError> {
    match names.iter().find(|name| body.get(**name).is_none_or(Value::is_null)) {
        Some(name) => Err(Invalid::at(format!("/{name}"), "a value is required").into()),
        None => Ok(()),
    }
}

/// The node that the body of a creation names by `node_uuid`, if the caller may see it.
pub(crate) async fn node_of_body(request: &Request, body: &Map<String, Value>) -> Result<Node, ApiError> {
    require(body, &["node_uuid"])?;
    let uuid = body.get("node_uuid").and_then(Value::as_str).and_then(|text| Uuid::parse_str(text).ok());
    let uuid = uuid.ok_or_else(|| Invalid::at("/node_uuid", "expected a UUID"))?;
    let node = node_of(request, NodeUuid::from_uuid(uuid)).await;
    node.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))
}

/// The node that an object belongs to, if the caller may see it.
pub(crate) async fn node_of(request: &Request, uuid: NodeUuid) -> Result<Node, ApiError> {
    let found = request.state.db.get_node(&NodeKey::Uuid(uuid), request.scope()).await?;
    found.ok_or_else(|| no_node(&uuid.to_string()))
}

/// The node that an object of `node` is to belong to: there, visible and of the same owner.
pub(crate) async fn new_node(request: &Request, node: &Node, uuid: NodeUuid) -> Result<Node, ApiError> {
    let target = node_of(request, uuid).await.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))?;
    if target.owner == node.owner {
        return Ok(target);
    }
    Err(ApiError::bad_request(
        "/node_uuid: what belongs to a node moves between nodes of the same owner only",
    ))
}
