//! `cargo xtask bench power-sync`: how long the service takes to look at the power of thousands of machines, what that costs,
//! and what dead BMCs among them cost the others.
//!
//! The BMCs are simulated, in this process, and speak IPMI over UDP. They take their time over every datagram, one after
//! the other, and note whether somebody asks before an answer is given. The service is measured from outside.

use super::usage::processor_time;
use crate::api::Client;
use crate::servers::{Ours, Scratch};
use crate::{build, fleet, say};
use anyhow::{Context as _, Result, ensure};
use db::{DatabaseUrl, Db};
use lab::LabDir;
use model::ProvisionState;
use serde::Serialize;
use sim::{Fault, Fleet, FleetOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Datagrams that a BMC answers until its power state is known, login included, when it is asked for the second time.
const DATAGRAMS: u32 = 6;
/// Between two looks whether a sweep is over.
const LOOK: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PowerOptions {
    /// Machines
    #[arg(long, default_value_t = 3500)]
    nodes: usize,
    /// How many of their BMCs die half-way
    #[arg(long, default_value_t = 200)]
    dead: usize,
    /// Milliseconds from the first question to a BMC to its power state
    #[arg(long, default_value_t = 1500)]
    answer_ms: u64,
    /// Seconds between two sweeps. Sessions are closed after 45 s, so that each sweep logs in
    #[arg(long, default_value_t = 75)]
    interval: u64,
    /// Sweeps to measure before the BMCs die, and as many after
    #[arg(long, default_value_t = 2)]
    sweeps: usize,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
    /// Leave the service's folder, with its log
    #[arg(long)]
    keep: bool,
}

/// One sweep.
#[derive(Clone, Debug, Serialize)]
struct Row {
    what: String,
    /// Seconds until all machines that answered last time were looked at.
    sound_seconds: f64,
    /// The same for those that did not.
    doubtful_seconds: f64,
    /// Looks by what they led to.
    looks: BTreeMap<String, f64>,
    /// Mean time of a request to a BMC that answers.
    answered_ms: f64,
    /// The service's processor time since the last row.
    cpu_ms_per_node: f64,
}

/// The service's counters at one moment.
struct Counters(BTreeMap<String, f64>);

impl Counters {
    fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// How much a counter has grown since `before`.
    fn since(&self, before: &Self, name: &str) -> f64 {
        self.get(name) - before.get(name)
    }
}

/// Starts everything, measures, prints.
pub(super) fn run(dir: &LabDir, options: &PowerOptions) -> Result<()> {
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let scratch = Scratch::new(dir, "power", options.keep)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let fleet = fleet::start(FleetOptions::new(options.nodes, 1)).await?;
        let pace = Duration::from_millis(options.answer_ms) / DATAGRAMS;
        for machine in fleet.machines() {
            machine.inject_fault(Fault::SlowBmc(pace));
        }
        let folder = scratch.folder.join("wrought");
        std::fs::create_dir_all(folder.join("data"))?;
        let url = DatabaseUrl::sqlite(folder.join("data/wrought.db"));
        let db = Db::open(&db::Options::new(url)).await?;
        fleet::enroll(&db, &fleet, |_| ProvisionState::Active).await?;
        db.close().await;
        let lines = format!("sync_power_state_interval = {}\n", options.interval);
        let service = Ours::start_with(&binary, &folder, None, &lines).await?;
        let rows = Measuring::of(&service)?.sweeps(&fleet, options).await?;
        tell(&rows, &fleet, options)?;
        fleet.stop().await;
        Ok(())
    })
}

/// The service under measurement.
struct Measuring {
    client: Client,
    pid: u32,
}

impl Measuring {
    fn of(service: &Ours) -> Result<Self> {
        let client = Client::new(&format!("http://127.0.0.1:{}", service.port), None)?;
        Ok(Self { client, pid: service.pid() })
    }

    async fn sweeps(&self, fleet: &Fleet, options: &PowerOptions) -> Result<Vec<Row>> {
        let mut rows = vec![self.sweep("the first, ciphers not known", options).await?];
        for _ in 0..options.sweeps {
            rows.push(self.sweep("all alive", options).await?);
        }
        let every = options.nodes / options.dead.max(1);
        for machine in fleet.machines().iter().step_by(every.max(1)).take(options.dead) {
            machine.inject_fault(Fault::DeadBmc);
        }
        say(&format!("{} BMCs are dead from here on", options.dead));
        for number in 1..=options.sweeps {
            rows.push(self.sweep(&format!("{} dead, sweep {number}", options.dead), options).await?);
        }
        Ok(rows)
    }

