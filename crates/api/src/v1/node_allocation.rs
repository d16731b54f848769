//! The allocation of a node, and how a node is given back.

use api_types::{ALLOCATION, Shape};
use db::{AllocationKey, DbError, NodeKey, Scope};
use model::{Allocation, Node};
use policy::Kind;
use provision::allocation::released;

use super::allocations::{DELETE, authorise, busy};
use crate::error::ApiError;
use crate::page;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::rules;
use crate::store::CONFLICT_TRIES;

/// `GET /v1/nodes/{node_ident}/allocation`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let node = request.node("baremetal:node:get").await?;
    let allocation = find(&request, &node).await?;
    Ok(Reply::json(request.object(&ALLOCATION, &shape, &allocation)?))
}

/// `DELETE /v1/nodes/{node_ident}/allocation`
pub(crate) async fn delete(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    let allocation = find(&request, &node).await?;
    authorise(&request, DELETE, &allocation)?;
    give_back(&request, allocation).await?;
    Ok(Reply::no_content())
}

async fn find(request: &Request, node: &Node) -> Result<Allocation, ApiError> {
    let key = AllocationKey::Node(node.uuid);
    let visible_to = request.scope_of("baremetal:allocation:get", Kind::Allocation);
    let found = request.state.db.get_allocation(&key, visible_to).await?;
    found.ok_or_else(|| ApiError::not_found(format!("Allocation for node {} was not found.", node.uuid)))
}

/// Removes an allocation, and takes it from the node that it has, if that node may be given back.
pub(super) async fn give_back(request: &Request, mut allocation: Allocation) -> Result<(), ApiError> {
    for _ in 0..CONFLICT_TRIES {
        match node_of(request, &allocation).await? {
            Some(node) => {
                let uuid = allocation.uuid.to_string();
                request
                    .change_node(node, |node| {
                        if node.allocation_uuid.as_ref() != Some(&uuid) {
                            return Ok(node.clone());
                        }
                        rules::may_release(node)?;
                        Ok(released(node.clone()))
                    })
                    .await?;
                return Ok(());
            }
            None => match request.state.db.delete_allocation(allocation.uuid).await {
                // It got a node in between.
                Err(DbError::InUse { .. }) => {}
                done => return Ok(done?),
            },
        }
        let key = AllocationKey::Uuid(allocation.uuid);
        match request.state.db.get_allocation(&key, &Scope::All).await? {
            Some(fresh) => allocation = fresh,
            None => return Ok(()),
        }
    }
    Err(busy(&allocation))
}

async fn node_of(request: &Request, allocation: &Allocation) -> Result<Option<Node>, ApiError> {
    let Some(uuid) = allocation.node_uuid else { return Ok(None) };
    Ok(request.state.db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await?)
}
