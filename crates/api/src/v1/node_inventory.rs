//! What inspection found out about nodes.

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/inventory`
pub(crate) async fn show(request: Request) -> Answer {
    let node = request.node("baremetal:node:inventory:get").await?;
    let Some(found) = request.state.db.inventory(node.uuid).await? else {
        let text = format!("Node {} has no inventory: it was not inspected yet.", node.uuid);
        return Err(ApiError::not_found(text));
    };
    Ok(Reply::json(request.written(|_, out| {
        out.raw("{");
        out.key(true, "inventory");
        out.object(&found.inventory);
        out.key(false, "plugin_data");
        out.object(&found.plugin_data);
        out.raw("}");
    })))
}
