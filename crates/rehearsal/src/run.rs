//! Many lives: each by itself, on as many threads as wanted, with one summary that does not depend on their number.

use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

use model::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::checker::Breach;
use crate::life::Life;
use crate::log::LogHash;
use crate::options::Options;
use crate::tally::Tally;

/// Lives that a thread takes at a time.
const BATCH: u32 = 64;

/// Broken rules that a summary tells of.
const TOLD: usize = 10;

/// A rule that did not hold in one life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLife {
    /// The node.
    pub node: u32,
    /// When, in virtual time since the beginning of the life.
    pub at: Timestamp,
    /// What.
    pub breach: Breach,
    /// The last lines of the life's log.
    pub lines: Vec<String>,
}

/// What became of many lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How many lives.
    pub nodes: u32,
    /// Everything that was counted.
    pub tally: Tally,
    /// The hash of all logs, in the order of the nodes: equal for equal options, on every machine.
    pub hash: LogHash,
    /// How many broke a rule.
    pub broken: u32,
    /// The first of them, by the number of the node.
    pub told: Vec<BrokenLife>,
}

/// The life of one node, with its whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Every line.
    pub lines: Vec<String>,
    /// The hash of the log.
    pub hash: LogHash,
    /// The rule that it broke, if it broke one.
    pub breach: Option<Breach>,
}

/// Lives one node's life again and keeps its whole log.
pub fn replay(options: &Options, node: u32) -> Replay {
    let ended = Life::new(options, node, true).live();
    Replay { lines: ended.lines, hash: ended.hash, breach: ended.breach.map(|(breach, _)| breach) }
}

/// What one thread has gathered.
#[derive(Default)]
struct Gathered {
    tally: Tally,
    hashes: Vec<(u32, LogHash)>,
    broken: u32,
    told: Vec<BrokenLife>,
}

impl Gathered {
    fn live(&mut self, options: &Options, node: u32) {
        let ended = Life::new(options, node, false).live();
        self.tally.add(&ended.tally);
        self.hashes.push((node, ended.hash));
        if let Some((breach, at)) = ended.breach {
            self.broken += 1;
            self.told.push(BrokenLife { node, at, breach, lines: ended.lines });
            self.told.sort_by_key(|broken| broken.node);
            self.told.truncate(TOLD);
        }
    }

    fn add(&mut self, mut other: Self) {
        self.tally.add(&other.tally);
        self.hashes.append(&mut other.hashes);
        self.broken += other.broken;
        self.told.append(&mut other.told);
        self.told.sort_by_key(|broken| broken.node);
        self.told.truncate(TOLD);
    }
}

/// Lives all lives on `threads` threads.
pub fn run(options: &Options, threads: usize) -> Summary {
    let next = AtomicU32::new(0);
    let all = Mutex::new(Gathered::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut own = Gathered::default();
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= options.nodes {
                        break;
                    }
                    (first..first.saturating_add(BATCH).min(options.nodes))
                        .for_each(|node| own.live(options, node));
                }
                all.lock().unwrap_or_else(PoisonError::into_inner).add(own);
            });
        }
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.hashes.sort_unstable();
    let mut hash = Sha256::new();
    for (_, life) in &all.hashes {
        hash.update(life);
    }
    Summary {
        nodes: options.nodes,
        tally: all.tally,
        hash: hash.finalize().into(),
        broken: all.broken,
        told: all.told,
    }
}

/// A hash as people compare it.
pub fn hex(hash: &LogHash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(f, "{} lives, {} days of virtual time", self.nodes, tally.seconds / 86_400)?;
        writeln!(
            f,
            "{} events, {} decisions recorded, {} actions begun",
            tally.events, tally.turns, tally.effects
        )?;
        for (title, counts) in [
            ("ended in", &tally.ends),
            ("states reached", &tally.states),
            ("callers asked for", &tally.callers),
            ("conductors", &tally.conductors),
            ("faults", &tally.faults),
        ] {
            writeln!(f, "{title}:")?;
            for (name, count) in counts {
                writeln!(f, "  {count:>10} {name}")?;
            }
        }
        writeln!(f, "log hash: {}", hex(&self.hash))?;
        match self.broken {
            0 => writeln!(f, "every rule held"),
            broken => writeln!(f, "{broken} LIVES BROKE A RULE"),
        }
    }
}
