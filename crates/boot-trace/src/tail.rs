//! What was seen of a node last, so that repetitions become counts.

use std::collections::VecDeque;

use model::Timestamp;

use crate::attempt::Round;
use crate::event::{BootEventKind as K, Fetch, FileRole, Told};

/// How many entries back a repetition is sought.
const LOOK_BACK: usize = 12;

/// Something seen, once or several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was seen first. No two entries of a node have the same time.
    pub at: Timestamp,
    /// When it was seen last.
    pub last_at: Timestamp,
    /// How often.
    pub count: u32,
    /// What it was, the last time.
    pub told: Told,
}

/// The end of a node's trace.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    round: Round,
    recent: VecDeque<Entry>,
    newest: Option<Timestamp>,
}

impl Tail {
    /// Takes note of `told` and gives the entry that it is, or is counted in, as it stands now.
    pub fn take(&mut self, told: Told, at: Timestamp) -> Entry {
        if self.round.ends_before(&told.kind) && !self.repeats_power_on(&told.kind) {
            self.recent.clear();
            self.round = Round::default();
        }
        self.round.note(&told.kind);
        if let Some(entry) = self.recent.iter_mut().rev().find(|entry| is_same(&entry.told, &told)) {
            entry.count = entry.count.saturating_add(1);
            entry.last_at = entry.last_at.max(at);
            merge(&mut entry.told.kind, told.kind);
            return entry.clone();
        }
        // The time is the entry's name: two in the same microsecond must differ.
        let at = self.newest.map_or(at, |newest| at.max(Timestamp::from_micros(newest.as_micros() + 1)));
        self.newest = Some(at);
        let entry = Entry { at, last_at: at, count: 1, told };
        if self.recent.len() == LOOK_BACK {
            self.recent.pop_front();
        }
        self.recent.push_back(entry.clone());
        entry
    }

    /// When something was seen last.
    pub fn newest(&self) -> Option<Timestamp> {
        self.recent.iter().map(|entry| entry.last_at).max().or(self.newest)
    }

    /// An order to switch on that is given again before the machine did anything, after a restart of the service.
    fn repeats_power_on(&self, kind: &K) -> bool {
        matches!(kind, K::PowerOn { .. })
            && self.recent.len() == 1
            && self.recent.back().is_some_and(|last| last.told.kind == *kind)
    }
}

/// Whether both say the same, apart from how long it took and how far it got.
fn is_same(old: &Told, new: &Told) -> bool {
    if old.mac != new.mac {
        return false;
    }
    match (&old.kind, &new.kind) {
        (K::TftpError { file, failure, .. }, K::TftpError { file: new_file, failure: new_failure, .. }) => {
            file == new_file && failure == new_failure
        }
        (K::TftpDone { file, bytes, .. }, K::TftpDone { file: new_file, bytes: new_bytes, .. }) => {
            file == new_file && bytes == new_bytes
        }
        (K::HttpGet(old), K::HttpGet(new)) => {
            old.path == new.path
                && (old.role == FileRole::Image
                    || (old.status == new.status && old.from == new.from && old.is_whole() == new.is_whole()))
        }
        (K::OtherPort { .. }, K::OtherPort { .. }) => true,
        (old, new) => old == new,
    }
}

/// The later one says more; parts of an image add up.
fn merge(old: &mut K, new: K) {
    match (old, new) {
        (K::HttpGet(old), K::HttpGet(new)) if old.role == FileRole::Image => {
            *old = Fetch {
                from: None,
                bytes: old.bytes.saturating_add(new.bytes),
                of: old.of.saturating_add(new.of),
                millis: old.millis.saturating_add(new.millis),
                ..new
            };
        }
        (old, new) => *old = new,
    }
}
