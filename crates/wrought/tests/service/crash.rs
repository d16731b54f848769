//! `kill -9` at every write that a flow records: whatever was begun is finished by the next start, and nothing that
//! destroys data is done twice.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sim::{Machine, OperationKind, Outcome, Span, Timing};
use tokio::time::Instant;

use crate::LONG;
use crate::image_server::ImageServer;
use crate::machine::{available, deploy, ends, manageable, runs_image};
use crate::site::{Settings, Site};

/// Lives at a time; each has a service of its own.
const PARALLEL: usize = 6;
/// Above the number of records of the longest flow. Flows that end earlier are not killed.
const POINTS: i64 = 44;
/// Flows have at least so many records, so that the test fails when it kills nobody: clean, deploy, tear down with clean.
const LEAST: [usize; 3] = [18, 32, 24];
/// A flow of a machine in a hurry, with a restart of the service.
const LIMIT: Duration = Duration::from_secs(40);
/// Between two looks into the journal.
const LOOK: Duration = Duration::from_micros(300);

/// Machines in a hurry, but with the patience of real firmware for a boot server that is away for a moment. Their
/// ramdisk takes so long that a death at the record of power on does not fall into the agent's lookup, whose answer is
/// given once.
fn timing() -> Timing {
    Timing { ramdisk: Span::millis(150, 250), retry: Span::millis(800, 1000), ..Timing::hurried() }
}

/// Looks into the journal of a service, from outside.
#[derive(Debug, Clone)]
struct Journal {
    path: PathBuf,
    node: String,
    /// Records at the last mark.
    mark: i64,
}

impl Journal {
    fn open(site: &Site, node: &str) -> Self {
        let mut journal = Self { path: site.path("data").join("wrought.db"), node: node.to_owned(), mark: 0 };
        journal.set_mark();
        journal
    }

    fn connect(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Connection::open_with_flags(&self.path, flags).unwrap();
        file.busy_timeout(Duration::from_secs(5)).unwrap();
        file
    }

    fn ask(&self, file: &Connection, sql: &str) -> i64 {
        file.prepare_cached(sql).unwrap().query_row([&self.node], |row| row.get(0)).unwrap()
    }

    /// Intents and outcomes recorded since the mark.
    fn records(&self, file: &Connection) -> i64 {
        self.ask(file, "SELECT count(*) + count(outcome) FROM journal WHERE node_uuid = ?1") - self.mark
    }

    fn set_mark(&mut self) {
        self.mark += self.records(&self.connect());
    }

    /// Kills the service `victim` at the moment when there are so many records; false when the flow ended before.
    fn kill_at(&self, records: i64, victim: Pid) -> bool {
        let file = self.connect();
        let since = Instant::now();
        loop {
            // In this order: the last record and the end of the flow are written together.
            let goes_on = self.ask(&file, "SELECT count(*) FROM flows WHERE node_uuid = ?1") > 0;
            if self.records(&file) >= records {
                kill_process(victim, Signal::KILL).unwrap();
                return true;
            }
            if !goes_on {
                return false;
            }
            assert!(since.elapsed() < LONG, "the flow stands at {} records", self.records(&file));
            std::thread::park_timeout(LOOK);
        }
    }
}

/// One service and one machine.
struct Life<'a> {
    site: Site,
    journal: Journal,
    node: String,
    machine: &'a Machine,
}

