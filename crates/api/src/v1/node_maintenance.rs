//! Maintenance: the service keeps its hands off a node.

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `PUT /v1/nodes/{node_ident}/maintenance`
pub(crate) async fn set(request: Request) -> Answer {
    let body = request.shaped()?;
    let reason = body.get("reason").and_then(serde_json::Value::as_str).map(str::to_owned);
    let node = request.node("baremetal:node:set_maintenance").await?;
    let change = |before: &model::Node| {
        let mut after = before.clone();
        after.maintenance = true;
        after.maintenance_reason.clone_from(&reason);
        Ok(after)
    };
    request.change_node(node, change).await?;
    Ok(Reply::accepted())
}

/// `DELETE /v1/nodes/{node_ident}/maintenance`
pub(crate) async fn clear(request: Request) -> Answer {
    let node = request.node("baremetal:node:clear_maintenance").await?;
    let change = |before: &model::Node| {
        let mut after = before.clone();
        after.maintenance = false;
        after.maintenance_reason = None;
        after.fault = None;
        Ok(after)
    };
    request.change_node(node, change).await?;
    Ok(Reply::accepted())
}
