//! `cargo xtask bench provision`: how much work the conductor gets done, beside a stock Ironic.
//!
//! Three things: whole lives on fake hardware, ours and Ironic's in turns; whole lives with cleaning on a simulated fleet,
//! over the real protocols; and many machines that wait with an agent at work. The client and the fleet are processes of
//! their own, so that their processor time is not the service's. Nothing here fails because something is slow.

mod lives;
mod site;
mod table;
mod waiting;

use super::Store;
use super::load::Target;
use super::usage;
use crate::build;
use crate::postgres::Postgres;
use crate::say;
use crate::servers::{Ours, Peer, Scratch};
use anyhow::{Context as _, Result, ensure};
use lab::LabDir;
use lives::{Course, Lived};
use site::Site;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use waiting::{Waited, Watch};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Whole lives on fake hardware
    Fake,
    /// Whole lives with cleaning on a simulated fleet
    Fleet,
    /// Machines that wait, with an agent at work
    Waiting,
}

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProvisionOptions {
    /// Lives of a round on fake hardware, and machines of the fleet
    #[arg(long, default_value_t = 1000)]
    lives: usize,
    /// Machines that wait
    #[arg(long, default_value_t = 10_000)]
    waiting: usize,
    /// Where our service keeps its records
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// Measure lives of a stock Ironic, too
    #[arg(long)]
    peer: bool,
    /// Lives of a round of the stock Ironic
    #[arg(long, default_value_t = 40)]
    peer_lives: usize,
    /// How often the lives on fake hardware are repeated
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long waiting machines are watched
    #[arg(long, default_value_t = 180.0)]
    seconds: f64,
    /// What agents are told: they call every 0.3 to 0.6 of so many seconds
    #[arg(long, default_value_t = 300)]
    heartbeat_timeout: u64,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Write what was measured to this file, as JSON
    #[arg(long)]
    report: Option<PathBuf>,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
    /// A few dozen lives: shows that every part works, measures nothing
    #[arg(long)]
    pub(super) smoke: bool,
    /// Leave the servers' folders, with their logs
    #[arg(long)]
    keep: bool,
}

impl ProvisionOptions {
    /// All parts, each with a few machines.
    pub(crate) fn smoke() -> Self {
        Self {
            lives: 24,
            waiting: 12,
            store: Store::Sqlite,
            peer: false,
            peer_lives: 0,
            rounds: 1,
            seconds: 0.0,
            heartbeat_timeout: 10,
            only: Vec::new(),
            report: None,
            service: None,
            smoke: true,
            keep: false,
        }
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// Everything.
#[derive(Debug, Default, serde::Serialize)]
struct Measured {
    ours: Vec<Lived>,
    ironic: Vec<Lived>,
    fleet: Option<Lived>,
    waiting: Option<Waited>,
}

/// Starts the servers, measures, prints.
pub(crate) fn run(dir: &LabDir, options: &ProvisionOptions) -> Result<()> {
    let mut options = options.clone();
    if options.smoke {
        options =
            ProvisionOptions { keep: options.keep, service: options.service, ..ProvisionOptions::smoke() };
    }
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let scratch = Scratch::new(dir, "bench-provision", options.keep)?;
    let bench = Bench { dir, options: &options, binary: &binary, folder: &scratch.folder };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut measured = Measured::default();
    if options.wants(Part::Fake) {
        (measured.ours, measured.ironic) = runtime.block_on(bench.fake())?;
    }
    if options.wants(Part::Fleet) {
        measured.fleet = Some(runtime.block_on(bench.fleet())?);
    }
    if options.wants(Part::Waiting) {
        measured.waiting = Some(runtime.block_on(bench.waiting())?);
    }
    let report = table::Report::new(options.store, &measured);
    println!("{}", report.markdown());
    let Some(file) = &options.report else { return Ok(()) };
    crate::demo::write_report(file, &serde_json::to_value(&report)?)
}

struct Bench<'b> {
    dir: &'b LabDir,
    options: &'b ProvisionOptions,
    binary: &'b Path,
    folder: &'b Path,
}

impl Bench<'_> {
    /// An empty store of its own for `part`.
    fn store(&self, part: &str) -> Result<Option<Postgres>> {
        match self.options.store {
            Store::Sqlite => Ok(None),
            Store::Postgres => Postgres::start(&self.folder.join(part).join("postgres")).map(Some),
        }
    }

