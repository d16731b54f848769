//! Inspection data of nodes: the last of each.

use model::{NodeInventory, NodeUuid, Timestamp};

use crate::DbError;
use crate::session::{Cells, Session, first};
use crate::statement::statements;
use crate::stored::Stored as _;

statements! {
    GET = "SELECT inventory, plugin_data FROM node_inventory WHERE node_uuid = ?1";
    PUT = "INSERT INTO node_inventory (node_uuid, inventory, plugin_data, created_at) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (node_uuid) DO UPDATE SET inventory = excluded.inventory, plugin_data = excluded.plugin_data, \
        updated_at = excluded.created_at";
}

/// The data of a node, when there are some.
pub(crate) fn get(session: &mut dyn Session, node: NodeUuid) -> Result<Option<NodeInventory>, DbError> {
    first(session, &GET, &[node.param()], |row| {
        let mut cells = Cells::new(row);
        Ok(NodeInventory { inventory: cells.take()?, plugin_data: cells.take()? })
    })
}

/// Keeps the data of a node in place of those it had.
pub(crate) fn put(session: &mut dyn Session, node: NodeUuid, data: &NodeInventory) -> Result<(), DbError> {
    let now = Timestamp::now();
    let params = [node.param(), data.inventory.param(), data.plugin_data.param(), now.param()];
    session.execute((&PUT).into(), &params).map_err(|error| error.about("inventory"))?;
    Ok(())
}
