//! The circuit breaker of one BMC: after failures it answers with the remembered error until it is time for a probe. It
//! knows no BMC, only the order of failures and successes.

use crate::error::{Error, Retry};
use crate::options::Options;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::Instant;

/// Whether to try.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    error: Arc<Error>,
    pause: Duration,
    until: Instant,
}

impl Breaker {
    /// The remembered error and how long it stays, or nothing when it is time to try.
    pub(crate) fn check(&self, now: Instant) -> Option<(Arc<Error>, Duration)> {
        let open = self.open.as_ref()?;
        let left = open.until.saturating_duration_since(now);
        (!left.is_zero()).then(|| (Arc::clone(&open.error), left))
    }

    /// The BMC answered.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The BMC did not answer, or refused the login. A refused login is remembered at once: BMCs lock accounts after a few
    /// wrong passwords.
    pub(crate) fn failed(&mut self, now: Instant, error: &Error, options: &Options) {
        let counts = error.is_silence() || matches!(error, Error::Login { .. });
        if !counts {
            return;
        }
        self.failures += 1;
        let refused = error.retry() == Retry::NeedsOperator;
        if self.failures < options.failures_to_open && !refused {
            return;
        }
        let pause =
            self.open.as_ref().map_or(options.first_probe, |open| open.pause * 2).min(options.longest_probe);
        self.open = Some(Open { error: Arc::new(error.clone()), pause, until: now + pause });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Target;
    use ipmi::ClientError;

    fn silence() -> Error {
        Error::Unreachable { target: Target::new("192.0.2.1"), sent: 4 }
    }

    #[test]
    fn it_opens_after_two_failures_and_probes_less_and_less_often() {
        let options = Options::default();
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        breaker.failed(now, &silence(), &options);
        assert!(breaker.check(now).is_none(), "one failure may be chance");
        let mut pauses = Vec::new();
        for _ in 0..7 {
            breaker.failed(now, &silence(), &options);
            let (_, left) = breaker.check(now).unwrap();
            pauses.push(left.as_secs());
            now += left;
            assert!(breaker.check(now).is_none(), "time to probe");
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 300, 300]);
        breaker.succeeded();
        breaker.failed(now, &silence(), &options);
        assert!(breaker.check(now).is_none(), "a success starts the count anew");
    }

    #[test]
    fn a_wrong_password_is_not_tried_twice() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let error = Error::Login {
            target: Target::new("192.0.2.1"),
            user: "admin".into(),
            source: ClientError::WrongPassword,
        };
        breaker.failed(now, &error, &Options::default());
        assert!(breaker.check(now).is_some());
    }
}
