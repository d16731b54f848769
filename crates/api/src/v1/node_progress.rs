//! Where nodes stand in their flows: an addition to the contract.

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/progress`
pub(crate) async fn show(request: Request) -> Answer {
    request.no_query()?;
    let node = request.node("baremetal:node:get_states").await?;
    let progress = request.state.conductors.progress(node.uuid).await?;
    let body = serde_json::to_vec(&progress);
    Ok(Reply::json(body.map_err(|error| ApiError::unavailable(error.to_string()))?))
}
