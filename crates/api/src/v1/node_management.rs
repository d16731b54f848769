//! Questions and orders for the BMC of a node: validation, non-maskable interrupts.

use http::StatusCode;
use serde_json::json;

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store;

/// `GET /v1/nodes/{node_ident}/validate`
pub(crate) async fn validate(request: Request) -> Answer {
    let ident = request.param("node_ident").to_owned();
    verdicts(request, &ident).await
}

/// `GET /v1/nodes/validate?node=…`
pub(crate) async fn validate_named(request: Request) -> Answer {
    let ident = request.query.text("node").or_else(|| request.query.text("node_uuid"));
    let ident =
        ident.ok_or_else(|| ApiError::bad_request("Expected the parameter 'node' or 'node_uuid'."))?;
    verdicts(request, &ident).await
}

async fn verdicts(request: Request, ident: &str) -> Answer {
    let node = request.find_node(ident).await?;
    request.authorise_node("baremetal:node:validate", &node)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let verdicts = request.state.conductors.validate(node.uuid).await?;
    Ok(Reply::json(json!(verdicts).to_string()))
}

/// `PUT /v1/nodes/{node_ident}/management/inject_nmi`
pub(crate) async fn inject_nmi(request: Request) -> Answer {
    request.no_body()?;
    let node = request.node("baremetal:node:inject_nmi").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let node = store::wait_unlocked(&request.state, node).await?;
    request.state.conductors.inject_nmi(node.uuid).await?;
    Ok(Reply::no_content())
}
