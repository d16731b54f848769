//! The table: Markdown for people, and the same as JSON.

use super::Store;
use super::measure::{Figures, Line, Measured};
use super::usage::Memory;
use crate::demo::load_average;
use std::fmt::Write as _;

/// What was measured, where.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report<'m> {
    nodes: usize,
    store: Store,
    processors: usize,
    load_average: String,
    #[serde(flatten)]
    measured: &'m Measured,
}

impl<'m> Report<'m> {
    pub(super) fn new(nodes: usize, store: Store, measured: &'m Measured) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { nodes, store, processors, load_average: load_average(), measured }
    }

    /// The table.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "{} nodes, {} ports, {:?}, {} processors, load {}\n\n",
            self.nodes,
            2 * self.nodes,
            self.store,
            self.processors,
            self.load_average
        );
        text.push_str(
            "| | per second | CPU ms | with the database | floor, CPU ms | of the floor | fixed body, CPU ms | \
             p50/p99 ms, 8 | p50/p99 ms, 64 | Ironic, CPU ms | Ironic/ours |\n\
             | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
        );
        for line in &self.measured.lines {
            row(&mut text, line);
        }
        let shown = |memory: Memory| {
            format!("{} MiB ({} MiB without pages of files)", memory.resident / 1024, memory.anonymous / 1024)
        };
        let _ = write!(
            text,
            "\nMemory: {} idle, at most {} while 8 clients walk all nodes in detail",
            shown(self.measured.idle),
            shown(self.measured.walked)
        );
        match self.measured.ironic_idle {
            Some(memory) => drop(write!(text, "; the stock Ironic {} idle.", shown(memory))),
            None => text.push('.'),
        }
        text
    }
}

fn row(text: &mut String, line: &Line) {
    let Line { name, ours, floor, fixed, ironic, crowd } = line;
    let both = |figures: &Figures| format!("{} / {}", short(figures.p50_ms), short(figures.p99_ms));
    let cpu = |figures: &Figures| short(figures.cpu_ms);
    let times = |a: f64, b: f64| if b > 0.0 { format!("{}x", short(a / b)) } else { "-".to_owned() };
    let cells = [
        (*name).to_owned(),
        short(ours.per_second),
        cpu(ours),
        short(ours.cpu_all_ms),
        cpu(floor),
        times(ours.cpu_ms, floor.cpu_ms),
        cpu(fixed),
        both(ours),
        crowd.as_ref().map_or_else(|| "-".to_owned(), both),
        ironic.as_ref().map_or_else(|| "-".to_owned(), cpu),
        ironic.as_ref().map_or_else(|| "-".to_owned(), |ironic| times(ironic.cpu_ms, ours.cpu_all_ms)),
    ];
    // Writing to a String does not fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Three digits.
pub(super) fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_cell_for_each_title() {
        let figures = Figures { per_second: 1234.0, cpu_ms: 0.05, cpu_all_ms: 0.05, ..Figures::default() };
        let ironic = Figures { cpu_ms: 15.0, ..figures };
        let line = Line {
            name: "GET a node",
            ours: figures,
            floor: Figures { cpu_ms: 0.025, ..figures },
            fixed: figures,
            ironic: Some(ironic),
            crowd: None,
        };
        let measured = Measured {
            lines: vec![line],
            idle: Memory { resident: 20_480, anonymous: 5_120 },
            walked: Memory { resident: 40_960, anonymous: 30_720 },
            ironic_idle: Some(Memory { resident: 298_000, anonymous: 250_000 }),
        };
        let text = Report::new(300, Store::Sqlite, &measured).markdown();
        let cells =
            |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().matches('|').count();
        assert_eq!(cells("| |"), cells("| GET a node"));
        assert_eq!(cells("| ---"), cells("| GET a node"));
        assert!(text.contains("| 2.00x |") && text.contains("| 300x |"), "{text}");
        let memory =
            "20 MiB (5 MiB without pages of files) idle, at most 40 MiB (30 MiB without pages of files)";
        assert!(text.contains(memory), "{text}");
    }
}
