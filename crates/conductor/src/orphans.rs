//! Nodes in the middle of something that no flow drives: moved to its failure when a conductor starts, so that none stays
//! in a state that nobody can leave.

use std::sync::Arc;

use db::{DbError, NodeFilter, NodeQuery, Scope};
use provision::{DRIVEN_STATES, fail_orphan};

use crate::engine::Engine;

impl Engine {
    /// Fails every node that is in such a state and has no flow.
    pub(crate) async fn fail_orphans(self: &Arc<Self>) -> Result<(), DbError> {
        let flows = self.db.nodes_with_flows().await?;
        let filter = NodeFilter {
            provision_states: DRIVEN_STATES.to_vec(),
            include_children: true,
            ..NodeFilter::default()
        };
        let nodes = self.db.list_nodes(&NodeQuery { filter, ..NodeQuery::new(Scope::All) }).await?;
        for node in nodes.iter().filter(|node| !flows.contains(&node.uuid)) {
            tracing::warn!(node = %node.uuid, state = %node.provision_state, "nothing drives it");
            let turn = self.turn(node.uuid, |node, flow, world| Ok(fail_orphan(node, flow, world))).await;
            if let Err(error) = turn {
                tracing::error!(node = %node.uuid, error = &error as &dyn std::error::Error, "cannot fail it");
            }
        }
        Ok(())
    }
}
