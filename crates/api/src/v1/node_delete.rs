//! Removing nodes.

use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{rules, store};

/// `DELETE /v1/nodes/{node_ident}`
pub(crate) async fn delete(request: Request) -> Answer {
    request.no_query()?;
    let node = request.node("baremetal:node:delete").await?;
    let available_too = request.state.options.delete_available_nodes;
    store::delete_node(&request.state, node, |node| rules::may_delete(node, available_too)).await?;
    Ok(Reply::no_content())
}
