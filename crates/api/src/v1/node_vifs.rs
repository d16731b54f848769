//! Virtual network interfaces attached to nodes.

use http::StatusCode;
use microversion::param_gate;
use serde_json::{Value, json};

use super::node_power::admit;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/vifs`
pub(crate) async fn list(request: Request) -> Answer {
    let node = request.node("baremetal:node:vif:list").await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    let vifs = request.state.conductors.vifs(node.uuid).await?;
    Ok(Reply::json(json!({"vifs": vifs}).to_string()))
}

/// `POST /v1/nodes/{node_ident}/vifs`
pub(crate) async fn attach(request: Request) -> Answer {
    let body = request.shaped()?;
    if body.get("id").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(ApiError::bad_request("/id: expected the UUID or name of a virtual interface"));
    }
    for name in ["port_uuid", "portgroup_uuid"] {
        if body.contains_key(name) {
            admit(&request, param_gate("vif", name), &format!("'{name}'"))?;
        }
    }
    if body.contains_key("port_uuid") && body.contains_key("portgroup_uuid") {
        return Err(ApiError::bad_request("port_uuid and portgroup_uuid exclude each other"));
    }
    let node = request.node("baremetal:node:vif:attach").await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    request.state.conductors.attach_vif(node.uuid, Value::Object(body)).await?;
    Ok(Reply::no_content())
}

/// `DELETE /v1/nodes/{node_ident}/vifs/{vif_id}`
pub(crate) async fn detach(request: Request) -> Answer {
    let node = request.node("baremetal:node:vif:detach").await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    request.state.conductors.detach_vif(node.uuid, request.param("vif_id").to_owned()).await?;
    Ok(Reply::no_content())
}
