//! When the timer has to look at deadlines before it would by itself: only a deadline that is nearer than the end of its
//! sleep wakes it. Knows no flows.

use std::sync::atomic::{AtomicI64, Ordering};

use model::Timestamp;
use tokio::sync::Notify;

/// Between those who set deadlines and the one who keeps them.
#[derive(Debug)]
pub(crate) struct Alarm {
    bell: Notify,
    /// The end of the keeper's sleep, in microseconds.
    until: AtomicI64,
}

impl Default for Alarm {
    /// Nobody has looked yet.
    fn default() -> Self {
        Self { bell: Notify::new(), until: AtomicI64::new(i64::MAX) }
    }
}

impl Alarm {
    /// The keeper looks at the deadlines from here on: one that is stored while it does may not be seen, so all ring.
    pub(crate) fn looks(&self) {
        self.until.store(i64::MAX, Ordering::SeqCst);
    }

    /// The keeper has looked, and sleeps until then.
    pub(crate) fn sleeps(&self, until: Timestamp) {
        self.until.store(until.as_micros(), Ordering::SeqCst);
    }

    /// A deadline is stored.
    pub(crate) fn set(&self, deadline: Timestamp) {
        if deadline.as_micros() < self.until.load(Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Waits until one is nearer than the end of the sleep.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_nearer_deadlines_ring() {
        let rings =
            async |alarm: &Alarm| tokio::time::timeout(Duration::from_millis(1), alarm.rung()).await.is_ok();
        let (alarm, at) = (Alarm::default(), Timestamp::from_micros);
        alarm.set(at(500));
        assert!(rings(&alarm).await, "nobody has looked");
        alarm.sleeps(at(100));
        alarm.set(at(100));
        alarm.set(at(101));
        assert!(!rings(&alarm).await);
        alarm.set(at(99));
        assert!(rings(&alarm).await);
        alarm.looks();
        alarm.set(at(5_000));
        alarm.sleeps(at(100));
        assert!(rings(&alarm).await, "what comes while deadlines are read is not lost");
    }
}
