//! What breaks, and what may follow from it.

use super::site::{LEASE, SIGN_OF_LIFE, Site};
use anyhow::Result;
use model::Timestamp;
use rustix::process::Signal;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How long a conductor stands still, or is cut off: past its lease, with time for others to take over.
const AWAY: Duration = LEASE.saturating_mul(3);
/// Clocks of processes on one host agree, but what they read is written a moment later.
const SLACK: Duration = Duration::from_millis(500);

/// Something that breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Trouble {
    /// A conductor is killed, and started again when all is over
    Kill,
    /// A conductor stands still for longer than its lease, and wakes up
    Stall,
    /// The network between a conductor and the store is cut for longer than its lease, with connections open
    Cut,
    /// The store is restarted
    RestartStore,
    /// The message bus is killed and started again; with RabbitMQ only
    RestartBus,
    /// Every process is stopped in order and started again, one after the other
    Roll,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "a conductor is killed",
            Self::Stall => "a conductor stands still and wakes up",
            Self::Cut => "a conductor is cut off from the store",
            Self::RestartStore => "the store is restarted",
            Self::RestartBus => "the message bus is killed and restarted",
            Self::Roll => "all are stopped and started in turn",
        })
    }
}

/// What a trouble was.
#[derive(Debug)]
pub(super) struct Harm {
    /// The conductor that was hit; `None` when it was all of them.
    pub(super) victim: Option<String>,
    /// When.
    at: Timestamp,
    /// From `at` on, how long it takes at least until others may have its work.
    grace: Duration,
    /// Whether the victim comes back with all that it had in mind.
    pub(super) wakes: bool,
    /// What is to be undone, and when.
    mend: Option<(Trouble, Instant)>,
}

impl Trouble {
    /// All of them, in their order.
    pub(super) const ALL: [Self; 6] =
        [Self::Kill, Self::Stall, Self::Cut, Self::RestartStore, Self::RestartBus, Self::Roll];

    /// Lets it happen. Who was killed stays away; what lasts for a time is ended by [`Harm::mend_in_time`].
    pub(super) async fn strike(self, site: &mut Site, victim: &str) -> Result<Harm> {
        let at = Timestamp::now();
        match self {
            Self::Kill => site.process(victim)?.kill()?,
            Self::Stall => site.process(victim)?.signal(Signal::STOP)?,
            Self::Cut => site.process(victim)?.way.cut().await?,
            Self::RestartStore => site.postgres.restart().await?,
            Self::RestartBus => match &mut site.rabbit {
                Some(rabbit) => rabbit.restart().await?,
                None => anyhow::bail!("rows of the store are the bus: try it with --rabbitmq"),
            },
            Self::Roll => {
                for name in site.names() {
                    site.process(&name)?.terminate().await?;
                    site.run(&name).await?;
                }
            }
        }
        let one = matches!(self, Self::Kill | Self::Stall | Self::Cut);
        let lasts = matches!(self, Self::Stall | Self::Cut);
        Ok(Harm {
            victim: one.then(|| victim.to_owned()),
            wakes: lasts,
            mend: lasts.then(|| (self, Instant::now() + AWAY)),
            at,
            // Who signs off is succeeded at once; who only falls silent may have given a sign of life just before.
            grace: if self == Self::Roll {
                Duration::ZERO
            } else {
                LEASE.saturating_sub(SIGN_OF_LIFE + SLACK)
            },
        })
    }
}

impl Harm {
    /// Ends what lasts for a time, when that has passed and others have taken over, which they must not need the victim for;
    /// whether it is over.
    pub(super) async fn mend_in_time(&mut self, site: &mut Site, taken_over: bool) -> Result<bool> {
        let Some((trouble, at)) = self.mend else { return Ok(true) };
        if Instant::now() < at || !taken_over {
            return Ok(false);
        }
        let victim = site.process(self.victim.as_deref().unwrap_or_default())?;
        if trouble == Trouble::Stall {
            victim.signal(Signal::CONT)?;
        } else {
            victim.way.mend().await?;
        }
        self.mend = None;
        Ok(true)
    }

    /// Whether an effect that `conductor` began at `begun`, and whose end it did not record, may be followed by one that
    /// another conductor began at `next`.
    pub(super) fn may_be_succeeded(&self, conductor: &str, begun: Timestamp, next: Timestamp) -> bool {
        let was_hit = self.victim.as_deref().is_none_or(|victim| victim == conductor);
        was_hit && begun <= next && next >= self.at.plus(self.grace)
    }

    /// Nothing broke.
    #[cfg(test)]
    pub(super) fn none(at: Timestamp) -> Self {
        Self { victim: Some(String::new()), at, grace: Duration::ZERO, wakes: false, mend: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_victim_is_succeeded_and_not_before_its_lease_has_run_out() {
        let at = Timestamp::from_micros(1_000_000);
        let harm = Harm {
            victim: Some("a".to_owned()),
            at,
            grace: Duration::from_secs(4),
            wakes: false,
            mend: None,
        };
        let later = |seconds| at.plus(Duration::from_secs(seconds));
        assert!(harm.may_be_succeeded("a", at, later(5)));
        assert!(!harm.may_be_succeeded("a", at, later(3)));
        assert!(!harm.may_be_succeeded("b", at, later(5)));
    }
}
