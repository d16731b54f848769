//! Flows under way, one per node at most, and the journal of what they did. The record of a flow is opaque here.

use std::collections::HashSet;

use model::{FlowId, NodeUuid, Timestamp};

use crate::DbError;
use crate::conductor::{self, Term};
use crate::session::{Cells, Expected, Param, Row, Session, all, first};
use crate::statement::{placeholders, statements};
use crate::stored::{Stored as _, limit, text};

/// Journal rows kept of a node when a flow of it ends.
const JOURNAL_PER_NODE: usize = 500;

/// A flow under way.
#[derive(Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// The node.
    pub node: NodeUuid,
    /// This run.
    pub flow: FlowId,
    /// Its kind: `deploy`, `clean` …
    pub kind: String,
    /// Where it stands, as JSON.
    pub record: String,
    /// When it has to be looked at if nothing happens before.
    pub deadline_at: Option<Timestamp>,
    /// When this was written.
    pub updated_at: Timestamp,
    /// The conductor that works on it.
    pub conductor: String,
}

/// Shows how long the record is, never what it says: step arguments may hold secrets.
impl std::fmt::Debug for FlowRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowRow")
            .field("node", &self.node)
            .field("flow", &self.flow)
            .field("kind", &self.kind)
            .field("record", &format_args!("{} bytes", self.record.len()))
            .field("deadline_at", &self.deadline_at)
            .field("updated_at", &self.updated_at)
            .field("conductor", &self.conductor)
            .finish()
    }
}

/// A flow whose conductor is gone, with what says who is to take it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayFlow {
    /// The node.
    pub node: NodeUuid,
    /// The conductor that worked on it; empty when an older release did.
    pub conductor: String,
    /// The node's hardware type.
    pub driver: String,
    /// The group of conductors that may take the node.
    pub conductor_group: String,
}

/// What a decision does to the node's flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowChange {
    /// Nothing.
    Keep,
    /// It begins, or goes on.
    Put(FlowRow),
    /// It ends.
    Remove,
}

/// A line for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalWrite {
    /// An effect is about to be carried out.
    Intent {
        /// The run.
        flow: FlowId,
        /// Counts the effects of the run.
        seq: i64,
        /// The step it belongs to.
        step: String,
        /// The effect.
        effect: String,
        /// When.
        at: Timestamp,
    },
    /// What came of it.
    Outcome {
        /// The run.
        flow: FlowId,
        /// Which effect.
        seq: i64,
        /// What came of it.
        outcome: String,
        /// When.
        at: Timestamp,
    },
}

/// An effect in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// The node.
    pub node: NodeUuid,
    /// The run.
    pub flow: FlowId,
    /// Counts the effects of the run.
    pub seq: i64,
    /// The step it belongs to.
    pub step: String,
    /// The effect.
    pub effect: String,
    /// When it was about to be carried out.
    pub intent_at: Timestamp,
    /// What came of it; `None` as long as nobody knows.
    pub outcome: Option<String>,
    /// When that was known.
    pub outcome_at: Option<Timestamp>,
    /// The conductor that carried it out; `None` of older lines.
    pub conductor: Option<String>,
    /// Which of its registrations.
    pub epoch: Option<i64>,
}

const SELECT: &str = "SELECT node_uuid, flow, kind, record, deadline_at, updated_at, conductor FROM flows";
const SELECT_JOURNAL: &str = "SELECT node_uuid, flow, seq, step, effect, intent_at, outcome, outcome_at, conductor, epoch \
    FROM journal";

