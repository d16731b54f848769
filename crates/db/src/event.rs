//! Events: what others are told of, in one order, each with a number to resume from.

use model::{NodeUuid, Timestamp};

use crate::DbError;
use crate::session::{Cells, Param, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, limit, text};

/// An event to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// As `baremetal.node.provision_set.start`.
    pub kind: String,
    /// The node it is about.
    pub node: Option<NodeUuid>,
    /// What is told, as JSON.
    pub payload: String,
    /// When it happened.
    pub at: Timestamp,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Grows with every event; whoever has seen one has seen all below it. Gaps are normal.
    pub id: i64,
    /// As `baremetal.node.provision_set.start`.
    pub kind: String,
    /// The node it is about, which may be gone.
    pub node: Option<NodeUuid>,
    /// What is told, as JSON.
    pub payload: String,
    /// When it happened.
    pub at: Timestamp,
}

statements! {
    ADD = "INSERT INTO events (kind, node_uuid, payload, at) VALUES (?1, ?2, ?3, ?4)";
    AFTER = "SELECT id, kind, node_uuid, payload, at FROM events WHERE id > ?1 ORDER BY id LIMIT ?2";
    LAST = "SELECT MAX(id) FROM events";
    PRUNE = "DELETE FROM events WHERE at < ?1";
}

/// Records events. The last thing an operation does.
pub(crate) fn add(session: &mut dyn Session, events: &[NewEvent]) -> Result<(), DbError> {
    if !events.is_empty() {
        session.order_events()?;
    }
    for event in events {
        let params = [text(&event.kind), event.node.param(), text(&event.payload), event.at.param()];
        session.execute((&ADD).into(), &params)?;
    }
    Ok(())
}

/// Events with a number above `id`, in order.
pub(crate) fn after(session: &mut dyn Session, id: i64, rows: usize) -> Result<Vec<Event>, DbError> {
    all(session, &AFTER, &[Param::Int(id), limit(rows)], |row| {
        let mut cells = Cells::new(row);
        Ok(Event {
            id: cells.take()?,
            kind: cells.take()?,
            node: cells.take()?,
            payload: cells.take()?,
            at: cells.take()?,
        })
    })
}

/// The number of the newest event; 0 when there is none.
pub(crate) fn last(session: &mut dyn Session) -> Result<i64, DbError> {
    Ok(first(session, &LAST, &[], |row| row.take::<Option<i64>>(0))?.flatten().unwrap_or(0))
}

/// Drops events older than `before`; how many.
pub(crate) fn prune(session: &mut dyn Session, before: Timestamp) -> Result<u64, DbError> {
    session.execute((&PRUNE).into(), &[before.param()])
}
