//! Changing rows that others change, too: read, decide, compare and swap, again on conflict.

use db::{DbError, NodeKey, Scope};
use model::{Node, Timestamp};

use crate::ApiState;
use crate::error::ApiError;
use crate::request::no_node;

/// How often a locked node is looked at before the request is refused.
const LOCK_TRIES: usize = 3;
/// How often a change is decided anew because somebody else was faster.
pub(crate) const CONFLICT_TRIES: usize = 16;

/// Changes `node` as `change` says and returns it as stored.
///
/// `change` is called again on the fresh row when somebody else wrote it meanwhile, so it must judge what it is given
/// and nothing else. A node that a conductor works on is waited for shortly, then refused (409).
pub(crate) async fn change_node(
    state: &ApiState,
    mut node: Node,
    change: impl Fn(&Node) -> Result<Node, ApiError> + Send,
) -> Result<Node, ApiError> {
    let mut locked = 0;
    for _ in 0..CONFLICT_TRIES {
        let after = change(&node)?;
        if after == node {
            return Ok(node);
        }
        if let Err(error) = unlocked(&node) {
            locked += 1;
            if locked == LOCK_TRIES {
                return Err(error);
            }
            tokio::time::sleep(state.options.lock_retry).await;
        } else {
            match state.db.update_node(&node, after).await {
                Err(DbError::Conflict { .. }) => {}
                done => return Ok(done?),
            }
        }
        node = reread(state, &node).await?;
    }
    Err(busy(&node))
}

/// Deletes `node` if `judge` allows it, also when somebody else writes it meanwhile.
pub(crate) async fn delete_node(
    state: &ApiState,
    mut node: Node,
    judge: impl Fn(&Node) -> Result<(), ApiError> + Send,
) -> Result<(), ApiError> {
    for _ in 0..CONFLICT_TRIES {
        judge(&node)?;
        node = wait_unlocked(state, node).await?;
        judge(&node)?;
        match state.db.delete_node(&node).await {
            Err(DbError::Conflict { .. }) => node = reread(state, &node).await?,
            done => return Ok(done?),
        }
    }
    Err(busy(&node))
}

/// Waits shortly for a node that a conductor works on; refuses it (409) when that takes longer.
pub(crate) async fn wait_unlocked(state: &ApiState, mut node: Node) -> Result<Node, ApiError> {
    for _ in 1..LOCK_TRIES {
        if unlocked(&node).is_ok() {
            return Ok(node);
        }
        tokio::time::sleep(state.options.lock_retry).await;
        node = reread(state, &node).await?;
    }
    unlocked(&node)?;
    Ok(node)
}

/// Refuses a node that somebody works on.
pub(crate) fn unlocked(node: &Node) -> Result<(), ApiError> {
    match node.lease.as_ref().filter(|_| node.is_locked(Timestamp::now())) {
        Some(lease) => Err(ApiError::conflict(format!(
            "Node {} is locked by host {} ({}), please retry after the current operation is completed.",
            node.uuid, lease.holder, lease.reason
        ))),
        None => Ok(()),
    }
}

/// The node as it is now.
async fn reread(state: &ApiState, node: &Node) -> Result<Node, ApiError> {
    let found = state.db.get_node(&NodeKey::Uuid(node.uuid), &Scope::All).await?;
    found.ok_or_else(|| no_node(&node.uuid.to_string()))
}

fn busy(node: &Node) -> ApiError {
    ApiError::conflict(format!("Node {} is being changed by others all the time, please retry.", node.uuid))
}
