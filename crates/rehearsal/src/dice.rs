//! Chance from a seed: the same on every machine, whatever the version of a library (`SplitMix64`, Steele et al. 2014).

use std::ops::Range;
use std::time::Duration;

/// A stream of chance.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of the life number `life` under `seed`.
    pub(crate) fn of(seed: u64, life: u32) -> Self {
        let mut mixed = Self(seed);
        let mixed = mixed.next() ^ u64::from(life).wrapping_mul(0xD134_2543_DE82_EF95);
        Self(mixed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// True `share` times out of a thousand.
    pub(crate) fn permille(&mut self, share: u32) -> bool {
        self.below(1000) < u64::from(share)
    }

    /// A time within a span of milliseconds.
    pub(crate) fn millis(&mut self, span: Range<u64>) -> Duration {
        Duration::from_millis(span.start + self.below(span.end.saturating_sub(span.start)))
    }

    /// One of several, by weight; none when all weights are 0.
    pub(crate) fn weighed<T: Copy>(&mut self, choices: &[(u32, T)]) -> Option<T> {
        let total: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        choices.iter().find_map(|(weight, choice)| {
            let weight = u64::from(*weight);
            if left < weight {
                return Some(*choice);
            }
            left -= weight;
            None
        })
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let index = usize::try_from(self.below(choices.len() as u64)).ok()?;
        choices.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_paper() {
        // The reference implementation's first numbers for seed 1234567.
        let mut dice = Dice(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([dice.next(), dice.next(), dice.next()], expected);
    }

    #[test]
    fn lives_differ_and_repeat() {
        let stream =
            |seed, life| (0..4).scan(Dice::of(seed, life), |dice, _| Some(dice.next())).collect::<Vec<_>>();
        assert_eq!(stream(1, 1), stream(1, 1));
        assert_ne!(stream(1, 1), stream(1, 2));
        assert_ne!(stream(1, 1), stream(2, 1));
    }
}