statements! {
    PUT = "INSERT INTO flows (node_uuid, flow, kind, record, deadline_at, updated_at, conductor) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (node_uuid) DO UPDATE SET flow = excluded.flow, \
        kind = excluded.kind, record = excluded.record, deadline_at = excluded.deadline_at, \
        updated_at = excluded.updated_at, conductor = excluded.conductor";
    REMOVE = "DELETE FROM flows WHERE node_uuid = ?1";
    PURGE_JOURNAL = "DELETE FROM journal WHERE node_uuid = ?1 AND id <= \
        (SELECT id FROM journal WHERE node_uuid = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    OF_NODE = format!("{SELECT} WHERE node_uuid = ?1");
    LIST = format!("{SELECT} ORDER BY updated_at, node_uuid");
    NODES = "SELECT node_uuid FROM flows";
    OF_CONDUCTOR = format!("{SELECT} WHERE conductor = ?1 ORDER BY updated_at, node_uuid");
    DUE = format!(
        "{SELECT} WHERE conductor = ?1 AND deadline_at <= ?2 ORDER BY deadline_at, node_uuid LIMIT ?3"
    );
    NEXT_DEADLINE = "SELECT MIN(deadline_at) FROM flows WHERE conductor = ?1";
    STRAYS = "SELECT f.node_uuid, f.conductor, n.driver, n.conductor_group FROM flows f \
        JOIN nodes n ON n.uuid = f.node_uuid WHERE NOT EXISTS \
        (SELECT 1 FROM conductors c WHERE c.hostname = f.conductor AND c.online = 1) ORDER BY f.node_uuid";
    INTENT = "INSERT INTO journal (node_uuid, flow, seq, step, effect, intent_at, conductor, epoch) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    OUTCOME = "UPDATE journal SET outcome = ?4, outcome_at = ?5 WHERE node_uuid = ?1 AND flow = ?2 AND seq = ?3";
    JOURNAL = format!("{SELECT_JOURNAL} WHERE node_uuid = ?1 ORDER BY id DESC LIMIT ?2");
    JOURNAL_OF_FLOW = format!("{SELECT_JOURNAL} WHERE flow = ?1 ORDER BY seq");
}

/// Applies what a decision does to the flow.
pub(crate) fn change(session: &mut dyn Session, node: NodeUuid, change: &FlowChange) -> Result<(), DbError> {
    match change {
        FlowChange::Keep => {}
        FlowChange::Put(row) => {
            let params = [
                node.param(),
                row.flow.param(),
                text(&row.kind),
                text(&row.record),
                row.deadline_at.param(),
                row.updated_at.param(),
                text(&row.conductor),
            ];
            session.execute_later(&PUT, &params, Expected::success(&row.flow))?;
        }
        FlowChange::Remove => {
            session.execute_later(&REMOVE, &[node.param()], Expected::success(&node))?;
            let params = [node.param(), limit(JOURNAL_PER_NODE)];
            session.execute_later(&PURGE_JOURNAL, &params, Expected::success(&node))?;
        }
    }
    Ok(())
}

/// Writes a line of the journal.
pub(crate) fn note(
    session: &mut dyn Session,
    node: NodeUuid,
    by: Option<&Term>,
    line: &JournalWrite,
) -> Result<(), DbError> {
    match line {
        JournalWrite::Intent { flow, seq, step, effect, at } => {
            let params = [
                node.param(),
                flow.param(),
                seq.param(),
                text(step),
                text(effect),
                at.param(),
                by.map_or(Param::Null, |by| text(&by.hostname)),
                by.map_or(Param::Null, |by| Param::Int(by.epoch)),
            ];
            session.execute_later(&INTENT, &params, Expected::success(&format_args!("{flow}/{seq}")))
        }
        JournalWrite::Outcome { flow, seq, outcome, at } => {
            let params = [node.param(), flow.param(), seq.param(), text(outcome), at.param()];
            let expected = Expected { key: format!("{flow}/{seq}"), changed: Some("journal line") };
            session.execute_later(&OUTCOME, &params, expected)
        }
    }
}

/// The node's flow.
pub(crate) fn of_node(session: &mut dyn Session, node: NodeUuid) -> Result<Option<FlowRow>, DbError> {
    first(session, &OF_NODE, &[node.param()], decode)
}

/// All flows under way.
pub(crate) fn list(session: &mut dyn Session) -> Result<Vec<FlowRow>, DbError> {
    all(session, &LIST, &[], decode)
}

/// The nodes that have a flow.
pub(crate) fn nodes(session: &mut dyn Session) -> Result<HashSet<NodeUuid>, DbError> {
    let nodes = all(session, &NODES, &[], |row| row.take(0))?;
    Ok(nodes.into_iter().collect())
}

/// The flows that a conductor works on.
pub(crate) fn of_conductor(session: &mut dyn Session, hostname: &str) -> Result<Vec<FlowRow>, DbError> {
    all(session, &OF_CONDUCTOR, &[text(hostname)], decode)
}

