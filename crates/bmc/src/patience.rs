//! How patient a pool is with its BMCs, whatever protocol they speak: when one counts as dead, how often a dead one is
//! probed, and how often a machine on its way to another state is looked at.

use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

use crate::error::Retry;

/// One look at a machine. Boxed, since a future of a borrowing closure cannot be said to be `Send` otherwise.
pub(crate) type Look<'a, S, E> = Pin<Box<dyn Future<Output = Result<S, E>> + Send + 'a>>;

/// Times and counts.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts to reach a BMC that must fail in a row before it counts as dead.
    pub failures_to_open: u32,
    /// How long a dead BMC is left alone before the first probe; doubles with each probe that fails.
    pub first_probe: Duration,
    /// The longest time between two probes.
    pub longest_probe: Duration,
    /// The first pause between two looks at the power state or a task; grows by half each time.
    pub poll_first: Duration,
    /// The longest pause between two looks.
    pub poll_longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            failures_to_open: 2,
            first_probe: Duration::from_secs(15),
            longest_probe: Duration::from_mins(5),
            poll_first: Duration::from_millis(500),
            poll_longest: Duration::from_secs(5),
        }
    }
}

impl Patience {
    /// The pause after `pause`.
    pub(crate) fn next_pause(&self, pause: Duration) -> Duration {
        pause.mul_f32(1.5).min(self.poll_longest)
    }

    /// Looks with `read` until it sees `wanted`, for `deadline` at most: BMCs have no events. Failures that may pass are
    /// tolerated until then; others come back as they are.
    pub(crate) async fn until<'a, S, E>(
        &self,
        deadline: Duration,
        read: impl Fn() -> Look<'a, S, E>,
        wanted: impl Fn(&S) -> bool,
        retry: impl Fn(&E) -> Retry,
    ) -> Result<(), Ended<S, E>> {
        let started = Instant::now();
        let mut pause = self.poll_first;
        let mut last = None;
        loop {
            let source = match read().await {
                Ok(state) if wanted(&state) => return Ok(()),
                Ok(state) => {
                    last = Some(state);
                    None
                }
                Err(error) if retry(&error) == Retry::Transient => Some(Arc::new(error)),
                Err(error) => return Err(Ended::Failed(error)),
            };
            let waited = started.elapsed();
            let left = deadline.saturating_sub(waited);
            if left.is_zero() {
                return Err(Ended::OutOfTime { last, waited, source });
            }
            sleep(pause.min(left)).await;
            pause = self.next_pause(pause);
        }
    }
}

/// Why the wanted state was not seen.
#[derive(Debug)]
pub(crate) enum Ended<S, E> {
    /// Looking again would not help.
    Failed(E),
    /// The time is up.
    OutOfTime {
        /// What was seen last.
        last: Option<S>,
        /// How long was waited.
        waited: Duration,
        /// Why the last look failed, if it did.
        source: Option<Arc<E>>,
    },
}
