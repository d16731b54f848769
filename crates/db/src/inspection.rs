//! Inspections: what a ramdisk reported, until it was worked on, and what came of it.

use model::{Node, NodeInventory, NodeUuid, Port, Timestamp};

use crate::node::write;
use crate::port::rows;
use crate::session::{Cells, Session, first};
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, inventory};

statements! {
    REPORT = "SELECT inventory, plugin_data FROM inspection_reports WHERE node_uuid = ?1";
    KEEP = "INSERT INTO inspection_reports (node_uuid, inventory, plugin_data, created_at) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (node_uuid) DO UPDATE SET inventory = excluded.inventory, plugin_data = excluded.plugin_data, \
        created_at = excluded.created_at";
    DROP = "DELETE FROM inspection_reports WHERE node_uuid = ?1";
}

/// What came of an inspection: everything is recorded, or nothing.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The node that was inspected; `None` when the inspection discovered it.
    pub before: Option<Node>,
    /// The node as it is to be.
    pub after: Node,
    /// Its ports as they were.
    pub ports_before: Vec<Port>,
    /// Its ports as they are to be: changed, new or left out.
    pub ports_after: Vec<Port>,
    /// What is kept for callers.
    pub data: NodeInventory,
}

/// What a ramdisk reported of a node, when nobody has worked on it yet.
pub(crate) fn report(session: &mut dyn Session, node: NodeUuid) -> Result<Option<NodeInventory>, DbError> {
    first(session, &REPORT, &[node.param()], |row| {
        let mut cells = Cells::new(row);
        Ok(NodeInventory { inventory: cells.take()?, plugin_data: cells.take()? })
    })
}

/// Keeps a report in place of an earlier one.
pub(crate) fn keep(session: &mut dyn Session, node: NodeUuid, data: &NodeInventory) -> Result<(), DbError> {
    let now = Timestamp::now();
    let params = [node.param(), data.inventory.param(), data.plugin_data.param(), now.param()];
    session.execute((&KEEP).into(), &params).map(drop).map_err(|error| error.about("inspection report"))
}

/// Forgets the report of a node, if there is one.
pub(crate) fn drop_report(session: &mut dyn Session, node: NodeUuid) -> Result<(), DbError> {
    session.execute((&DROP).into(), &[node.param()]).map(drop)
}

/// Records what came of an inspection.
pub(crate) fn finish(session: &mut dyn Session, done: Inspected) -> Result<Node, DbError> {
    let node = match &done.before {
        Some(before) => write::update(session, before, done.after)?,
        None => write::create(session, done.after)?,
    };
    for gone in &done.ports_before {
        if !done.ports_after.iter().any(|port| port.uuid == gone.uuid) {
            rows::delete(session, gone.uuid)?;
        }
    }
    for port in done.ports_after {
        match done.ports_before.iter().find(|before| before.uuid == port.uuid) {
            Some(before) if *before == port => {}
            Some(before) => drop(rows::update(session, before, port)?),
            None => drop(rows::create(session, port)?),
        }
    }
    inventory::put(session, node.uuid, &done.data)?;
    drop_report(session, node.uuid)?;
    Ok(node)
}
