//! `cargo xtask bench`: how fast the API and the conductor are, beside a stock Ironic and beside the least that any server could do.
//!
//! All servers run on this machine and are asked in turns (ours, the floor, Ironic, and again), so that whatever else
//! the machine does falls on all of them. What is judged is a ratio of processor time; wall-clock times are shown with
//! it. Nothing here fails because something is slow.

mod floor;
mod floor_store;
mod load;
mod measure;
mod power;
mod provision;
mod report;
mod rows;
mod stock;
mod usage;

use crate::build::{self, cargo};
use crate::postgres::Postgres;
use crate::process::{self, quiet};
use crate::say;
use crate::servers::{Ours, Peer, Scratch};
use anyhow::{Context as _, Result};
use floor::Floor;
use lab::LabDir;
use load::Target;
use measure::Plan;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What can be measured.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// The API: single objects, lists, walks, filters, writes, what agents send
    Api(ApiOptions),
    /// How long looking at the power of thousands of machines takes, and what dead ones cost the others
    PowerSync(power::PowerOptions),
    /// The conductor: whole lives, and machines that wait
    Provision(provision::ProvisionOptions),
    /// The floor's server: what the other servers are measured against
    #[command(hide = true)]
    Floor(floor::FloorOptions),
}

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ApiOptions {
    /// Nodes in the store, with two ports each
    #[arg(long, default_value_t = 10_000)]
    nodes: usize,
    /// Where our service keeps its records
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// Measure a stock Ironic beside it
    #[arg(long)]
    peer: bool,
    /// How often each server has its turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a turn is
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only rows whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write what was measured to this file, as JSON
    #[arg(long)]
    report: Option<PathBuf>,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
    /// A few nodes and short turns: shows that every row works, measures nothing
    #[arg(long)]
    smoke: bool,
    /// Leave the servers' folders, with their logs
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Store {
    Sqlite,
    Postgres,
}

impl ApiOptions {
    /// All rows, each for a moment.
    pub(crate) fn smoke() -> Self {
        Self {
            nodes: 300,
            store: Store::Sqlite,
            peer: false,
            rounds: 1,
            seconds: 0.05,
            only: Vec::new(),
            report: None,
            service: None,
            smoke: true,
            keep: false,
        }
    }
}

/// Runs a command.
pub(crate) fn run(dir: &LabDir, command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Floor(options) => floor::run(options),
        BenchCommand::Api(options) if options.smoke || !cfg!(debug_assertions) => api(dir, options),
        BenchCommand::PowerSync(options) if !cfg!(debug_assertions) => power::run(dir, options),
        BenchCommand::Provision(options) if options.smoke || !cfg!(debug_assertions) => {
            provision::run(dir, options)
        }
        BenchCommand::Api(_) | BenchCommand::PowerSync(_) | BenchCommand::Provision(_) => again_optimised(),
    }
}

/// Shows that everything works that is measured of the API and of the conductor.
pub(crate) fn smoke(dir: &LabDir) -> Result<()> {
    api(dir, &ApiOptions::smoke())?;
    provision::run(dir, &provision::ProvisionOptions::smoke())
}

/// The load comes from this program: it must not be what is slow.
fn again_optimised() -> Result<()> {
    let arguments = std::env::args_os().skip(1);
    process::run(cargo().args(["run", "--quiet", "--release", "--package", "xtask", "--"]).args(arguments))
}

/// Starts the servers, measures, prints.
fn api(dir: &LabDir, options: &ApiOptions) -> Result<()> {
    let quick = ApiOptions::smoke();
    let mut options = options.clone();
    if options.smoke {
        (options.nodes, options.rounds, options.seconds) = (quick.nodes, quick.rounds, quick.seconds);
    }
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let scratch = Scratch::new(dir, "bench", options.keep)?;
    let postgres = match options.store {
        Store::Sqlite => None,
        Store::Postgres => Some(Postgres::start(&scratch.folder.join("postgres"))?),
    };
    let peer = if options.peer { Some(start_peer(dir, &scratch.folder, options.nodes)?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ours = scratch.folder.join("wrought");
        let url = postgres.as_ref().map(Postgres::url);
        let database = stock::fill(&ours, url.as_deref(), options.nodes).await?;
        let floor = Floor::start(&scratch.folder, &database, url.as_deref())?;
        let service = Ours::start(&binary, &ours, url.as_deref()).await?;
        stock::put_agents_to_work(&ours, url.as_deref(), options.nodes).await?;
        let mut trees = vec![service.pid()];
        trees.extend(postgres.as_ref().map(Postgres::pid));
        let targets = Targets {
            ours: Target::new("ours", service.port, trees),
            floor: Target::new("floor", floor.port(), vec![floor.pid()]),
            peer: peer
                .as_ref()
                .map(|peer| Ok::<_, anyhow::Error>(Target::new("ironic", peer.port, vec![peer.pid()?])))
                .transpose()?,
        };
        let plan = Plan {
            rounds: options.rounds,
            turn: Duration::from_secs_f64(options.seconds),
            nodes: options.nodes,
            only: options.only.clone(),
        };
        let measured = measure::all(&targets, &plan).await?;
        tell(&options, &measured)
    })
}

/// The servers under load.
struct Targets {
    ours: Target,
    floor: Target,
    peer: Option<Target>,
}

fn tell(options: &ApiOptions, measured: &measure::Measured) -> Result<()> {
    let report = report::Report::new(options.nodes, options.store, measured);
    println!("{}", report.markdown());
    let Some(file) = &options.report else { return Ok(()) };
    crate::demo::write_report(file, &serde_json::to_value(&report)?)
}

/// A stock Ironic with as many nodes. They are put into its store directly: by its API it would take an hour.
fn start_peer(dir: &LabDir, folder: &Path, nodes: usize) -> Result<Peer> {
    let extra = folder.join("ironic-extra.conf");
    fs::write(&extra, stock::PEER_CONFIGURATION).with_context(|| format!("write {}", extra.display()))?;
    let peer = Peer::start(dir, folder.join("ironic"), Some(extra))?;
    say("filling the stock Ironic's store");
    let mut fill = peer.python("peer/fill.py");
    fill.arg(format!("http://127.0.0.1:{}", peer.port)).arg(peer.database()).arg(nodes.to_string());
    fill.arg(stock::AT_WORK.to_string());
    quiet(&mut fill).context("fill the stock Ironic's store")?;
    Ok(peer)
}
