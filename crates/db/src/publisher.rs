//! Who of many processes publishes the events elsewhere, and how far it has come: one at a time, for a limited time, by the
//! clock of the store.

use std::time::Duration;

use crate::DbError;
use crate::event;
use crate::session::{Param, Session, first};
use crate::statement::statements;
use crate::stored::text;

statements! {
    /// The first to ask begins after the newest event of that time: what was before concerns nobody who listens now.
    BEGIN = "INSERT INTO publishers (name, position, holder, held_until) VALUES (?1, ?2, '', 0) \
        ON CONFLICT (name) DO NOTHING";
    CLAIM = "UPDATE publishers SET holder = ?2, held_until = (SELECT micros FROM clock) + ?3 \
        WHERE name = ?1 AND (holder = ?2 OR held_until < (SELECT micros FROM clock)) RETURNING position";
    ADVANCE = "UPDATE publishers SET position = ?3, held_until = (SELECT micros FROM clock) + ?4 \
        WHERE name = ?1 AND holder = ?2";
    RESIGN = "UPDATE publishers SET held_until = 0 WHERE name = ?1 AND holder = ?2";
}

/// Asks to publish, or to go on publishing, for `term`; the number of the last event that was published. `None` when
/// somebody else is at it.
pub(crate) fn claim(
    session: &mut dyn Session,
    name: &str,
    holder: &str,
    term: Duration,
) -> Result<Option<i64>, DbError> {
    let params = [text(name), text(holder), micros(term)];
    if let Some(position) = first(session, &CLAIM, &params, |row| row.take(0))? {
        return Ok(Some(position));
    }
    let newest = event::last(session)?;
    if session.execute((&BEGIN).into(), &[text(name), Param::Int(newest)])? == 0 {
        return Ok(None);
    }
    first(session, &CLAIM, &params, |row| row.take(0))
}

/// Notes how far the holder has come, and gives it another `term`; whether it still was the holder.
pub(crate) fn advance(
    session: &mut dyn Session,
    name: &str,
    holder: &str,
    position: i64,
    term: Duration,
) -> Result<bool, DbError> {
    let params = [text(name), text(holder), Param::Int(position), micros(term)];
    Ok(session.execute((&ADVANCE).into(), &params)? > 0)
}

/// Lets another one publish at once.
pub(crate) fn resign(session: &mut dyn Session, name: &str, holder: &str) -> Result<(), DbError> {
    session.execute((&RESIGN).into(), &[text(name), text(holder)]).map(drop)
}

fn micros(term: Duration) -> Param<'static> {
    Param::Int(i64::try_from(term.as_micros()).unwrap_or(i64::MAX / 4))
}
