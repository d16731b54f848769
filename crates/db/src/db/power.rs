//! The operations on the power of many machines.

use model::NodeUuid;

use super::{Db, Size};
use crate::{DbError, PowerWatch, WatchedPower, power};

impl Db {
    /// A page of machines whose power is to be looked at: those after row number `after`, in order; no more of their rows than
    /// that takes.
    pub async fn watched_power(
        &self,
        which: PowerWatch,
        after: i64,
        limit: usize,
    ) -> Result<Vec<WatchedPower>, DbError> {
        self.read(Size::of(limit), move |session| power::watch(session, which, after, limit)).await
    }

    /// Counts a look at a node's power that failed; how many have in a row.
    ///
    /// # Errors
    /// `MissingReference` when there is no such node.
    pub async fn count_power_failure(&self, node: NodeUuid) -> Result<i64, DbError> {
        self.write(move |session| power::count(session, node)).await
    }

    /// Forgets the looks that failed.
    pub async fn clear_power_failures(&self, node: NodeUuid) -> Result<(), DbError> {
        self.write(move |session| power::clear(session, node)).await
    }
}
