//! The boot flight recorder, as callers see it.

use boot_trace::{Entry, Told};
use model::{NodeUuid, Timestamp};

use super::{Db, Size};
use crate::{DbError, trace};

/// Boot traces.
impl Db {
    /// Takes note of something seen of a booting machine. Never waits and never fails: what cannot be kept is counted. It is
    /// written within half a second; what is not written is lost with the process.
    ///
    /// Without a node, `told.mac` may turn out to be another interface of a node that is waited for.
    pub fn see_boot(&self, node: Option<NodeUuid>, at: Timestamp, told: Told) {
        self.recorder.see(node, at, told);
    }

    /// What is kept of a node's boots, in the order of time: what this process has seen so far, and others have written.
    pub async fn boot_trace(&self, node: NodeUuid) -> Result<Vec<Entry>, DbError> {
        self.recorder.flush().await;
        self.read(Size::Scan, move |session| trace::of_node(session, node)).await
    }

    /// Drops what was seen last before `before`; how many rows. The recorder does so by itself for what is a month old.
    pub async fn prune_boot_traces(&self, before: Timestamp) -> Result<u64, DbError> {
        self.write(move |session| trace::prune(session, before)).await
    }

    /// How much of what was seen could not be kept.
    pub fn boot_events_lost(&self) -> u64 {
        self.recorder.lost()
    }
}
