//! The circuit breaker of one BMC: after failures it answers with the remembered error until it is time for a probe. It
//! knows no BMC and no protocol, only the order of failures and successes.

use core::time::Duration;
use std::sync::Arc;
use tokio::time::Instant;

use crate::patience::Patience;

/// What an error says of the BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is alive: it answered, be it with a refusal.
    Life,
    /// It could not be reached.
    Silence,
    /// One side does not trust the other. Remembered at once, since BMCs lock accounts after a few wrong passwords.
    Distrust,
    /// Nothing: the error is our own.
    Nothing,
}

/// An error that a breaker can judge and remember.
pub(crate) trait Judged: Clone {
    /// What it says of the BMC.
    fn sign(&self) -> Sign;
}

/// Whether to try. `E` is what is remembered, `W` who failed with it.
#[derive(Debug)]
pub(crate) struct Breaker<E, W> {
    failures: u32,
    open: Option<Open<E, W>>,
}

#[derive(Debug)]
struct Open<E, W> {
    error: Arc<E>,
    /// Others may have the right password, or trust the certificate.
    who: Arc<W>,
    pause: Duration,
    until: Instant,
}

impl<E, W> Default for Breaker<E, W> {
    fn default() -> Self {
        Self { failures: 0, open: None }
    }
}

impl<E: Judged, W: PartialEq> Breaker<E, W> {
    /// The remembered error and how long it stays, or nothing when it is time for `who` to try.
    pub(crate) fn check(&mut self, now: Instant, who: &W) -> Option<(Arc<E>, Duration)> {
        let open = self.open.as_ref()?;
        if open.error.sign() == Sign::Distrust && *open.who != *who {
            *self = Self::default();
            return None;
        }
        let left = open.until.saturating_duration_since(now);
        (!left.is_zero()).then(|| (Arc::clone(&open.error), left))
    }

    /// Whether it has something worth remembering: a BMC that nobody asked for as long again after its pause is not.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.open.as_ref().is_some_and(|open| now < open.until + open.pause)
    }

    /// An attempt of `who` ended.
    pub(crate) fn note<T>(
        &mut self,
        now: Instant,
        outcome: &Result<T, E>,
        who: &Arc<W>,
        patience: &Patience,
    ) {
        let Err(error) = outcome else {
            *self = Self::default();
            return;
        };
        let sign = error.sign();
        match sign {
            Sign::Life => *self = Self::default(),
            Sign::Nothing => {}
            Sign::Silence | Sign::Distrust => {
                self.failures += 1;
                if self.failures < patience.failures_to_open && sign == Sign::Silence {
                    return;
                }
                let pause = self.open.as_ref().map_or(patience.first_probe, |open| open.pause * 2);
                let pause = pause.min(patience.longest_probe);
                let error = Arc::new(error.clone());
                self.open = Some(Open { error, who: Arc::clone(who), pause, until: now + pause });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Judged for Sign {
        fn sign(&self) -> Sign {
            *self
        }
    }

    type Failure = Result<(), Sign>;

    fn opened_by(who: &Arc<String>) -> (Breaker<Sign, String>, Instant) {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.note(now, &Failure::Err(Sign::Distrust), who, &Patience::default());
        (breaker, now)
    }

    #[test]
    fn silence_opens_it_at_the_second_time_and_probes_grow_rarer() {
        let (patience, who) = (Patience::default(), Arc::new("operator".to_owned()));
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let silence = Failure::Err(Sign::Silence);
        breaker.note(now, &silence, &who, &patience);
        assert!(breaker.check(now, &who).is_none(), "one failure may be chance");
        let mut pauses = Vec::new();
        for _ in 0..7 {
            breaker.note(now, &silence, &who, &patience);
            let (_, left) = breaker.check(now, &who).unwrap();
            pauses.push(left.as_secs());
            now += left;
            assert!(breaker.check(now, &who).is_none(), "time to probe");
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 300, 300]);
        breaker.note(now, &Ok(()), &who, &patience);
        assert!(!breaker.is_open(now));
        breaker.note(now, &silence, &who, &patience);
        assert!(breaker.check(now, &who).is_none(), "a success starts the count anew");
    }

    #[test]
    fn a_wrong_password_is_not_tried_twice_but_another_is_tried_at_once() {
        let (mut breaker, now) = opened_by(&Arc::new("wrong".to_owned()));
        assert!(breaker.check(now, &"wrong".to_owned()).is_some());
        assert!(breaker.check(now, &"right".to_owned()).is_none());
        assert!(breaker.check(now, &"wrong".to_owned()).is_none(), "what is known of the BMC is out of date");
    }

    #[test]
    fn a_refusal_is_a_sign_of_life_and_our_own_faults_are_none_at_all() {
        let who = Arc::new("operator".to_owned());
        for (sign, stays) in [(Sign::Life, false), (Sign::Nothing, true)] {
            let (mut breaker, now) = opened_by(&who);
            breaker.note(now, &Failure::Err(sign), &who, &Patience::default());
            assert_eq!(breaker.is_open(now), stays, "{sign:?}");
        }
    }
}
