//! How many nodes may be in certain states at once, judged in the transaction that is about to add one.
//!
//! With SQLite the limit is exact. With PostgreSQL as many may get in beyond it as are judged at the same instant.

use model::ProvisionState;

use crate::DbError;
use crate::session::{Param, Session, first};
use crate::statement::statements;
use crate::stored::text;

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// What those nodes are doing, for the message: `deploying`.
    pub what: &'static str,
    /// The states that count.
    pub states: [ProvisionState; 3],
    /// The most nodes in them, the one to come included.
    pub most: u32,
    /// Only those of this conductor group count; all when there is none.
    pub conductor_group: Option<String>,
}

statements! {
    // Counts no further than it has to, by the index of states.
    ALL = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM nodes WHERE provision_state IN (?1, ?2, ?3) LIMIT ?4) AS found";
    GROUP = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM nodes WHERE provision_state IN (?1, ?2, ?3) \
        AND conductor_group = ?5 LIMIT ?4) AS found";
}

/// Refuses what would be one too many.
pub(crate) fn check(session: &mut dyn Session, limit: &Admission) -> Result<(), DbError> {
    let [one, two, three] = limit.states.map(|state| text(state.as_str()));
    let mut params = vec![one, two, three, Param::Int(limit.most.into())];
    let statement = if let Some(group) = &limit.conductor_group {
        params.push(text(group));
        &GROUP
    } else {
        &ALL
    };
    let found: i64 = first(session, statement, &params, |row| row.take(0))?.unwrap_or(0);
    if found < i64::from(limit.most) {
        return Ok(());
    }
    Err(DbError::TooMany { what: limit.what, most: limit.most })
}
