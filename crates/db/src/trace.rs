//! What machines did while they booted: a bounded number of rows per node, written in batches by [`crate::recorder`].

use boot_trace::{BootEventKind, Entry, Told};
use model::{MacAddr, NodeUuid, Timestamp};

use crate::DbError;
use crate::session::{Cells, Param, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, limit, text};

/// Rows kept of each node, give or take a batch.
pub const BOOT_EVENTS_PER_NODE: usize = 400;
/// Attempts kept of each node.
pub const BOOT_ATTEMPTS_PER_NODE: usize = 8;
/// How far the addresses of one machine's ports are apart at most to be taken for neighbours.
const NEIGHBOURHOOD: u64 = 4;
/// The longest row, in bytes of JSON: many times what the servers tell.
const LONGEST: usize = 4096;

statements! {
    PUT = "INSERT INTO boot_events (node_uuid, at, writer, last_at, count, starts, told) \
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM nodes WHERE uuid = ?1) \
        ON CONFLICT (node_uuid, at, writer) DO UPDATE SET last_at = excluded.last_at, count = excluded.count, \
        told = excluded.told";
    OF_NODE = "SELECT at, last_at, count, told FROM boot_events WHERE node_uuid = ?1 ORDER BY at, writer LIMIT ?2";
    PURGE_ROWS = "DELETE FROM boot_events WHERE node_uuid = ?1 AND at <= \
        (SELECT at FROM boot_events WHERE node_uuid = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)";
    PURGE_ATTEMPTS = "DELETE FROM boot_events WHERE node_uuid = ?1 AND at < \
        (SELECT at FROM boot_events WHERE node_uuid = ?1 AND starts = 1 ORDER BY at DESC LIMIT 1 OFFSET ?2)";
    PRUNE = "DELETE FROM boot_events WHERE last_at < ?1";
    FORGET_MACHINE = "DELETE FROM boot_machines WHERE node_uuid = ?1";
    LEARN_MACHINE = "INSERT INTO boot_machines (machine_id, node_uuid) \
        SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM nodes WHERE uuid = ?2) \
        ON CONFLICT (machine_id) DO UPDATE SET node_uuid = excluded.node_uuid";
    OF_MACHINE = "SELECT node_uuid FROM boot_machines WHERE machine_id = ?1";
    NEIGHBOURS = "SELECT DISTINCT ports.node_uuid FROM ports JOIN nodes ON nodes.uuid = ports.node_uuid \
        WHERE ports.address IN (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) AND nodes.boot_intent = 'ramdisk'";
}

/// A row to write: new, or one that has changed since.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) node: NodeUuid,
    pub(crate) entry: Entry,
}

/// A batch of rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    /// Tells the rows of this process from those of others.
    pub(crate) writer: String,
    pub(crate) rows: Vec<Row>,
    /// Firmware's UUIDs of machines.
    pub(crate) machines: Vec<(NodeUuid, String)>,
    /// Nodes of which old rows may have to go.
    pub(crate) purge: Vec<NodeUuid>,
}

/// Writes a batch; how many of its rows were too long to be kept.
pub(crate) fn put(session: &mut dyn Session, batch: &Batch) -> Result<u64, DbError> {
    let mut lost = 0;
    for Row { node, entry } in &batch.rows {
        let told = serde_json::to_string(&entry.told).unwrap_or_default();
        if told.is_empty() || told.len() > LONGEST {
            lost += 1;
            continue;
        }
        let starts = matches!(entry.told.kind, BootEventKind::PowerOn { .. });
        let params = [
            node.param(),
            entry.at.param(),
            text(&batch.writer),
            entry.last_at.param(),
            Param::Int(entry.count.into()),
            starts.param(),
            text(&told),
        ];
        session.execute((&PUT).into(), &params)?;
    }
    for (node, machine) in &batch.machines {
        session.execute((&FORGET_MACHINE).into(), &[node.param()])?;
        session.execute((&LEARN_MACHINE).into(), &[text(machine), node.param()])?;
    }
    for node in &batch.purge {
        session.execute((&PURGE_ROWS).into(), &[node.param(), limit(BOOT_EVENTS_PER_NODE)])?;
        session.execute((&PURGE_ATTEMPTS).into(), &[node.param(), limit(BOOT_ATTEMPTS_PER_NODE - 1)])?;
    }
    Ok(lost)
}

/// What is kept of a node, in the order of time. A row that a newer version wrote and this one cannot read is left out.
pub(crate) fn of_node(session: &mut dyn Session, node: NodeUuid) -> Result<Vec<Entry>, DbError> {
    let params = [node.param(), limit(4 * BOOT_EVENTS_PER_NODE)];
    let rows = all(session, &OF_NODE, &params, |row| {
        let mut cells = Cells::new(row);
        let (at, last_at) = (cells.take()?, cells.take()?);
        let (count, told): (i64, String) = (cells.take()?, cells.take()?);
        let told = serde_json::from_str::<Told>(&told).ok();
        Ok(told.map(|told| Entry { at, last_at, count: u32::try_from(count).unwrap_or(u32::MAX), told }))
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// Drops what was seen last before `before`; how many rows.
pub(crate) fn prune(session: &mut dyn Session, before: Timestamp) -> Result<u64, DbError> {
    session.execute((&PRUNE).into(), &[before.param()])
}

/// The node whose firmware told this UUID.
pub(crate) fn of_machine(session: &mut dyn Session, machine: &str) -> Result<Option<NodeUuid>, DbError> {
    first(session, &OF_MACHINE, &[text(machine)], |row| row.take(0))
}

/// The one node with a port next to this address that is meant to boot the ramdisk; none when there are several.
pub(crate) fn of_neighbour(session: &mut dyn Session, mac: MacAddr) -> Result<Option<NodeUuid>, DbError> {
    let neighbours = neighbours(mac);
    let params: Vec<Param<'_>> = neighbours.iter().map(crate::stored::Stored::param).collect();
    let nodes: Vec<NodeUuid> = all(session, &NEIGHBOURS, &params, |row| row.take(0))?;
    Ok(if let [node] = nodes[..] { Some(node) } else { None })
}

fn neighbours(mac: MacAddr) -> Vec<MacAddr> {
    let number = mac.octets().iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    (1..=NEIGHBOURHOOD)
        .flat_map(|distance| [number.wrapping_sub(distance), number.wrapping_add(distance)])
        .map(|number| {
            let [_, _, octets @ ..] = number.to_be_bytes();
            MacAddr::new(octets)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stand_on_both_sides() {
        let near = neighbours("52:54:00:00:00:ff".parse().unwrap());
        assert_eq!(near.len(), 8);
        for text in ["52:54:00:00:00:fe", "52:54:00:00:01:00", "52:54:00:00:01:03", "52:54:00:00:00:fb"] {
            assert!(near.contains(&text.parse().unwrap()), "{text}");
        }
    }
}
