//! Shows several machines' progress: a moving bar each on a terminal, plain lines elsewhere.

use crate::life::Update;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The rows, one per machine.
pub(crate) struct Board {
    start: Instant,
    bars: Option<MultiProgress>,
    rows: Mutex<BTreeMap<String, Row>>,
}

struct Row {
    bar: Option<ProgressBar>,
    shown: String,
}

impl Board {
    /// For the machines of these names.
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        let rows = names
            .map(|name| {
                let bar = bars.as_ref().map(|bars| {
                    let bar = bars.add(ProgressBar::no_length());
                    bar.set_style(
                        ProgressStyle::with_template("{elapsed_precise} {prefix:6} {msg}")
                            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                    );
                    bar.set_prefix(name.clone());
                    bar.enable_steady_tick(Duration::from_secs(1));
                    bar
                });
                (name, Row { bar, shown: String::new() })
            })
            .collect();
        Self { start: Instant::now(), bars, rows: Mutex::new(rows) }
    }

    /// Shows a machine's news.
    pub(crate) fn update(&self, machine: &str, update: &Update) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = rows.get_mut(machine) else { return };
        let text = format!("{:8} {}{}", update.phase, update.state, bytes(update.bytes));
        match &row.bar {
            Some(bar) => bar.set_message(text),
            // Without a terminal a line per change; the number of bytes alone is none.
            None if row.shown != format!("{}{}", update.phase, update.state) => {
                row.shown = format!("{}{}", update.phase, update.state);
                crate::say(&format!("{:7.1} s  {machine:6} {text}", self.start.elapsed().as_secs_f64()));
            }
            None => {}
        }
    }

    /// Says something above the bars.
    pub(crate) fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| crate::say(text)),
            None => crate::say(text),
        }
    }

    /// Leaves the last state on the screen.
    pub(crate) fn finish(&self) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in rows.values().filter_map(|row| row.bar.as_ref()) {
            bar.abandon();
        }
    }
}

fn bytes(bytes: Option<(u64, Option<u64>)>) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        None => String::new(),
        Some((done, None | Some(0))) => format!("  {} MiB", done / MIB),
        Some((done, Some(total))) => {
            format!("  {} of {} MiB ({} %)", done / MIB, total / MIB, done.min(total) * 100 / total)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_mebibytes() {
        assert_eq!(bytes(None), "");
        assert_eq!(bytes(Some((3 << 20, None))), "  3 MiB");
        assert_eq!(bytes(Some((48 << 20, Some(96 << 20)))), "  48 of 96 MiB (50 %)");
        assert_eq!(bytes(Some((5, Some(0)))), "  0 MiB");
    }
}
