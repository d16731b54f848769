//! The boot flight recorder: takes what the boot servers see without making them wait, collapses repetitions, and writes
//! batches off their path.
//!
//! What is not written yet is lost with the process: at most the last [`DELAY`] and the batch under way. Nothing else
//! depends on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boot_trace::{BootEventKind, Entry, Relation, Tail, Told};
use model::{MacAddr, NodeUuid, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::db::Engine;
use crate::trace::{self as rows, Batch, Row};

/// How long something seen may wait for others to be written with it.
const DELAY: Duration = Duration::from_millis(500);
/// What may wait to be taken; beyond it, what is seen is counted and dropped.
const QUEUE: usize = 8192;
/// Rows written in one transaction: bounds how long other writers wait.
const BATCH: usize = 256;
/// New rows of a node after which its old ones are looked at.
const PURGE_EVERY: usize = 32;
/// Nodes whose last rows are known, so that repetitions are counted.
const TAILS: usize = 20_000;
/// Unknown addresses that were looked up lately.
const STRANGERS: usize = 4096;
/// How soon an unknown address is looked up again.
const STRANGER_REST: Duration = Duration::from_secs(30);
/// How long traces are kept.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How often old traces are dropped.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How long a reader waits for what is not written yet.
const PATIENCE: Duration = Duration::from_secs(5);

enum Message {
    Seen { node: Option<NodeUuid>, at: Timestamp, told: Told },
    Flush(oneshot::Sender<()>),
}

/// The side of those who see something.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
}

impl Recorder {
    /// Starts the writing side; it ends, having written all, when this is dropped.
    pub(crate) fn start(engine: Engine) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let desk = Desk::new(engine, Arc::clone(&lost));
        tokio::spawn(desk.run(messages));
        Self { queue, lost }
    }

    /// Takes note of something; never waits.
    pub(crate) fn see(&self, node: Option<NodeUuid>, at: Timestamp, told: Told) {
        if self.queue.try_send(Message::Seen { node, at, told }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, with an end, until all that was seen so far is written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        let flush = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                // An error says that nobody writes any more.
                let _ = written.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flush).await;
    }

    /// How much was seen and dropped.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What is known of a node's trace.
#[derive(Default)]
struct Known {
    tail: Tail,
    machine: Option<String>,
    /// Rows since its old ones were looked at.
    unpurged: usize,
}

/// The writing side.
struct Desk {
    engine: Engine,
    lost: Arc<AtomicU64>,
    writer: String,
    known: HashMap<NodeUuid, Known>,
    strangers: HashMap<MacAddr, Timestamp>,
    /// Rows that are new or have changed.
    rows: BTreeMap<(NodeUuid, Timestamp), Entry>,
    machines: HashMap<NodeUuid, String>,
    purge: HashSet<NodeUuid>,
}

