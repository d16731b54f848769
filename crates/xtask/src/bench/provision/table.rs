//! The tables: Markdown for people, and the same as JSON.

use super::super::Store;
use super::super::report::short;
use super::Measured;
use super::lives::Lived;
use super::waiting::Waited;
use crate::demo::load_average;
use std::fmt::Write as _;

/// What was measured, where.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report<'m> {
    store: Store,
    processors: usize,
    load_average: String,
    #[serde(flatten)]
    measured: &'m Measured,
}

impl<'m> Report<'m> {
    pub(super) fn new(store: Store, measured: &'m Measured) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { store, processors, load_average: load_average(), measured }
    }

    /// The tables.
    pub(super) fn markdown(&self) -> String {
        let Self { store, processors, load_average, measured } = self;
        let mut text = format!("{store:?}, {processors} processors, load {load_average}\n\n");
        lives(&mut text, measured);
        if let Some(waited) = &measured.waiting {
            waiting(&mut text, waited);
        }
        text
    }
}

fn lives(text: &mut String, measured: &Measured) {
    let rows = [
        ("fake hardware", median(&measured.ours)),
        ("fake hardware, stock Ironic", median(&measured.ironic)),
        ("simulated fleet, cleaned", measured.fleet),
    ];
    if rows.iter().all(|(_, lived)| lived.is_none()) {
        return;
    }
    text.push_str(
        "| lives | count | seconds | lives a minute | CPU ms a life | with the database | lives per CPU second | \
         looks at lists | orders repeated |\n| --- | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for (name, lived) in &rows {
        let Some(lived) = lived else { continue };
        let cells = [
            (*name).to_owned(),
            lived.lives.to_string(),
            short(lived.seconds),
            short(count(lived.lives) / lived.seconds * 60.0),
            short(lived.cpu / count(lived.lives) * 1e3),
            short(lived.cpu_all / count(lived.lives) * 1e3),
            short(count(lived.lives) / lived.cpu_all),
            lived.looks.to_string(),
            lived.repeated.to_string(),
        ];
        row(text, &cells);
    }
    if let [(_, Some(ours)), (_, Some(ironic)), _] = &rows {
        let per_life = |lived: &Lived| lived.cpu_all / count(lived.lives);
        let times = short(per_life(ironic) / per_life(ours));
        // Writing to a String does not fail.
        let _ = writeln!(text, "\nPer CPU second, {times} times as many lives as the stock Ironic.");
    }
    text.push('\n');
}

fn waiting(text: &mut String, waited: &Waited) {
    text.push_str(
        "| machines that wait | seconds | heartbeats a second | share of a processor | with the database | \
         MiB at start | MiB | of it not mapped files | reads of a node, p50/p99 ms |\n\
         | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    let mib = |kib: u64| (kib / 1024).to_string();
    let cells = [
        waited.machines.to_string(),
        short(waited.seconds),
        short(count(usize::try_from(waited.heartbeats).unwrap_or_default()) / waited.seconds),
        short(waited.cpu / waited.seconds),
        short(waited.cpu_all / waited.seconds),
        mib(waited.idle_kib),
        mib(waited.resident_kib),
        mib(waited.anonymous_kib),
        format!("{} / {}", short(waited.p50_ms), short(waited.p99_ms)),
    ];
    row(text, &cells);
}

fn row(text: &mut String, cells: &[String]) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// The round in the middle, by processor time.
fn median(rounds: &[Lived]) -> Option<Lived> {
    let mut rounds = rounds.to_vec();
    rounds.sort_unstable_by(|one, other| one.cpu_all.total_cmp(&other.cpu_all));
    rounds.get(rounds.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_a_cell_for_each_title() {
        let lived = |cpu| Lived { lives: 100, seconds: 10.0, cpu, cpu_all: cpu, looks: 40, repeated: 0 };
        let waited = Waited {
            machines: 10_000,
            seconds: 60.0,
            heartbeats: 4440,
            cpu: 12.0,
            cpu_all: 15.0,
            idle_kib: 20_480,
            resident_kib: 204_800,
            anonymous_kib: 102_400,
            reads: 3000,
            p50_ms: 0.5,
            p99_ms: 2.0,
        };
        let measured = Measured {
            ours: vec![lived(9.0), lived(1.0), lived(2.0)],
            ironic: vec![lived(50.0)],
            fleet: Some(lived(3.0)),
            waiting: Some(waited),
        };
        let text = Report::new(Store::Sqlite, &measured).markdown();
        let mut cells = 0;
        for line in text.lines() {
            let here = line.matches('|').count();
            assert!(here == 0 || cells == 0 || here == cells, "{text}");
            cells = here;
        }
        assert!(text.contains("| fake hardware | 100 | 10.0 | 600 | 20.0 | 20.0 | 50.0 |"), "{text}");
        assert!(text.contains("25.0 times as many lives"), "{text}");
        assert!(
            text.contains("| 10000 | 60.0 | 74.0 | 0.200 | 0.250 | 20 | 200 | 100 | 0.500 / 2.00 |"),
            "{text}"
        );
    }
}
