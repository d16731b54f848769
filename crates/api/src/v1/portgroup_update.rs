//! Portgroups: patching and removal.

use api_types::{PORTGROUP, Patch, Shape};
use db::DbError;

use super::portgroups::{find_portgroup, members};
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;
use crate::{node_part, part_rules, store};

/// `PATCH /v1/portgroups/{portgroup_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    let patch = Patch::parse(request.json()?)?;
    patch.check(&PORTGROUP, request.version)?;
    let mut portgroup = find_portgroup(&request, request.param("portgroup_ident")).await?;
    for _ in 0..CONFLICT_TRIES {
        let node = node_part::node_of(&request, portgroup.node_uuid).await?;
        request.authorise_node("baremetal:portgroup:update", &node)?;
        let after = request.with_context(true, |cx| patch.apply(&PORTGROUP, &portgroup, cx))?;
        let ports = members(&request, portgroup.uuid).await?;
        part_rules::may_change_portgroup(&node, &portgroup, &after, &ports, request.version)?;
        if after.node_uuid != node.uuid {
            node_part::new_node(&request, &node, after.node_uuid).await?;
        }
        if after != portgroup {
            store::wait_unlocked(&request.state, node).await?;
            match request.state.db.update_portgroup(&portgroup, after).await {
                Err(DbError::Conflict { .. }) => {
                    portgroup = find_portgroup(&request, &portgroup.uuid.to_string()).await?;
                    continue;
                }
                done => portgroup = done?,
            }
        }
        return Ok(Reply::json(request.object(&PORTGROUP, &Shape::Full, &portgroup)?));
    }
    Err(ApiError::conflict(format!(
        "Portgroup {} is being changed by others all the time, please retry.",
        portgroup.uuid
    )))
}

/// `DELETE /v1/portgroups/{portgroup_ident}`
pub(crate) async fn delete(request: Request) -> Answer {
    let portgroup = find_portgroup(&request, request.param("portgroup_ident")).await?;
    let node = node_part::node_of(&request, portgroup.node_uuid).await?;
    request.authorise_node("baremetal:portgroup:delete", &node)?;
    store::wait_unlocked(&request.state, node).await?;
    request.state.db.delete_portgroup(portgroup.uuid).await?;
    Ok(Reply::no_content())
}
