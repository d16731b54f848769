//! The log of one life: its hash, and its last lines, or all of them.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};

use model::Timestamp;
use sha2::{Digest as _, Sha256};

/// Lines that are kept of a life, for the report of a breach.
const KEPT: usize = 60;

/// The hash of a log.
pub(crate) type LogHash = [u8; 32];

#[derive(Debug)]
pub(crate) struct Log {
    hash: Sha256,
    lines: VecDeque<String>,
    whole: bool,
}

impl Log {
    /// Keeps the last lines, or the `whole` log.
    pub(crate) fn new(whole: bool) -> Self {
        Self { hash: Sha256::new(), lines: VecDeque::new(), whole }
    }

    /// One line; `at` counts from the beginning of the life.
    pub(crate) fn line(&mut self, at: Timestamp, text: fmt::Arguments<'_>) {
        let full = !self.whole && self.lines.len() >= KEPT;
        let mut line = if full { self.lines.pop_front().unwrap_or_default() } else { String::new() };
        line.clear();
        let micros = at.as_micros();
        // Writing to a string cannot fail.
        let _ = write!(line, "{:>7}.{:06} {text}", micros / 1_000_000, micros % 1_000_000);
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.lines.push_back(line);
    }

    pub(crate) fn finish(self) -> (LogHash, Vec<String>) {
        (self.hash.finalize().into(), self.lines.into())
    }
}
