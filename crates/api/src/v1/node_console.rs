//! Consoles of nodes.

use api_types::flag;
use http::StatusCode;
use serde_json::json;

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/states/console`
pub(crate) async fn show(request: Request) -> Answer {
    let node = request.node("baremetal:node:get_console").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let info = request.state.conductors.console(node.uuid).await?;
    Ok(Reply::json(json!({"console_enabled": info.is_some(), "console_info": info}).to_string()))
}

/// `PUT /v1/nodes/{node_ident}/states/console`
pub(crate) async fn set(request: Request) -> Answer {
    let on = request.shaped()?.get("enabled").and_then(flag).unwrap_or_default();
    let node = request.node("baremetal:node:set_console_state").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.set_console(node.uuid, on).await?;
    Ok(Reply::accepted().at(request.url(&format!("nodes/{}/states/console", request.param("node_ident")))))
}