impl Life<'_> {
    /// Kills the service as soon as the flow that was just begun has `point` records, and starts it again. Whether it
    /// was killed.
    async fn dies(&mut self, point: i64) -> bool {
        let (journal, victim) = (self.journal.clone(), self.site.process_id());
        // A thread of its own, so that the moment does not depend on how busy the test is.
        let killed = tokio::task::spawn_blocking(move || journal.kill_at(point, victim)).await.unwrap();
        if killed {
            self.site.bury().await;
            self.journal.set_mark();
            self.site.run().await;
        }
        killed
    }

    async fn dies_and_reaches(&mut self, point: i64, state: &str) -> bool {
        let killed = self.dies(point).await;
        self.ends_in(state, point).await;
        killed
    }

    async fn ends_in(&mut self, state: &str, point: i64) {
        let told = || format!("killed at {point}: {:?}\n{}", self.machine.state(), self.site.log());
        let api = self.site.api();
        let found = tokio::time::timeout(LIMIT, api.rests(&self.node)).await;
        let found = found.unwrap_or_else(|_| panic!("not {state} after {LIMIT:?}, {}", told()));
        assert_eq!(found["provision_state"], state, "{}", told());
        assert_eq!(
            (&found["last_error"], &found["maintenance"]),
            (&json!(null), &json!(false)),
            "{}",
            told()
        );
        self.journal.set_mark();
    }

    /// What destroys data was done so often, to its end each time.
    fn destroyed(&self, erased: usize, written: usize, point: i64) {
        let told = || format!("killed at {point}: {:#?}\n{}", self.machine.operations(), self.site.log());
        let counted = |kind| ends(self.machine, kind);
        assert_eq!(counted(OperationKind::EraseMetadata), vec![Outcome::Done; erased], "{}", told());
        assert_eq!(counted(OperationKind::WriteImage), vec![Outcome::Done; written], "{}", told());
        // Installing the boot loader again ends in the same state.
        let loaders = counted(OperationKind::InstallBootloader);
        assert!((written..=2 * written).contains(&loaders.len()), "{}", told());
        assert!(loaders.iter().all(|end| *end == Outcome::Done), "{}", told());
    }
}

/// A whole life in which the service is killed at record `point` of each flow; which of the flows had so many records.
async fn live(images: &ImageServer, point: i64) -> [bool; 3] {
    let site = Site::start(&Settings::default()).await;
    let fleet = site.fleet_with(1, point.unsigned_abs(), timing()).await;
    let machine = fleet.machine(0).unwrap();
    let node = manageable(&site.api(), machine).await;
    let journal = Journal::open(&site, &node);
    let mut life = Life { site, journal, node, machine };

    life.site.api().verb(&life.node, "provide").await;
    let cleaned = life.dies_and_reaches(point, "available").await;
    life.destroyed(1, 0, point);

    deploy(&life.site.api(), &life.node, images, "good.raw").await;
    let deployed = life.dies_and_reaches(point, "active").await;
    runs_image(machine, "good.raw").await;
    life.destroyed(1, 1, point);

    life.site.api().verb(&life.node, "deleted").await;
    let released = life.dies_and_reaches(point, "available").await;
    life.destroyed(2, 1, point);
    assert_eq!((machine.state().image, machine.state().powered), (None, false));
    fleet.stop().await;
    [cleaned, deployed, released]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_record() {
    let images = ImageServer::start().await;
    let lives = stream::iter(1..=POINTS).map(|point| live(&images, point)).buffer_unordered(PARALLEL);
    let killed: Vec<[bool; 3]> = lives.collect().await;
    for (flow, least) in LEAST.into_iter().enumerate() {
        let times = killed.iter().filter(|life| life[flow]).count();
        assert!(times >= least, "flow {flow} was killed at {times} points only");
        assert!(times < killed.len(), "flow {flow} has more records than points are tried");
    }
}

/// A service that cannot live for long still brings every deployment to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn again_and_again() {
    let images = ImageServer::start().await;
    let site = Site::start(&Settings::default()).await;
    let fleet = site.fleet_with(1, 1, timing()).await;
    let machine = fleet.machine(0).unwrap();
    let node = available(&site.api(), machine).await;
    let journal = Journal::open(&site, &node);
    let mut life = Life { site, journal, node, machine };
    deploy(&life.site.api(), &life.node, &images, "good.raw").await;
    let mut deaths = 0;
    while life.dies(4).await {
        deaths += 1;
    }
    life.ends_in("active", 4).await;
    assert!(deaths >= 6, "{deaths} deaths");
    runs_image(machine, "good.raw").await;
    life.destroyed(1, 1, 4);
    fleet.stop().await;
}