impl Desk {
    fn new(engine: Engine, lost: Arc<AtomicU64>) -> Self {
        Self {
            engine,
            lost,
            writer: NodeUuid::random().to_string(),
            known: HashMap::new(),
            strangers: HashMap::new(),
            rows: BTreeMap::new(),
            machines: HashMap::new(),
            purge: HashSet::new(),
        }
    }

    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut due: Option<Instant> = None;
        let mut prune_at = Instant::now() + PRUNE_EVERY;
        loop {
            let wake = due.unwrap_or(prune_at).min(prune_at);
            let message = match tokio::time::timeout_at(wake, messages.recv()).await {
                Ok(Some(message)) => Some(message),
                Ok(None) => break,
                Err(_) => None,
            };
            match message {
                Some(Message::Seen { node, at, told }) => {
                    match node {
                        Some(node) => self.take(node, at, told),
                        None => self.recognise(at, told).await,
                    }
                    due = due.or_else(|| Some(Instant::now() + DELAY));
                }
                Some(Message::Flush(done)) => {
                    self.write().await;
                    due = None;
                    let _ = done.send(());
                }
                None => {}
            }
            if due.is_some_and(|due| due <= Instant::now()) || self.rows.len() >= BATCH {
                self.write().await;
                due = None;
            }
            if prune_at <= Instant::now() {
                self.prune().await;
                prune_at = Instant::now() + PRUNE_EVERY;
            }
        }
        self.write().await;
    }

    fn take(&mut self, node: NodeUuid, at: Timestamp, told: Told) {
        if self.known.len() >= TAILS && !self.known.contains_key(&node) {
            // At worst a repetition becomes a row of its own.
            self.known.clear();
        }
        let known =
            self.known.entry(node).or_insert_with(|| Known { unpurged: PURGE_EVERY, ..Known::default() });
        if let BootEventKind::Discover(asking) = &told.kind
            && asking.machine_id.is_some()
            && asking.machine_id != known.machine
        {
            known.machine.clone_from(&asking.machine_id);
            self.machines.extend(asking.machine_id.clone().map(|machine| (node, machine)));
        }
        let starts = matches!(told.kind, BootEventKind::PowerOn { .. });
        let entry = known.tail.take(told, at);
        known.unpurged += usize::from(entry.count == 1);
        if starts || known.unpurged >= PURGE_EVERY {
            known.unpurged = 0;
            self.purge.insert(node);
        }
        self.rows.insert((node, entry.at), entry);
    }

    /// Something that nobody's interface did: it may be another one of a machine that is waited for.
    async fn recognise(&mut self, at: Timestamp, told: Told) {
        let Some(mac) = told.mac else { return };
        let (machine, client) = match &told.kind {
            BootEventKind::Discover(asking) => (asking.machine_id.clone(), asking.client.clone()),
            BootEventKind::LookupRefused { .. } => (None, String::new()),
            _ => return,
        };
        if self.strangers.get(&mac).is_some_and(|seen| at.since(*seen) < STRANGER_REST) {
            return;
        }
        if self.strangers.len() >= STRANGERS {
            self.strangers.clear();
        }
        self.strangers.insert(mac, at);
        let found = self.engine.read_few(move |session| {
            let by_machine = match &machine {
                Some(machine) => rows::of_machine(session, machine)?,
                None => None,
            };
            match by_machine {
                Some(node) => Ok(Some((node, Relation::MachineId))),
                None => Ok(rows::of_neighbour(session, mac)?.map(|node| (node, Relation::Neighbour))),
            }
        });
        match found.await {
            Ok(Some((node, relation))) => {
                let kind = match told.kind {
                    BootEventKind::Discover(_) => BootEventKind::OtherPort { relation, client },
                    other => other,
                };
                self.take(node, at, Told { mac: Some(mac), kind });
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%mac, %error, "cannot tell whose address this is"),
        }
    }

    async fn write(&mut self) {
        let mut rows: Vec<Row> = std::mem::take(&mut self.rows)
            .into_iter()
            .map(|((node, _), entry)| Row { node, entry })
            .collect();
        let mut machines: Vec<_> = std::mem::take(&mut self.machines).into_iter().collect();
        let mut purge: Vec<_> = std::mem::take(&mut self.purge).into_iter().collect();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(BATCH));
            let is_last = rest.is_empty();
            let batch = Batch {
                writer: self.writer.clone(),
                rows: std::mem::replace(&mut rows, rest),
                machines: std::mem::take(&mut machines),
                purge: if is_last { std::mem::take(&mut purge) } else { Vec::new() },
            };
            let size = batch.rows.len() as u64;
            let lost = match self.engine.write(move |session| rows::put(session, &batch)).await {
                Ok(lost) => lost,
                Err(error) => {
                    tracing::warn!(rows = size, %error, "a part of the boot traces is lost");
                    size
                }
            };
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    async fn prune(&self) {
        let now = Timestamp::now();
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
        match self.engine.write(move |session| rows::prune(session, before)).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old boot traces are dropped"),
            Err(error) => tracing::warn!(%error, "old boot traces cannot be dropped"),
        }
    }
}