    async fn counters(&self) -> Result<Counters> {
        Ok(Counters::parse(&self.client.text("/metrics").await?))
    }

    /// Waits until one more sweep is over.
    async fn sweep(&self, what: &str, options: &PowerOptions) -> Result<Row> {
        const SOUND: &str = "wrought_power_sweep_seconds_count{machines=\"sound\"}";
        const DOUBTFUL: &str = "wrought_power_sweep_seconds_count{machines=\"doubtful\"}";
        let (before, cpu) = (self.counters().await?, processor_time(self.pid)?);
        let limit = Duration::from_secs(options.interval) * 3;
        let began = Instant::now();
        let after = loop {
            let now = self.counters().await?;
            if now.since(&before, SOUND) >= 1.0 && now.since(&before, DOUBTFUL) >= 1.0 {
                break now;
            }
            ensure!(began.elapsed() < limit, "no sweep within {} s", limit.as_secs());
            tokio::time::sleep(LOOK).await;
        };
        let seconds = |machines: &str| {
            after.since(&before, &format!("wrought_power_sweep_seconds_sum{{machines=\"{machines}\"}}"))
        };
        let requests = |part: &str| {
            let name = format!("wrought_bmc_request_seconds_{part}{{protocol=\"ipmi\",outcome=\"ok\"}}");
            after.since(&before, &name)
        };
        let looks = ["agrees", "changed", "unread", "overtaken", "broken"]
            .map(|outcome| (outcome, format!("wrought_power_looks_total{{outcome=\"{outcome}\"}}")));
        let used = processor_time(self.pid)?.saturating_sub(cpu);
        let nodes = u32::try_from(options.nodes).context("too many nodes")?;
        let row = Row {
            what: what.to_owned(),
            sound_seconds: seconds("sound"),
            doubtful_seconds: seconds("doubtful"),
            looks: looks.map(|(outcome, name)| (outcome.to_owned(), after.since(&before, &name))).into(),
            answered_ms: 1000.0 * requests("sum") / requests("count").max(1.0),
            cpu_ms_per_node: 1000.0 * used.as_secs_f64() / f64::from(nodes),
        };
        say(&format!("{}: {:.1} s", row.what, row.sound_seconds));
        Ok(row)
    }
}

fn tell(rows: &[Row], fleet: &Fleet, options: &PowerOptions) -> Result<()> {
    println!("{} machines, each answering in {} ms:\n", options.nodes, options.answer_ms);
    println!("| sweep | sound, s | doubtful, s | looks | mean answer, ms | CPU ms a node |");
    println!("| --- | ---: | ---: | --- | ---: | ---: |");
    for row in rows {
        let looks: Vec<String> = row
            .looks
            .iter()
            .filter(|(_, count)| **count > 0.0)
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        let Row { what, sound_seconds, doubtful_seconds, answered_ms, cpu_ms_per_node, .. } = row;
        println!(
            "| {what} | {sound_seconds:.2} | {doubtful_seconds:.2} | {} | {answered_ms:.0} | {cpu_ms_per_node:.2} |",
            looks.join(", ")
        );
    }
    let mean = |dead: bool| {
        let of: Vec<f64> = rows
            .iter()
            .skip(1)
            .filter(|row| row.what.contains("dead") == dead)
            .map(|row| row.answered_ms)
            .collect();
        of.iter().sum::<f64>() / f64::from(u32::try_from(of.len()).unwrap_or(1).max(1))
    };
    let most = fleet.machines().iter().map(|machine| machine.most_consoles()).max().unwrap_or(0);
    println!("\nconsoles waiting for one BMC at once, at most: {most}");
    println!(
        "mean answer of those alive with {} dead: {:+.1} %",
        options.dead,
        100.0 * (mean(true) / mean(false).max(f64::MIN_POSITIVE) - 1.0)
    );
    ensure!(most <= 1, "a BMC was asked {most} things at once");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_with_their_labels() {
        let before = Counters::parse("# HELP a b\n# TYPE a counter\na{x=\"1\"} 2\nb 0.5\n");
        let after = Counters::parse("a{x=\"1\"} 5\nc{y=\"a b\"} 7\n");
        assert!((after.since(&before, "a{x=\"1\"}") - 3.0).abs() < 1e-9);
        assert!((after.since(&before, "c{y=\"a b\"}") - 7.0).abs() < 1e-9);
        assert!(after.get("nothing").abs() < 1e-9);
    }
}
