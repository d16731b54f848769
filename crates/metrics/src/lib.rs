//! Counts and durations of the process, and the text in which Prometheus reads them (its text exposition format 0.0.4).
//!
//! A crate that measures has statics of [`Counter`], [`Gauge`] and [`Histogram`] and a list of them; who serves the text puts the lists
//! together. Knows no clock and no registry: what is not in a list is not shown.

mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use text::{Sample, gauge};

/// Upper bounds of the durations that histograms tell apart, in microseconds with their text in seconds: from a
/// millisecond, which a request takes, to an hour, which a step takes.
const BOUNDS: [(u64, &str); 14] = [
    (1_000, "0.001"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
    (60_000_000, "60"),
    (300_000_000, "300"),
    (1_800_000_000, "1800"),
    (3_600_000_000, "3600"),
];
/// Series of one family; further label values are counted together as `other`.
const MOST_SERIES: usize = 1000;
/// What stands in for label values beyond that.
const OTHER: &str = "other";

/// A family that can be shown.
pub trait Exposed: Sync {
    /// Appends its text.
    fn write(&self, out: &mut String);
}

/// Series by their label values.
#[derive(Debug)]
struct Series<T> {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    /// In the order of the label values, which are compared without being copied.
    known: Mutex<Vec<(Vec<String>, Arc<T>)>>,
}

impl<T: Default> Series<T> {
    const fn new(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, help, labels, known: Mutex::new(Vec::new()) }
    }

    fn of(&self, values: &[&str]) -> Arc<T> {
        debug_assert_eq!(values.len(), self.labels.len(), "{}", self.name);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |known: &[(Vec<String>, Arc<T>)], values: &[&str]| {
            known.binary_search_by(|(key, _)| key.iter().map(String::as_str).cmp(values.iter().copied()))
        };
        let mut found = place(&known, values);
        let others;
        let mut values = values;
        if found.is_err() && known.len() >= MOST_SERIES {
            others = vec![OTHER; values.len()];
            values = &others;
            found = place(&known, values);
        }
        match found {
            Ok(index) => Arc::clone(&known[index].1),
            Err(index) => {
                let series = Arc::<T>::default();
                let key = values.iter().map(|value| (*value).to_owned()).collect();
                known.insert(index, (key, Arc::clone(&series)));
                series
            }
        }
    }

    fn all(&self) -> Vec<(Vec<String>, Arc<T>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

/// Things that happened.
#[derive(Debug)]
pub struct Counter(Series<AtomicU64>);

impl Counter {
    /// A family; `name` ends in `_total`.
    pub const fn new(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self(Series::new(name, help, labels))
    }

    /// One more with these label values, in the order of the labels.
    pub fn add(&self, values: &[&str]) {
        self.add_many(values, 1);
    }

    /// So many more.
    pub fn add_many(&self, values: &[&str], count: u64) {
        self.0.of(values).fetch_add(count, Ordering::Relaxed);
    }
}

/// How long things took.
#[derive(Debug)]
pub struct Histogram(Series<Durations>);

#[derive(Debug, Default)]
struct Durations {
    /// How many were within each bound and above the one before.
    within: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// A family; `name` ends in `_seconds`.
    pub const fn new(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self(Series::new(name, help, labels))
    }

    /// Something with these label values took so long.
    pub fn observe(&self, values: &[&str], took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let durations = self.0.of(values);
        if let Some(index) = BOUNDS.iter().position(|(bound, _)| micros <= *bound) {
            durations.within[index].fetch_add(1, Ordering::Relaxed);
        }
        durations.micros.fetch_add(micros, Ordering::Relaxed);
        durations.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many there are now.
#[derive(Debug)]
pub struct Gauge(Series<AtomicU64>);

/// One that is counted as long as this lives.
#[derive(Debug)]
pub struct Present(Arc<AtomicU64>);

impl Gauge {
    /// A family.
    pub const fn new(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self(Series::new(name, help, labels))
    }

    /// One more with these label values, until the answer is dropped.
    pub fn enter(&self, values: &[&str]) -> Present {
        let present = Present(self.0.of(values));
        present.0.fetch_add(1, Ordering::Relaxed);
        present
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Appends a family that has a number for each series.
fn write_numbers(series: &Series<AtomicU64>, kind: &str, out: &mut String) {
    let Series { name, help, labels, .. } = series;
    text::head(out, name, help, kind);
    for (values, count) in series.all() {
        let count = count.load(Ordering::Relaxed).to_string();
        text::line(out, name, &text::labels(labels, &values), &count);
    }
}

impl Exposed for Gauge {
    fn write(&self, out: &mut String) {
        write_numbers(&self.0, "gauge", out);
    }
}

impl Exposed for Counter {
    fn write(&self, out: &mut String) {
        write_numbers(&self.0, "counter", out);
    }
}

impl Exposed for Histogram {
    fn write(&self, out: &mut String) {
        let Series { name, help, labels, .. } = self.0;
        text::head(out, name, help, "histogram");
        let bucket = format!("{name}_bucket");
        for (values, durations) in self.0.all() {
            let shown = text::labels(labels, &values);
            let mut within = 0;
            for ((_, bound), count) in BOUNDS.iter().zip(&durations.within) {
                within += count.load(Ordering::Relaxed);
                text::line(out, &bucket, &text::and(&shown, "le", bound), &within.to_string());
            }
            // Read last: it may have grown since, and must not be below a bucket.
            let count = durations.count.load(Ordering::Relaxed).max(within).to_string();
            text::line(out, &bucket, &text::and(&shown, "le", "+Inf"), &count);
            let micros = durations.micros.load(Ordering::Relaxed);
            let sum = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            text::line(out, &format!("{name}_sum"), &shown, &sum);
            text::line(out, &format!("{name}_count"), &shown, &count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_as_text() {
        static BOOTS: Counter = Counter::new("boots_total", "Boots.", &["kind", "file"]);
        BOOTS.add(&["tftp", "a\"b\\c\n"]);
        BOOTS.add_many(&["http", "x"], 4);
        BOOTS.add(&["http", "x"]);
        let mut text = String::new();
        BOOTS.write(&mut text);
        let expected = "# HELP boots_total Boots.\n# TYPE boots_total counter\n\
            boots_total{kind=\"http\",file=\"x\"} 5\nboots_total{kind=\"tftp\",file=\"a\\\"b\\\\c\\n\"} 1\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn gauges_count_what_is_there() {
        static GUESTS: Gauge = Gauge::new("guests", "Guests.", &["room"]);
        let first = GUESTS.enter(&["blue"]);
        let _second = GUESTS.enter(&["blue"]);
        drop(first);
        drop(GUESTS.enter(&["red"]));
        let mut text = String::new();
        GUESTS.write(&mut text);
        let expected =
            "# HELP guests Guests.\n# TYPE guests gauge\nguests{room=\"blue\"} 1\nguests{room=\"red\"} 0\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn histograms_as_text() {
        static TOOK: Histogram = Histogram::new("took_seconds", "How long.", &["what"]);
        for micros in [900, 1_000, 2_000_000, 4_000_000_000] {
            TOOK.observe(&["x"], Duration::from_micros(micros));
        }
        let mut text = String::new();
        TOOK.write(&mut text);
        for line in [
            "took_seconds_bucket{what=\"x\",le=\"0.001\"} 2",
            "took_seconds_bucket{what=\"x\",le=\"1\"} 2",
            "took_seconds_bucket{what=\"x\",le=\"5\"} 3",
            "took_seconds_bucket{what=\"x\",le=\"3600\"} 3",
            "took_seconds_bucket{what=\"x\",le=\"+Inf\"} 4",
            "took_seconds_sum{what=\"x\"} 4002.001900",
            "took_seconds_count{what=\"x\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn label_values_without_end_are_counted_together() {
        static MANY: Counter = Counter::new("many_total", "Many.", &["number"]);
        for number in 0..MOST_SERIES + 5 {
            MANY.add(&[&number.to_string()]);
        }
        let mut text = String::new();
        MANY.write(&mut text);
        assert!(text.contains("many_total{number=\"other\"} 5\n"), "{text}");
        assert_eq!(text.lines().count(), 2 + MOST_SERIES + 1);
    }
}
