//! `cargo xtask cluster`: one API and three conductors on one PostgreSQL, hundreds of simulated machines in the midst of being
//! deployed, cleaned and torn down, and something breaks. Each node must end where it should, nothing that destroys data
//! may happen twice, and no two conductors may work on one node.
//!
//! What is done to the site is in `trouble`, what must hold afterwards in `proof`, the orders in `work`.

mod images;
mod network;
mod proof;
mod proxy;
mod site;
mod trouble;
mod work;

use crate::servers::Scratch;
use crate::{build, say, setup};
use anyhow::{Context as _, Result};
use lab::LabDir;
use network::Ground;
use site::{Place, Site};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use trouble::Trouble;
use work::Work;

/// From the trouble to the last node's end.
const END_LIMIT: Duration = Duration::from_mins(6);

/// What to try.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClusterOptions {
    /// Machines
    #[arg(long, default_value_t = 300)]
    nodes: usize,
    /// Only these troubles, in their order
    #[arg(long, value_enum, value_delimiter = ',')]
    troubles: Vec<Trouble>,
    /// Requests go by RabbitMQ, in the place of rows of the store
    #[arg(long)]
    rabbitmq: bool,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
    /// Leave the folder with the configurations and logs when all went well
    #[arg(long)]
    keep: bool,
}

impl ClusterOptions {
    /// What every change is tried with: fewer machines, the troubles that tell most.
    pub(crate) fn brief(service: Option<PathBuf>) -> Self {
        let troubles = vec![Trouble::Kill, Trouble::Cut, Trouble::RestartStore];
        Self { nodes: 60, troubles, rabbitmq: false, service, keep: false }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let all = self.troubles.is_empty();
        let wanted = |trouble: &Trouble| {
            if all {
                *trouble != Trouble::RestartBus || self.rabbitmq
            } else {
                self.troubles.contains(trouble)
            }
        };
        Trouble::ALL.into_iter().filter(wanted).collect()
    }
}

/// How a trouble was survived.
#[derive(Debug)]
struct Row {
    trouble: Trouble,
    /// Orders under way when it came.
    under_way: usize,
    /// Of these, in the hands of the conductor that was hit.
    hit: usize,
    /// Until no flow was in a dead conductor's hands.
    taken_over: Duration,
    /// Until all nodes had ended.
    ended: Duration,
    /// Effects recorded, of which another conductor than before.
    effects: usize,
    moved: usize,
    /// Commands of BMCs that changed something.
    commands: usize,
}

/// Tries all troubles on one site. An error unless everything holds after each.
pub(crate) fn run(dir: &LabDir, options: &ClusterOptions) -> Result<()> {
    setup::ensure(dir)?;
    let binary = options.service.clone().map_or_else(build::plain_service, Ok)?;
    let mut scratch = Scratch::new(dir, "cluster", options.keep)?;
    let tried = match Ground::new(&scratch.folder) {
        Ok(ground) => ground.inside(|| try_at(&binary, &scratch, options, Place::Hosts)),
        Err(error) => {
            say(&format!(
                "no network namespaces here ({error:#}): all conductors are on this host, and one is cut off by a proxy"
            ));
            try_at(&binary, &scratch, options, Place::Together)
        }
    };
    scratch.keep_if(tried.is_err());
    tell(&tried?, options);
    Ok(())
}

fn try_at(binary: &Path, scratch: &Scratch, options: &ClusterOptions, place: Place) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            tried = try_all(binary, scratch, options, place) => tried,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    })
}

async fn try_all(
    binary: &Path,
    scratch: &Scratch,
    options: &ClusterOptions,
    place: Place,
) -> Result<Vec<Row>> {
    let mut site = Site::start(binary, &scratch.folder, options, place).await?;
    let mut rows = Vec::new();
    for trouble in options.troubles() {
        say(&format!("{trouble}: ordering"));
        let row = try_one(&mut site, trouble).await.with_context(|| trouble.to_string())?;
        say(&format!("{trouble}: all ended after {:.1} s", row.ended.as_secs_f64()));
        rows.push(row);
    }
    site.stop().await?;
    Ok(rows)
}

async fn try_one(site: &mut Site, trouble: Trouble) -> Result<Row> {
    let work = Work::order(site).await?;
    let (victim, hit) = site.busiest().await?;
    let under_way = site.flows().await?;
    let began = Instant::now();
    let mut harm = trouble.strike(site, &victim).await?;
    let mut taken_over = None;
    loop {
        let dead_hands = if harm.victim.is_some() { site.flows_of(&victim).await.unwrap_or(1) } else { 0 };
        if dead_hands == 0 {
            taken_over.get_or_insert(began.elapsed());
        }
        if harm.mend_in_time(site, taken_over.is_some()).await? && work.has_ended(site).await? {
            break;
        }
        anyhow::ensure!(
            began.elapsed() < END_LIMIT,
            "not all nodes have ended {} s after it:\n{}",
            END_LIMIT.as_secs(),
            work.laggards(site).await?
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let ended = began.elapsed();
    // Who was away is back, and whatever it still had in mind it has tried.
    site.whole_again().await?;
    let proved = proof::check(site, &work, &harm).await?;
    Ok(Row {
        trouble,
        under_way,
        hit,
        taken_over: taken_over.unwrap_or(ended),
        ended,
        effects: proved.effects,
        moved: proved.moved,
        commands: proved.commands,
    })
}

fn tell(rows: &[Row], options: &ClusterOptions) {
    println!("{} machines, three conductors:\n", options.nodes);
    println!(
        "| trouble | flows under way | the victim's | taken over, s | all ended, s | effects | in other hands | BMCs' commands |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for Row { trouble, under_way, hit, taken_over, ended, effects, moved, commands } in rows {
        let (taken_over, ended) = (taken_over.as_secs_f64(), ended.as_secs_f64());
        println!(
            "| {trouble} | {under_way} | {hit} | {taken_over:.1} | {ended:.1} | {effects} | {moved} | {commands} |"
        );
    }
    println!(
        "\nEach node ended where it should, nothing destructive was repeated, none had two conductors at once, and no BMC took a command from who had been followed by another."
    );
}