    /// Ours and Ironic's lives, in turns.
    async fn fake(&self) -> Result<(Vec<Lived>, Vec<Lived>)> {
        let peer = if self.options.peer { Some(self.peer()?) } else { None };
        let postgres = self.store("fake")?;
        let url = postgres.as_ref().map(Postgres::url);
        let service = Ours::start(self.binary, &self.folder.join("fake"), url.as_deref()).await?;
        let ours = target("ours", service.port, service.pid(), postgres.as_ref());
        let ironic = match &peer {
            Some(peer) => Some(target("ironic", peer.port, peer.pid()?, None)),
            None => None,
        };
        let (mut of_ours, mut of_ironic) = (Vec::new(), Vec::new());
        // Once without measuring: statements are prepared, pages are read, modules are loaded.
        let warm = Course::fake(self.options.lives.min(8), 8);
        lives::live(&ours, &warm).await?;
        if let Some(ironic) = &ironic {
            lives::live(ironic, &warm).await?;
        }
        for round in 1..=self.options.rounds {
            say(&format!("round {round}: lives on fake hardware"));
            of_ours.push(lives::live(&ours, &Course::fake(self.options.lives, lives::AT_ONCE)).await?);
            if let Some(ironic) = &ironic {
                let course = Course::fake(self.options.peer_lives, lives::PEER_AT_ONCE);
                of_ironic.push(lives::live(ironic, &course).await?);
            }
        }
        Ok((of_ours, of_ironic))
    }

    fn peer(&self) -> Result<Peer> {
        let extra = self.folder.join("ironic-extra.conf");
        fs::write(&extra, super::stock::PEER_CONFIGURATION)
            .with_context(|| format!("write {}", extra.display()))?;
        Peer::start(self.dir, self.folder.join("ironic"), Some(extra))
    }

    /// Lives with cleaning on the simulated fleet.
    async fn fleet(&self) -> Result<Lived> {
        say("lives on a simulated fleet");
        let postgres = self.store("fleet")?;
        let url = postgres.as_ref().map(Postgres::url);
        let settings = site::Settings {
            database: url.as_deref(),
            heartbeat_timeout: self.options.heartbeat_timeout,
            erase_priority: 0,
        };
        let site = Site::start(self.binary, &self.folder.join("fleet"), &settings).await?;
        let fleet = site.fleet(self.options.lives, site::Pace::Hurried)?;
        let target = target("ours", site.port(), site.pid(), postgres.as_ref());
        let course = Course::on_fleet(&fleet.machines, site.instance());
        let lived = lives::live(&target, &course).await?;
        ensure!(site.images_served() == 1, "one image is fetched once, not {} times", site.images_served());
        Ok(lived)
    }

    /// Machines that wait.
    async fn waiting(&self) -> Result<Waited> {
        say("machines that wait");
        let postgres = self.store("waiting")?;
        let url = postgres.as_ref().map(Postgres::url);
        let settings = site::Settings {
            database: url.as_deref(),
            heartbeat_timeout: self.options.heartbeat_timeout,
            erase_priority: 10,
        };
        let site = Site::start(self.binary, &self.folder.join("waiting"), &settings).await?;
        let idle_kib = usage::memory(site.pid())?.resident;
        let fleet = site.fleet(self.options.waiting, site::Pace::Endless)?;
        let target = target("ours", site.port(), site.pid(), postgres.as_ref());
        waiting::gather(&target, &fleet.machines, &site.instance()).await?;
        let watch =
            Watch { length: Duration::from_secs_f64(self.options.seconds), pid: site.pid(), idle_kib };
        waiting::watch(&target, &fleet.machines, &watch).await
    }
}

fn target(name: &'static str, port: u16, pid: u32, postgres: Option<&Postgres>) -> Target {
    let mut trees = vec![pid];
    trees.extend(postgres.map(Postgres::pid));
    Target::new(name, port, trees)
}
