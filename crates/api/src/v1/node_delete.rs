//! Removing nodes.

use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{rules, store};

/// `DELETE /v1/nodes/{node_ident}`
pub(crate) async fn delete(request: Request) -> Answer {
    let node = request.find_node(request.param("node_ident")).await?;
    let own_too = request.state.options.project_admin_can_manage_own_nodes;
    if !(own_too && request.may("baremetal:node:delete:self_owned_node", Some(&node))) {
        request.authorise("baremetal:node:delete", Some(&node))?;
    }
    let available_too = request.state.options.delete_available_nodes;
    store::delete_node(&request.state, node, |node| rules::may_delete(node, available_too)).await?;
    Ok(Reply::no_content())
}
