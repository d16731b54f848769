//! Tells readers of events that there may be new ones: those of this process at once, those of others by NOTIFY.
//!
//! After the commit and not in it: transactions that notify commit one after another, each waiting for the disk alone,
//! because the server keeps their notices in order. Many events are told of by one notice. Who misses one looks by itself
//! some time.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::session::CHANNEL;
use super::{classify, errors};
use crate::db::Shared;
use crate::{DbError, event};

/// Between two notices: what is committed meanwhile is told of by the next.
const PAUSE: Duration = Duration::from_millis(10);
/// After one that could not be sent.
const AGAIN: Duration = Duration::from_secs(1);

/// The bell, and the task that rings it elsewhere.
pub(super) struct Bell {
    shared: Arc<Shared>,
    rung: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Bell {
    /// `origin` is this process's name in its notices.
    pub(super) fn start(pool: Pool, shared: Arc<Shared>, origin: &str) -> Self {
        let rung = Arc::new(Notify::new());
        // A notice is no reason to wait for the disk.
        let notice = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_notify('{CHANNEL}', E'{}\\n{origin}'); COMMIT",
            event::CHANNEL
        );
        let task = tokio::spawn({
            let rung = Arc::clone(&rung);
            async move {
                loop {
                    rung.notified().await;
                    tokio::time::sleep(PAUSE).await;
                    if let Err(error) = send(&pool, &notice).await {
                        tracing::debug!(error = &error as &dyn std::error::Error, "a notice was not sent");
                        tokio::time::sleep(AGAIN).await;
                        rung.notify_one();
                    }
                }
            }
        });
        Self { shared, rung, task }
    }

    /// There are new events.
    pub(super) fn ring(&self) {
        self.shared.ring();
        self.rung.notify_one();
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn send(pool: &Pool, notice: &str) -> Result<(), DbError> {
    let client = pool.get().await.map_err(errors::of_pool)?;
    client.batch_execute(notice).await.map_err(|error| classify(error, "NOTIFY"))
}
