//! What is kept for a time only is dropped in time: events that nobody will ask for any more.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use crate::engine::Engine;

/// Between two looks for what is too old or too much.
const PAUSE: Duration = Duration::from_mins(1);

impl Engine {
    /// Drops old events, a batch at a time, until the service stops.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        loop {
            self.drop_events().await;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn drop_events(&self) {
        let mut dropped = 0;
        loop {
            match self.db.prune_events(self.options.events, Timestamp::now()).await {
                Ok(0) => break,
                Ok(some) => dropped += some,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot drop old events");
                    break;
                }
            }
            // Others write in between.
            tokio::task::yield_now().await;
            if self.stop.is_cancelled() {
                break;
            }
        }
        if dropped > 0 {
            tracing::info!(dropped, "dropped old events");
        }
    }
}
