//! Cutting what is kept of a node into attempts, and attempts into rounds.
//!
//! An attempt begins when the service switches the machine on. Within it the machine may start over by itself, any number
//! of times: each time is a round. A round is told by firmware that asks for an address again although its loader, or
//! what the loader booted, was running already.

use std::ops::Range;

use model::{BootIntent, Timestamp};

use crate::event::{BootEventKind as K, FileRole};
use crate::tail::Entry;

/// How far a round has come, as far as it takes to see that the next one begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Firmware has loaded iPXE, or iPXE asked for an address.
    loaded: bool,
    /// iPXE has its script, or an operating system runs.
    booted: bool,
}

impl Round {
    /// Whether `kind` is the first thing of another round.
    pub(crate) fn ends_before(self, kind: &K) -> bool {
        match kind {
            K::PowerOn { .. } => true,
            K::Discover(asking) if asking.ipxe => self.booted,
            K::Discover(asking) => asking.firmware && (self.loaded || self.booted),
            K::TftpStart { role: FileRole::Loader, .. } => self.booted,
            _ => false,
        }
    }

    /// Takes note of what happened in it.
    pub(crate) fn note(&mut self, kind: &K) {
        match kind {
            K::TftpDone { role: FileRole::Loader, .. } => self.loaded = true,
            K::HttpGet(fetch) => match fetch.role {
                FileRole::Loader => self.loaded |= fetch.is_whole() && fetch.of > 0,
                FileRole::Script | FileRole::Kernel | FileRole::Ramdisk => self.booted = true,
                FileRole::Image | FileRole::Other => {}
            },
            K::Discover(asking) if asking.ipxe => self.loaded = true,
            K::Discover(asking) if !asking.firmware => self.booted = true,
            K::Request { asking, .. } if !asking.firmware => self.booted = true,
            K::Script { .. } | K::Lookup | K::Heartbeat { .. } => self.booted = true,
            _ => {}
        }
    }
}

/// All that was seen between one power on and the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt<'e> {
    /// What was seen, in order.
    pub entries: &'e [Entry],
    /// What it was switched on to boot; none: it was not switched on by the service, or that is not kept any more.
    pub intent: Option<BootIntent>,
    /// The rounds, as ranges of `entries`; at least one.
    pub rounds: Vec<Range<usize>>,
}

impl<'e> Attempt<'e> {
    fn of(entries: &'e [Entry]) -> Option<Self> {
        let intent = match entries.first()?.told.kind {
            K::PowerOn { intent } => Some(intent),
            _ => None,
        };
        let mut rounds = Vec::new();
        let (mut first, mut round) = (0, Round::default());
        for (index, entry) in entries.iter().enumerate() {
            if index > first && round.ends_before(&entry.told.kind) {
                rounds.push(first..index);
                (first, round) = (index, Round::default());
            }
            round.note(&entry.told.kind);
        }
        rounds.push(first..entries.len());
        Some(Self { entries, intent, rounds })
    }

    /// When it began.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.entries.first().map(|entry| entry.at)
    }

    /// The entries of the last round.
    pub fn last_round(&self) -> &'e [Entry] {
        self.rounds.last().and_then(|round| self.entries.get(round.clone())).unwrap_or_default()
    }
}

/// The attempts in what is kept of a node, oldest first.
pub fn attempts(entries: &[Entry]) -> Vec<Attempt<'_>> {
    let mut starts: Vec<usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| matches!(entry.told.kind, K::PowerOn { .. }))
        .map(|(index, _)| index)
        .collect();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([entries.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| Attempt::of(entries.get(*start..end)?)).collect()
}