/// A conductor's flows whose deadline has come, the most overdue first.
pub(crate) fn due(
    session: &mut dyn Session,
    hostname: &str,
    now: Timestamp,
    rows: usize,
) -> Result<Vec<FlowRow>, DbError> {
    all(session, &DUE, &[text(hostname), now.param(), limit(rows)], decode)
}

/// The earliest deadline of a conductor's flows.
pub(crate) fn next_deadline(session: &mut dyn Session, hostname: &str) -> Result<Option<Timestamp>, DbError> {
    Ok(first(session, &NEXT_DEADLINE, &[text(hostname)], |row| row.take::<Option<Timestamp>>(0))?.flatten())
}

/// Flows whose conductor is gone.
pub(crate) fn strays(session: &mut dyn Session) -> Result<Vec<StrayFlow>, DbError> {
    all(session, &STRAYS, &[], |row| {
        let mut cells = Cells::new(row);
        Ok(StrayFlow {
            node: cells.take()?,
            conductor: cells.take()?,
            driver: cells.take()?,
            conductor_group: cells.take()?,
        })
    })
}

/// Makes `by` the conductor of those flows that nobody else claimed or is just writing; answers with them.
pub(crate) fn claim(
    session: &mut dyn Session,
    strays: &[StrayFlow],
    by: &Term,
) -> Result<Vec<FlowRow>, DbError> {
    conductor::check(session, by)?;
    // A conductor that stands still may do so in a transaction: what it has locked must not keep us from all the rest.
    let free = format!(
        "SELECT f.node_uuid, f.flow, f.kind, f.record, f.deadline_at, f.updated_at, f.conductor FROM flows f JOIN nodes n ON n.uuid = f.node_uuid \
         WHERE f.node_uuid IN ({}){}",
        placeholders(strays.len()),
        session.skipping_locked()
    );
    let wanted: Vec<Param<'_>> = strays.iter().map(|stray| stray.node.param()).collect();
    let mut claimed = all(session, &free, &wanted, decode)?;
    let unclaimed =
        |row: &FlowRow| strays.iter().any(|stray| stray.node == row.node && stray.conductor == row.conductor);
    claimed.retain(unclaimed);
    if claimed.is_empty() {
        return Ok(claimed);
    }
    let these = placeholders(claimed.len());
    let mut params: Vec<Param<'_>> = claimed.iter().map(|row| row.node.param()).collect();
    // A decision that was made before must not put the old conductor's name back.
    let outdate = format!("UPDATE nodes SET revision = revision + 1 WHERE uuid IN ({these})");
    session.execute((&outdate).into(), &params)?;
    params.push(text(&by.hostname));
    let claim = format!("UPDATE flows SET conductor = ?{} WHERE node_uuid IN ({these})", params.len());
    session.execute((&claim).into(), &params)?;
    drop(params);
    for row in &mut claimed {
        row.conductor.clone_from(&by.hostname);
    }
    Ok(claimed)
}

/// The newest lines of a node's journal, newest first.
pub(crate) fn journal(
    session: &mut dyn Session,
    node: NodeUuid,
    rows: usize,
) -> Result<Vec<JournalRow>, DbError> {
    all(session, &JOURNAL, &[node.param(), limit(rows)], decode_line)
}

/// The lines of one run, in order.
pub(crate) fn journal_of_flow(session: &mut dyn Session, flow: FlowId) -> Result<Vec<JournalRow>, DbError> {
    all(session, &JOURNAL_OF_FLOW, &[flow.param()], decode_line)
}

fn decode_line(row: &Row<'_>) -> Result<JournalRow, DbError> {
    let mut cells = Cells::new(row);
    Ok(JournalRow {
        node: cells.take()?,
        flow: cells.take()?,
        seq: cells.take()?,
        step: cells.take()?,
        effect: cells.take()?,
        intent_at: cells.take()?,
        outcome: cells.take()?,
        outcome_at: cells.take()?,
        conductor: cells.take()?,
        epoch: cells.take()?,
    })
}

fn decode(row: &Row<'_>) -> Result<FlowRow, DbError> {
    let mut cells = Cells::new(row);
    Ok(FlowRow {
        node: cells.take()?,
        flow: cells.take()?,
        kind: cells.take()?,
        record: cells.take()?,
        deadline_at: cells.take()?,
        updated_at: cells.take()?,
        conductor: cells.take()?,
    })
}
