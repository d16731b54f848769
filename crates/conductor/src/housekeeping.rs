//! What is kept for a time only is dropped in time: events that nobody will ask for any more, conductors that are gone.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use crate::engine::Engine;

/// Between two looks for what is too old or too much.
const PAUSE: Duration = Duration::from_mins(1);
/// Between two looks for conductors that are gone.
const CONDUCTORS_PAUSE: Duration = Duration::from_hours(24);
/// How many conductors are forgotten in one look.
const CONDUCTORS_AT_ONCE: u32 = 50;

impl Engine {
    /// Drops what is too old, a batch at a time, until the service stops.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let mut conductors = tokio::time::Instant::now();
        loop {
            self.drop_events().await;
            if conductors <= tokio::time::Instant::now() {
                self.forget_conductors().await;
                conductors += CONDUCTORS_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn forget_conductors(&self) {
        let silent_since = Timestamp::now().minus(self.options.conductor_retention);
        match self.db.forget_conductors(silent_since, CONDUCTORS_AT_ONCE).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot conductors that are gone"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot forget old conductors");
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
