//! Events: what others are told of, in one order, each with a number to resume from.
//!
//! An event is written in the transaction of the change that it tells of, as the last thing before the commit. Numbers
//! are given before the commit and may be committed in another order, so a transaction announces before it takes some
//! that it will have events above the last number given; readers stop short of the lowest that is announced. Thus
//! whoever has seen an event has seen all below it, no transaction that commits late can be skipped, and writers do not
//! wait for each other. Old events are dropped; up to which number is noted, so that a reader who comes too late is told so.

use std::time::Duration;

use model::{NodeUuid, Timestamp};

use crate::filter::Conditions;
use crate::session::{Cells, Expected, Param, Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, text};
use crate::{DbError, Scope, account};

/// The channel of the wake-ups that say: there are new events.
pub(crate) const CHANNEL: &str = "events";
/// The setting that notes up to which number events were dropped.
const PRUNED: &str = "events_pruned_through";
/// Events dropped in one write at most, so that others need not wait long.
const BATCH: i64 = 5_000;

/// Who may see an event, beside those who may see everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those who may see the event's node, as it is at the end of the transaction.
    OfNode,
    /// Those who act for these projects.
    Of {
        /// The one that owns it.
        owner: Option<String>,
        /// The one that leases it.
        lessee: Option<String>,
    },
    /// Everybody.
    Everybody,
    /// Nobody else.
    System,
}

/// An event to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// As `baremetal.node.provision_set.start`.
    pub kind: String,
    /// The node it is about, or whose part it is about.
    pub node: Option<NodeUuid>,
    /// The UUID of what it is about.
    pub resource: Option<String>,
    /// Who may see it.
    pub whose: Whose,
    /// What is told: JSON on one line.
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
    /// The UUID of what it is about.
    pub resource: Option<String>,
    /// The project that owned it then.
    pub owner: Option<String>,
    /// The project that leased it then.
    pub lessee: Option<String>,
    /// What is told, as JSON.
    pub payload: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Which events a reader wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Who reads.
    pub visible_to: Scope,
    /// The number of the last one seen.
    pub after: i64,
    /// Beginnings of their kinds, any of them; empty: all kinds.
    pub kinds: Vec<String>,
    /// About this node and its parts.
    pub node: Option<NodeUuid>,
    /// About what has this UUID.
    pub resource: Option<String>,
    /// The most events on the page.
    pub limit: usize,
}

impl EventQuery {
    /// All events after the one with this number.
    pub fn new(visible_to: Scope, after: i64, limit: usize) -> Self {
        Self { visible_to, after, kinds: Vec::new(), node: None, resource: None, limit }
    }
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<Event>,
    /// Where to go on: everything wanted up to this number is on this page or was on one before.
    pub cursor: i64,
    /// Whether there may be more at once.
    pub full: bool,
    /// Whether some are recorded that are shown only when it is known what comes before them: within a moment.
    pub held: bool,
}

/// How long events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRetention {
    /// Not longer than this.
    pub age: Duration,
    /// Not more than so many.
    pub count: u32,
}

statements! {
    ADD = "INSERT INTO events (kind, node_uuid, resource, payload, at, owner, lessee, audience) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    ADD_OF_NODE = "INSERT INTO events (kind, node_uuid, resource, payload, at, audience, owner, lessee) VALUES \
        (?1, ?2, ?3, ?4, ?5, 0, (SELECT owner FROM nodes WHERE uuid = ?2), (SELECT lessee FROM nodes WHERE uuid = ?2))";
    LAST = "SELECT MAX(id) FROM events";
    /// Times need not grow with the numbers: what is younger stays, whatever its number.
    OLD = "SELECT MAX(id) FROM events WHERE at < ?1 AND id <= ?2";
    FIRST = "SELECT id, at FROM events ORDER BY id LIMIT 1";
    PRUNE = "DELETE FROM events WHERE id <= ?1";
}

/// Records events. The last thing a transaction does.
pub(crate) fn add(session: &mut dyn Session, events: &[NewEvent]) -> Result<(), DbError> {
    if events.is_empty() {
        return Ok(());
    }
    session.announce_events()?;
    for event in events {
        let resource = event.resource.param();
        let (kind, node) = (text(&event.kind), event.node.param());
        let (payload, at) = (text(&event.payload), event.at.param());
        if event.whose == Whose::OfNode {
            let params = [kind, node, resource, payload, at];
            session.execute_later(&ADD_OF_NODE, &params, Expected::success("event"))?;
            continue;
        }
        let (owner, lessee) = match &event.whose {
            Whose::Of { owner, lessee } => (owner.param(), lessee.param()),
            _ => (Param::Null, Param::Null),
        };
        let audience = Param::Int(match event.whose {
            Whose::OfNode | Whose::Of { .. } => 0,
            Whose::Everybody => 1,
            Whose::System => 2,
        });
        let params = [kind, node, resource, payload, at, owner, lessee, audience];
        session.execute_later(&ADD, &params, Expected::success("event"))?;
    }
    session.ring()
}

