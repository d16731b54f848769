//! Nodes in the middle of something that no flow drives: moved to its failure when a conductor starts, so that none stays
//! in a state that nobody can leave.

use std::collections::HashSet;
use std::sync::Arc;

use db::{DbError, NodeFilter, NodeQuery, Scope};
use model::{NodeUuid, ProvisionState as S};
use provision::{Decision, ErrorCode, FsmEvent, StepError, move_node};

use crate::engine::Engine;

/// States that only a flow can end (`contract/states_meta.tsv`, `conductor_restart`).
const DRIVEN: [S; 9] = [
    S::Adopting,
    S::Cleaning,
    S::Deleting,
    S::Deploying,
    S::Inspecting,
    S::Rescuing,
    S::Servicing,
    S::Unrescuing,
    S::Verifying,
];

impl Engine {
    /// Fails every node that is in such a state and has none of `flows`.
    pub(crate) async fn fail_orphans(self: &Arc<Self>, flows: &HashSet<NodeUuid>) -> Result<(), DbError> {
        let filter =
            NodeFilter { provision_states: DRIVEN.to_vec(), include_children: true, ..NodeFilter::default() };
        let nodes = self.db.list_nodes(&NodeQuery { filter, ..NodeQuery::new(Scope::All) }).await?;
        for node in nodes.iter().filter(|node| !flows.contains(&node.uuid)) {
            tracing::warn!(node = %node.uuid, state = %node.provision_state, "nothing drives it");
            let turn = self
                .turn(node.uuid, |mut node, flow, world| {
                    if flow.is_none() && DRIVEN.contains(&node.provision_state) {
                        let text =
                            format!("{} was under way, and no record of it is left.", node.provision_state);
                        node.last_error = Some(StepError::new(ErrorCode::Internal, text).to_string());
                        node.lease = None;
                        move_node(&mut node, FsmEvent::Fail, world.now);
                    }
                    Ok(Decision::rest(node, flow))
                })
                .await;
            if let Err(error) = turn {
                tracing::error!(node = %node.uuid, error = &error as &dyn std::error::Error, "cannot fail it");
            }
        }
        Ok(())
    }
}
