//! The right to work on nodes: held while signs of life arrive in time, and lost without anybody having to say so.
//!
//! Two things keep a conductor that was believed dead from doing harm. The store refuses what an ended registration decides.
//! And whatever is done to machines is polled through [`Tenure::within`], which looks at the clocks first: a process
//! that was stopped for longer than its lease does not finish what it was about to do.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use db::Term;
use model::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One registration of this conductor, and until when it counts.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) term: Term,
    lease: Duration,
    renewed: Mutex<Moment>,
    ended: CancellationToken,
}

/// A point in time by both clocks: the monotonic one stands still while the host sleeps, the other can be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    /// The longer of what the two clocks say.
    fn elapsed(self) -> Duration {
        self.monotonic.elapsed().max(Timestamp::now().since(self.wall))
    }
}

impl Tenure {
    /// `sent` is when the registration was asked for, not when it was confirmed: others count from in between.
    pub(crate) fn new(term: Term, lease: Duration, sent: Moment) -> Self {
        Self { term, lease, renewed: Mutex::new(sent), ended: CancellationToken::new() }
    }

    /// Whether this conductor may still work on nodes.
    pub(crate) fn holds(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        !self.ended.is_cancelled() && renewed.elapsed() < self.lease
    }

    /// A sign of life that was sent at `sent` arrived. One that comes too late renews nothing: work was dropped already.
    pub(crate) fn renew(&self, sent: Moment) -> bool {
        if !self.holds() {
            return false;
        }
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
        true
    }

    /// Drops all work under it.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// Ends with [`Tenure::end`].
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Does `work` as long as the tenure holds, which is looked at before each of its steps; `None` when it does not.
    pub(crate) async fn within<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let mut ended = pin!(self.ended.cancelled());
        poll_fn(|context| {
            if ended.as_mut().poll(context).is_ready() || !self.holds() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenure(lease: Duration) -> Tenure {
        Tenure::new(Term { hostname: "c".to_owned(), epoch: 1 }, lease, Moment::now())
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_while_signs_of_life_arrive() {
        let tenure = tenure(Duration::from_mins(1));
        let work = tenure.within(tokio::time::sleep(Duration::from_secs(100)));
        let renewing = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                assert!(tenure.renew(Moment::now()));
            }
        };
        let (done, ()) = tokio::join!(work, renewing);
        assert_eq!(done, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn late_work_is_not_polled_again() {
        let tenure = tenure(Duration::from_mins(1));
        let mut harm = false;
        let work = async {
            tokio::time::sleep(Duration::from_secs(61)).await;
            harm = true;
        };
        assert_eq!(tenure.within(work).await, None);
        assert!(!harm);
        assert!(!tenure.renew(Moment::now()), "too late");
        assert!(!tenure.holds());
    }

    #[tokio::test]
    async fn its_end_interrupts() {
        let tenure = tenure(Duration::from_mins(1));
        let ending = async { tenure.end() };
        let (done, ()) = tokio::join!(tenure.within(std::future::pending::<()>()), ending);
        assert_eq!(done, None);
        assert!(!tenure.holds());
    }
}
