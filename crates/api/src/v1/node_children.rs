//! Nodes that are part of a node.

use db::NodeQuery;
use serde_json::json;

use crate::access::NODES;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/children`; those that the caller may see.
pub(crate) async fn list(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    let mut query = NodeQuery::new(request.listed(&NODES, None)?);
    query.filter.parent_node = Some(node.uuid);
    let children = request.state.db.list_nodes(&query).await?;
    let uuids: Vec<String> = children.iter().map(|child| child.uuid.to_string()).collect();
    // The list of their own is where the objects are.
    let href = request.url(&format!("nodes?parent_node={}", node.uuid));
    Ok(Reply::json(json!({"children": uuids, "links": {"href": href, "rel": "children"}}).to_string()))
}
