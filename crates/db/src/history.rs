//! What happened to a node, for operators: the newest entries only.

use std::time::Duration;

use model::{HistoryUuid, NodeUuid, Timestamp};

use crate::session::{Cells, Expected, Param, Row, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, limit, text};
use crate::{DbError, HistoryRetention};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Identifier.
    pub uuid: HistoryUuid,
    /// What kind of thing happened: `provisioning`, `power` …
    pub event_type: String,
    /// `ERROR`, `INFO` …
    pub severity: String,
    /// What happened.
    pub event: String,
    /// The conductor that wrote it.
    pub conductor: Option<String>,
    /// Who asked for it.
    pub user: Option<String>,
    /// The project of who asked.
    pub project: Option<String>,
    /// The node's provision state then.
    pub state: Option<String>,
    /// Where it was going.
    pub target: Option<String>,
    /// How long it took.
    pub duration_seconds: Option<i64>,
    /// When.
    pub created_at: Timestamp,
}

/// A page of a node's history, ordered by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The node. Whether the caller may see it is asked by reading it.
    pub node: NodeUuid,
    /// Newest first.
    pub descending: bool,
    /// The last entry of the page before.
    pub marker: Option<HistoryUuid>,
    /// The most entries on the page.
    pub limit: usize,
}

const SELECT: &str = "SELECT uuid, event_type, severity, event, conductor, user_id, project, state, target, \
    duration_seconds, created_at FROM node_history";

statements! {
    ADD = "INSERT INTO node_history (node_uuid, uuid, event_type, severity, event, conductor, user_id, project, state, \
        target, duration_seconds, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    PURGE = "DELETE FROM node_history WHERE node_uuid = ?1 AND created_at < ?3 AND id <= \
        (SELECT id FROM node_history WHERE node_uuid = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    GET = format!("{SELECT} WHERE node_uuid = ?1 AND uuid = ?2");
    MARKER = "SELECT created_at, id FROM node_history WHERE node_uuid = ?1 AND uuid = ?2";
    OLDEST = format!("{SELECT} WHERE node_uuid = ?1 AND (created_at > ?2 OR (created_at = ?2 AND id > ?3)) \
        ORDER BY created_at, id LIMIT ?4");
    NEWEST = format!("{SELECT} WHERE node_uuid = ?1 AND (created_at < ?2 OR (created_at = ?2 AND id < ?3)) \
        ORDER BY created_at DESC, id DESC LIMIT ?4");
}

/// Adds entries and drops what is not kept any more.
pub(crate) fn add(
    session: &mut dyn Session,
    node: NodeUuid,
    entries: &[HistoryEntry],
    kept: HistoryRetention,
) -> Result<(), DbError> {
    for entry in entries {
        let params = [
            node.param(),
            entry.uuid.param(),
            text(&entry.event_type),
            text(&entry.severity),
            text(&entry.event),
            entry.conductor.param(),
            entry.user.param(),
            entry.project.param(),
            entry.state.param(),
            entry.target.param(),
            entry.duration_seconds.param(),
            entry.created_at.param(),
        ];
        session.execute_later(&ADD, &params, Expected::success(&entry.uuid))?;
    }
    if let Some(newest) = entries.last() {
        let before = match kept.age {
            Duration::ZERO => i64::MAX,
            age => newest.created_at.minus(age).as_micros(),
        };
        let params = [node.param(), Param::Int(kept.count.into()), Param::Int(before)];
        session.execute_later(&PURGE, &params, Expected::success(&node))?;
    }
    Ok(())
}

/// One entry.
pub(crate) fn get(
    session: &mut dyn Session,
    node: NodeUuid,
    entry: HistoryUuid,
) -> Result<Option<HistoryEntry>, DbError> {
    first(session, &GET, &[node.param(), entry.param()], decode)
}

/// A page.
pub(crate) fn list(session: &mut dyn Session, query: &HistoryQuery) -> Result<Vec<HistoryEntry>, DbError> {
    let (time, id) = match query.marker {
        Some(marker) => {
            let params = [query.node.param(), marker.param()];
            first(session, &MARKER, &params, |row| Ok((row.take::<i64>(0)?, row.take::<i64>(1)?)))?
                .ok_or_else(|| DbError::MarkerNotFound { marker: marker.to_string() })?
        }
        None if query.descending => (i64::MAX, i64::MAX),
        None => (i64::MIN, i64::MIN),
    };
    let statement = if query.descending { &NEWEST } else { &OLDEST };
    let params = [query.node.param(), Param::Int(time), Param::Int(id), limit(query.limit)];
    all(session, statement, &params, decode)
}

fn decode(row: &Row<'_>) -> Result<HistoryEntry, DbError> {
    let mut cells = Cells::new(row);
    Ok(HistoryEntry {
        uuid: cells.take()?,
        event_type: cells.take()?,
        severity: cells.take()?,
        event: cells.take()?,
        conductor: cells.take()?,
        user: cells.take()?,
        project: cells.take()?,
        state: cells.take()?,
        target: cells.take()?,
        duration_seconds: cells.take()?,
        created_at: cells.take()?,
    })
}
