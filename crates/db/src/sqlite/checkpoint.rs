//! The thread that brings what was committed from the log into the file, so that no writer waits while it is copied and
//! synchronised. Knows nothing of operations.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::connection::classify;
use crate::DbError;
use crate::error::Cause;

/// Commits after which the log is looked at: a few hundred pages, whether many or few write.
const COMMITS: u32 = 16;

/// The writer's side.
pub(super) struct Checkpoints {
    bell: SyncSender<()>,
    thread: JoinHandle<()>,
    /// Commits since the bell was rung.
    commits: u32,
}

impl Checkpoints {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> Result<Self, DbError> {
        // One ring that waits is enough: who hears it does all there is to do.
        let (bell, rings) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("db-checkpoint".to_owned())
            .spawn(move || work(&connection, &rings))
            .map_err(|source| DbError::Open {
                url: "sqlite".to_owned(),
                remedy: "the system refuses a thread: check its limits",
                source: Cause::new(source),
            })?;
        Ok(Self { bell, thread, commits: 0 })
    }

    /// Takes note of a commit.
    pub(super) fn committed(&mut self) {
        self.commits += 1;
        // An error says that the bell rings already: the count stays, so that the next commit rings it again.
        if self.commits >= COMMITS && self.bell.try_send(()).is_ok() {
            self.commits = 0;
        }
    }

    /// Waits until the thread has ended and its connection is closed.
    pub(super) fn stop(self) {
        drop(self.bell);
        // An error says that it panicked; the file is whole without it.
        let _ = self.thread.join();
    }
}

fn work(connection: &Connection, rings: &Receiver<()>) {
    while rings.recv().is_ok() {
        // Passive: neither readers nor the writer wait for it. What it cannot do now, it does the next time.
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            let error = classify(error, "PRAGMA wal_checkpoint");
            tracing::warn!(error = &error as &dyn std::error::Error, "the log stays as it is for now");
        }
    }
}
