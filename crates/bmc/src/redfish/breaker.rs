//! The circuit breaker of one Redfish service: after failures it answers with the remembered error until it is time for a
//! probe. A refused login opens it at once, since BMCs lock accounts after a few wrong passwords.

use super::error::Error;
use super::options::{Credentials, Options};
use crate::error::Retry;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::Instant;

/// Whether to try.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    error: Arc<Error>,
    /// Who failed: others may have the right password, or trust the certificate.
    who: Arc<Credentials>,
    pause: Duration,
    until: Instant,
}

impl Breaker {
    /// The remembered error and how long it stays, or nothing when it is time to try.
    pub(super) fn check(&mut self, now: Instant, who: &Credentials) -> Option<(Arc<Error>, Duration)> {
        let open = self.open.as_ref()?;
        if open.error.retry() == Retry::NeedsOperator && *open.who != *who {
            *self = Self::default();
            return None;
        }
        let left = open.until.saturating_duration_since(now);
        (!left.is_zero()).then(|| (Arc::clone(&open.error), left))
    }

    /// Whether it has something to remember.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A call ended.
    pub(super) fn note<T>(
        &mut self,
        now: Instant,
        outcome: &Result<T, Error>,
        who: &Arc<Credentials>,
        options: &Options,
    ) {
        let Err(error) = outcome else {
            *self = Self::default();
            return;
        };
        if !error.is_silence() && !error.is_untrusted() {
            // It answered, be it with a refusal.
            *self = Self::default();
            return;
        }
        self.failures += 1;
        if self.failures < options.failures_to_open && !error.is_untrusted() {
            return;
        }
        let pause = self.open.as_ref().map_or(options.first_probe, |open| open.pause * 2);
        let pause = pause.min(options.longest_probe);
        let error = Arc::new(error.clone());
        self.open = Some(Open { error, who: Arc::clone(who), pause, until: now + pause });
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{Address, Password};
    use super::*;
    use redfish::Fault;

    fn login() -> Result<(), Error> {
        Err(Error::Login {
            address: Address::parse("192.0.2.1").unwrap(),
            user: "admin".into(),
            source: Fault { status: 401, messages: Vec::new() },
        })
    }

    fn silence() -> Result<(), Error> {
        Err(Error::Slow {
            address: Address::parse("192.0.2.1").unwrap(),
            operation: crate::redfish::Operation::PowerState,
            waited: Duration::from_secs(1),
        })
    }

    #[test]
    fn silence_opens_it_at_the_second_time_and_pauses_grow() {
        let (options, who) = (Options::default(), Arc::new(Credentials::default()));
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        breaker.note(now, &silence(), &who, &options);
        assert!(breaker.check(now, &who).is_none(), "one failure may be chance");
        let mut pauses = Vec::new();
        for _ in 0..6 {
            breaker.note(now, &silence(), &who, &options);
            let (_, left) = breaker.check(now, &who).unwrap();
            pauses.push(left.as_secs());
            now += left;
            assert!(breaker.check(now, &who).is_none(), "time to probe");
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 300]);
        breaker.note(now, &Ok(()), &who, &options);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_wrong_password_is_not_tried_twice_but_another_is_tried_at_once() {
        let (options, wrong) = (Options::default(), Arc::new(Credentials::default()));
        let right = Credentials { password: Password::new("right"), ..Credentials::default() };
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.note(now, &login(), &wrong, &options);
        assert!(breaker.check(now, &wrong).is_some());
        assert!(breaker.check(now, &right).is_none());
    }
}
