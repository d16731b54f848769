//! Messages that wake whoever works from the rows. Nothing depends on their arrival: work is in the rows.

use crate::DbError;

/// A reason to look at the rows again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakeup {
    /// Somebody wrote and said so.
    Notice {
        /// What kind of work there is.
        channel: String,
        /// What it is about, as a node's UUID.
        payload: String,
    },
    /// The connection that carries notices was lost for a while: look at everything.
    MayHaveMissed,
}

/// The longest wake-up, in bytes: PostgreSQL's limit of 8,000 less what it adds, kept on both engines.
const LIMIT: usize = 7_000;

/// Refuses what is too long to be sent.
pub(crate) fn check(channel: &str, payload: &str) -> Result<(), DbError> {
    let found = channel.len() + payload.len();
    if found > LIMIT { Err(DbError::NoticeTooLong { limit: LIMIT, found }) } else { Ok(()) }
}
