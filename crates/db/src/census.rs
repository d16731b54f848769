//! How many there are: for those who watch the whole.

use model::{ProvisionState, Timestamp};

use crate::DbError;
use crate::session::{Session, all, first};
use crate::statement::statements;
use crate::stored::Stored as _;

statements! {
    NODES = "SELECT provision_state, COUNT(*) FROM nodes GROUP BY provision_state ORDER BY provision_state";
    FLOWS = "SELECT flows.kind, nodes.provision_state, CASE WHEN nodes.lease_holder IS NOT NULL THEN 'acting' \
        WHEN flows.deadline_at IS NOT NULL THEN 'waiting' ELSE 'resting' END, COUNT(*) \
        FROM flows JOIN nodes ON nodes.uuid = flows.node_uuid GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
    OVERDUE = "SELECT COUNT(*) FROM flows WHERE deadline_at <= ?1";
}

/// How many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Nodes by provision state.
    pub nodes: Vec<(ProvisionState, i64)>,
    /// Flows under way by kind, by their node's provision state, and by phase: `acting` on the machine, `waiting` with a
    /// deadline, or `resting` until somebody says that it goes on.
    pub flows: Vec<(String, ProvisionState, String, i64)>,
    /// Flows whose deadline has passed: those that a conductor should have looked at.
    pub overdue: i64,
}

/// Counts.
pub(crate) fn take(session: &mut dyn Session, now: Timestamp) -> Result<Census, DbError> {
    Ok(Census {
        nodes: all(session, &NODES, &[], |row| Ok((row.take(0)?, row.take(1)?)))?,
        flows: all(session, &FLOWS, &[], |row| Ok((row.take(0)?, row.take(1)?, row.take(2)?, row.take(3)?)))?,
        overdue: first(session, &OVERDUE, &[now.param()], |row| row.take(0))?.unwrap_or(0),
    })
}
