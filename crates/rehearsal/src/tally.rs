//! What happened in lives, counted.

use std::collections::BTreeMap;

/// Counts by name; names come from the code, so that equal lives count alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events of the simulation.
    pub events: u64,
    /// Decisions recorded.
    pub turns: u64,
    /// Actions begun.
    pub effects: u64,
    /// Seconds lived, summed over lives.
    pub seconds: u64,
    /// Lives by the state in which they ended.
    pub ends: BTreeMap<&'static str, u64>,
    /// What went wrong, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// What conductors went through, by kind.
    pub conductors: BTreeMap<&'static str, u64>,
    /// What callers asked, by verb; refused words are counted apart.
    pub callers: BTreeMap<&'static str, u64>,
    /// States that nodes were in.
    pub states: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn conductor(&mut self, what: &'static str) {
        *self.conductors.entry(what).or_default() += 1;
    }

    pub(crate) fn caller(&mut self, what: &'static str) {
        *self.callers.entry(what).or_default() += 1;
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.turns += other.turns;
        self.effects += other.effects;
        self.seconds += other.seconds;
        for (ours, theirs) in [
            (&mut self.ends, &other.ends),
            (&mut self.faults, &other.faults),
            (&mut self.conductors, &other.conductors),
            (&mut self.callers, &other.callers),
            (&mut self.states, &other.states),
        ] {
            for (name, count) in theirs {
                *ours.entry(name).or_default() += count;
            }
        }
    }
}