/// A page of events.
pub(crate) fn page(session: &mut dyn Session, query: &EventQuery) -> Result<EventPage, DbError> {
    // Asked first: what comes up in between is on the page.
    let newest = last(session)?;
    if query.after > newest {
        return Err(DbError::EventsAhead { after: query.after, newest });
    }
    let settled = settled_of(session, newest)?;
    let mut wanted = Conditions::seen_by(&query.visible_to, or_everybody);
    let after = wanted.bind(Param::Int(query.after));
    wanted.and(&format!("id > {after}"));
    let through = wanted.bind(Param::Int(settled));
    wanted.and(&format!("id <= {through}"));
    wanted.equals("node_uuid", query.node.as_ref());
    wanted.equals("resource", query.resource.as_ref());
    let kinds: Vec<String> = query
        .kinds
        .iter()
        .map(|prefix| {
            let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
            let (length, prefix) = (wanted.bind(Param::Int(length)), wanted.bind(text(prefix)));
            format!("substr(kind, 1, {length}) = {prefix}")
        })
        .collect();
    if !kinds.is_empty() {
        wanted.and(&kinds.join(" OR "));
    }
    let select = "SELECT id, kind, node_uuid, resource, owner, lessee, payload, at FROM events";
    let (statement, params) = wanted.page(select, "id", false, query.limit);
    let events = all(session, &statement, &params, |row| {
        let mut cells = Cells::new(row);
        Ok(Event {
            id: cells.take()?,
            kind: cells.take()?,
            node: cells.take()?,
            resource: cells.take()?,
            owner: cells.take()?,
            lessee: cells.take()?,
            payload: cells.take()?,
            at: cells.take()?,
        })
    })?;
    // Asked last: if something was dropped while the page was read, it may be missing on it.
    let pruned = pruned(session)?;
    if query.after < pruned {
        return Err(DbError::EventsGone { after: query.after, oldest: pruned });
    }
    let full = events.len() >= query.limit;
    let seen = events.last().map_or(query.after, |event| event.id);
    let cursor = if full { seen } else { seen.max(settled) };
    Ok(EventPage { events, cursor, full, held: settled < newest })
}

/// The number up to which readers may see events, when `newest` is the newest that is recorded: all up to it that will
/// ever be are recorded.
fn settled_of(session: &mut dyn Session, newest: i64) -> Result<i64, DbError> {
    // Asked after the newest: who got a lower number has announced it before.
    Ok(session.events_settled()?.map_or(newest, |settled| settled.min(newest)))
}

/// The number of the newest event that readers may see; 0 when there was none.
pub(crate) fn last_settled(session: &mut dyn Session) -> Result<i64, DbError> {
    let newest = last(session)?;
    settled_of(session, newest)
}

/// The number of the newest event there was; 0 when there was none.
pub(crate) fn last(session: &mut dyn Session) -> Result<i64, DbError> {
    let newest = first(session, &LAST, &[], |row| row.take::<Option<i64>>(0))?.flatten();
    match newest {
        Some(newest) => Ok(newest),
        None => pruned(session),
    }
}

/// Drops a batch of what is kept no longer; how many. 0 when nothing is left to do.
pub(crate) fn prune(
    session: &mut dyn Session,
    retention: EventRetention,
    now: Timestamp,
) -> Result<u64, DbError> {
    let age = i64::try_from(retention.age.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(now.as_micros().saturating_sub(age));
    let oldest = first(session, &FIRST, &[], |row| Ok((row.take::<i64>(0)?, row.take::<Timestamp>(1)?)))?;
    let Some((oldest, at)) = oldest else { return Ok(0) };
    let end_of_batch = oldest - 1 + BATCH;
    // Nothing is looked for beyond the batch: it may take long, and who writes waits for it.
    let too_old = if at < before {
        let params = [before.param(), Param::Int(end_of_batch)];
        first(session, &OLD, &params, |row| row.take::<Option<i64>>(0))?.flatten().unwrap_or(0)
    } else {
        0
    };
    // Numbers have gaps, so that some fewer than the most may be left.
    let too_many = last(session)? - i64::from(retention.count);
    let through = too_old.max(too_many).min(end_of_batch);
    if through < oldest {
        return Ok(0);
    }
    let dropped = session.execute((&PRUNE).into(), &[Param::Int(through)])?;
    account::put_setting(session, PRUNED, &through.to_string())?;
    Ok(dropped)
}

/// Up to which number events were dropped.
fn pruned(session: &mut dyn Session) -> Result<i64, DbError> {
    let noted = account::get_setting(session, PRUNED)?;
    Ok(noted.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// What those see who do not see everything.
fn or_everybody(condition: &str) -> String {
    format!("audience = 1 OR (audience = 0 AND ({condition}))")
}
