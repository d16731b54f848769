//! Ports: patching and removal.

use api_types::{PORT, Patch, Shape, check_port};
use db::{DbError, NodeKey};
use http::StatusCode;
use model::{Node, NodeUuid, Port};
use uuid::Uuid;

use super::portgroups::check_portgroup;
use super::ports::find_port;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::{Request, no_node};
use crate::{part_rules, rules, store};

/// How often a change is decided anew because somebody else was faster.
const CONFLICT_TRIES: usize = 16;

/// `PATCH /v1/ports/{port_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    let patch = Patch::parse(request.json()?)?;
    patch.check(&PORT, request.version)?;
    let mut port = find_port(&request, request.param("port_ident")).await?;
    for _ in 0..CONFLICT_TRIES {
        let node = node_of(&request, port.node_uuid).await?;
        request.authorise_node("baremetal:port:update", &node)?;
        let after = plan(&request, &patch, &node, &port)?;
        check_new_node(&request, &node, &after).await?;
        if (after.portgroup_uuid, after.node_uuid) != (port.portgroup_uuid, port.node_uuid) {
            check_portgroup(&request, &after).await?;
        }
        if after != port {
            store::wait_unlocked(&request.state, node).await?;
            match request.state.db.update_port(&port, after).await {
                Err(DbError::Conflict { .. }) => {
                    port = find_port(&request, &port.uuid.to_string()).await?;
                    continue;
                }
                done => port = done?,
            }
        }
        return Ok(Reply::json(request.object(&PORT, &Shape::Full, &port)?));
    }
    Err(ApiError::conflict(format!(
        "Port {} is being changed by others all the time, please retry.",
        port.uuid
    )))
}

/// What `before` becomes, if everything about it and its node allows.
fn plan(request: &Request, patch: &Patch, node: &Node, before: &Port) -> Result<Port, ApiError> {
    let after = request.with_context(true, |cx| patch.apply(&PORT, before, cx))?;
    rules::may_change_port(node, before, &after, request.version)?;
    part_rules::may_change_network(before, &after, request.version)?;
    check_port(&after)?;
    Ok(after)
}

/// A port moves only to a node that is there, visible and of the same owner.
async fn check_new_node(request: &Request, node: &Node, after: &Port) -> Result<(), ApiError> {
    if after.node_uuid == node.uuid {
        return Ok(());
    }
    let target = node_of(request, after.node_uuid).await;
    let target = target.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))?;
    if target.owner == node.owner {
        return Ok(());
    }
    Err(ApiError::bad_request("/node_uuid: a port moves between nodes of the same owner only"))
}

async fn node_of(request: &Request, uuid: NodeUuid) -> Result<Node, ApiError> {
    let found = request.state.db.get_node(&NodeKey::Uuid(uuid), request.scope()).await?;
    found.ok_or_else(|| no_node(&uuid.to_string()))
}

/// `DELETE /v1/ports/{port_uuid}`
pub(crate) async fn delete(request: Request) -> Answer {
    let ident = request.param("port_ident");
    if Uuid::parse_str(ident).is_err() {
        let shown: String = ident.chars().take(64).collect();
        return Err(ApiError::bad_request(format!("Expected a UUID but received {shown}.")));
    }
    let port = find_port(&request, ident).await?;
    let node = node_of(&request, port.node_uuid).await?;
    request.authorise_node("baremetal:port:delete", &node)?;
    rules::may_delete_port(&node, &port)?;
    store::wait_unlocked(&request.state, node).await?;
    request.state.db.delete_port(port.uuid).await?;
    Ok(Reply::no_content())
}
