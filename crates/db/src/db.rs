//! The handle that callers hold: one method per operation, whichever engine is behind it.

mod allocations;
mod hardware;
mod inspections;

mod messages;

mod resources;

mod plans;

mod power;

mod traces;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use model::{Conductor, FlowId, HistoryUuid, Node, NodeUuid, Port, PortUuid, Secret, Timestamp};
use tokio::sync::{broadcast, watch};

use crate::postgres::Postgres;
use crate::recorder::Recorder;
use crate::session::{Find, Session};
use crate::sqlite::Sqlite;
use crate::{
    Commit, ConductorHardware, DatabaseUrl, DbError, EventPage, EventQuery, EventRetention, FlowRow,
    HistoryEntry, HistoryQuery, HistoryRetention, JournalRow, NewEvent, NodeKey, NodeQuery, Options, PortKey,
    PortQuery, Registration, Scope, StrayFlow, Term, User, Wakeup, account, commit, conductor, event, flow,
    history, node, port, statement,
};

/// Lists that may have more rows than this are read on a thread that may block.
const POINT_ROWS: usize = 200;
/// How soon readers look again for events that are held up.
const HELD: std::time::Duration = std::time::Duration::from_millis(20);
/// Wake-ups kept for a receiver that is slow; beyond it the receiver is told that it lags.
const WAKEUPS: usize = 1024;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    shared: Arc<Shared>,
    recorder: Arc<Recorder>,
    history: HistoryRetention,
}

#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

/// What the engine's threads share with the handle.
pub(crate) struct Shared {
    /// Statements executed so far.
    pub(crate) statements: AtomicU64,
    /// Wake-ups of committed writes.
    wakeups: broadcast::Sender<Wakeup>,
    /// Changes whenever there may be new events.
    events: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let (wakeups, events) = (broadcast::channel(WAKEUPS).0, watch::channel(0).0);
        Self { statements: AtomicU64::new(0), wakeups, events }
    }

    /// Readers of events are to look again.
    pub(crate) fn ring(&self) {
        self.events.send_modify(|count| *count += 1);
    }

    /// Passes a wake-up on to those who listen.
    pub(crate) fn wake(&self, wakeup: Wakeup) {
        let is_event = matches!(&wakeup, Wakeup::Notice { channel, .. } if channel == event::CHANNEL);
        if is_event || wakeup == Wakeup::MayHaveMissed {
            self.ring();
        }
        if !is_event {
            // Nobody listens: nobody needs to be woken.
            let _ = self.wakeups.send(wakeup);
        }
    }
}

/// How many rows a read is expected to give.
enum Size {
    Point,
    Scan,
}

impl Size {
    fn of(limit: usize) -> Self {
        if limit > POINT_ROWS { Self::Scan } else { Self::Point }
    }
}

impl Db {
    /// Opens the store and brings its schema up to date.
    ///
    /// # Errors
    /// `Open`, `Unreachable`, `TooNew`, `ForeignMigration`, `Migrate`.
    pub async fn open(options: &Options) -> Result<Self, DbError> {
        let shared = Arc::new(Shared::new());
        let engine = match &options.url {
            DatabaseUrl::Sqlite { path, full_sync } => {
                Engine::Sqlite(Sqlite::open(path.clone(), *full_sync, Arc::clone(&shared)).await?)
            }
            DatabaseUrl::Postgres(url) => Engine::Postgres(Postgres::open(url, Arc::clone(&shared)).await?),
        };
        tracing::info!(database = %options.url, "database open");
        let recorder = Arc::new(Recorder::start(engine.clone()));
        Ok(Self { engine, shared, recorder, history: options.history })
    }

    /// Opens a store that is there and up to date, for looking into it while the service is down: nothing is changed, and
    /// writes fail.
    ///
    /// # Errors
    /// `Open`, `TooNew`, `ForeignMigration`, `Migrate`.
    pub async fn open_to_read(options: &Options) -> Result<Self, DbError> {
        // A server's database is in nobody's way: it is opened as always.
        let DatabaseUrl::Sqlite { path, .. } = &options.url else { return Self::open(options).await };
        let shared = Arc::new(Shared::new());
        let engine = Engine::Sqlite(Sqlite::open_to_read(path.clone(), Arc::clone(&shared)).await?);
        let recorder = Arc::new(Recorder::start(engine.clone()));
        Ok(Self { engine, shared, recorder, history: options.history })
    }

    /// Finishes the writes that are queued and closes the store; later calls fail with `Closed`.
    pub async fn close(&self) {
        self.recorder.flush().await;
        match &self.engine {
            Engine::Sqlite(engine) => engine.close().await,
            Engine::Postgres(engine) => engine.close(),
        }
    }

    /// How many nodes and flows there are.
    pub async fn census(&self) -> Result<crate::Census, DbError> {
        self.read(Size::Scan, |session| crate::census::take(session, Timestamp::now())).await
    }

    /// How many writes wait for the store.
    pub fn writes_waiting(&self) -> usize {
        match &self.engine {
            Engine::Sqlite(engine) => engine.writes_waiting(),
            Engine::Postgres(engine) => engine.waiting(),
        }
    }

    /// How many statements were executed through this handle and its clones so far, `BEGIN` and `COMMIT` not counted.
    pub fn statements_executed(&self) -> u64 {
        self.shared.statements.load(Ordering::Relaxed)
    }

    /// Parses every fixed statement against the schema; how many there are.
    ///
    /// # Errors
    /// `Statement` names the first that does not fit.
    pub async fn check_statements(&self) -> Result<usize, DbError> {
        self.read(Size::Scan, |session| {
            let mut count = 0;
            for statement in statement::all() {
                session.prepare(statement.into())?;
                count += 1;
            }
            Ok(count)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        size: Size,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        match (&self.engine, size) {
            (engine, Size::Point) => engine.read_few(operation).await,
            (Engine::Sqlite(engine), Size::Scan) => engine.read_apart(operation).await,
            (Engine::Postgres(engine), _) => engine.read(operation).await,
        }
    }

    /// Finds one object.
    async fn find<T: Send>(&self, find: Find<T>) -> Result<Option<T>, DbError> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.read_here(|session| find.run(session)).await,
            Engine::Postgres(engine) => engine.find(&find).await,
        }
    }

    fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> impl Future<Output = Result<T, DbError>> + Send {
        // What the operation tells of is recorded last: nothing else is waited for while others wait for the events.
        let operation = move |session: &mut dyn Session| {
            let value = operation(session)?;
            let events = session.take_told();
            event::add(session, &events)?;
            Ok(value)
        };
        self.engine.write(operation)
    }
}

impl Engine {
    /// Reads a few rows.
    pub(crate) async fn read_few<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        match self {
            Self::Sqlite(engine) => engine.read_here(operation).await,
            Self::Postgres(engine) => engine.read(operation).await,
        }
    }

    /// Writes, in one transaction.
    // The operation may be large, and each future around it would hold it once more: so it is on the heap, once.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> impl Future<Output = Result<T, DbError>> + Send {
        let began = tokio::time::Instant::now();
        let writing = match self {
            Self::Sqlite(engine) => engine.write(operation).boxed(),
            Self::Postgres(engine) => engine.write(operation).boxed(),
        };
        async move {
            let written = writing.await;
            let outcome = if written.is_ok() { "ok" } else { "refused" };
            crate::measure::WRITES.observe(&[outcome], began.elapsed());
            written
        }
    }
}

/// Nodes.
impl Db {
    /// One node; `None` when it is not there or not visible to `scope`.
    pub async fn get_node(&self, key: &NodeKey, scope: &Scope) -> Result<Option<Node>, DbError> {
        self.find(node::read::find(key, scope)).await
    }

    /// A page of nodes, with their traits, in one statement (two with a marker).
    ///
    /// # Errors
    /// `MarkerNotFound`, `TooManyValues`.
    pub async fn list_nodes(&self, query: &NodeQuery) -> Result<Vec<Node>, DbError> {
        self.fold_nodes(query, Vec::new(), Vec::append).await
    }

    /// A page of nodes as [`Db::list_nodes`] has them, handed to `each` with `state`, a few at a time and in order;
    /// returns `state`. `each` takes what it wants of them, on a thread that may block. For lists that are not kept.
    pub async fn fold_nodes<S: Send + 'static>(
        &self,
        query: &NodeQuery,
        mut state: S,
        each: impl Fn(&mut S, &mut Vec<Node>) + Send + 'static,
    ) -> Result<S, DbError> {
        let query = query.clone();
        self.read(Size::of(query.limit), move |session| {
            node::read::list(session, &query, &mut |nodes| each(&mut state, nodes))?;
            Ok(state)
        })
        .await
    }

    /// One node with its flow, when one is under way.
    pub async fn get_node_with_flow(
        &self,
        node: NodeUuid,
    ) -> Result<Option<(Node, Option<FlowRow>)>, DbError> {
        self.read(Size::Point, move |session| {
            let Some(found) = node::read::get(session, &NodeKey::Uuid(node), &Scope::All)? else {
                return Ok(None);
            };
            Ok(Some((found, flow::of_node(session, node)?)))
        })
        .await
    }

    /// How many nodes each shard has; those without one are counted under `None`, which comes first.
    pub async fn shards(&self) -> Result<Vec<(Option<String>, i64)>, DbError> {
        self.read(Size::Scan, node::read::shards).await
    }

    /// Stores a new node; the answer has its `id`, revision 1, and traits in order.
    ///
    /// # Errors
    /// `Duplicate` names `uuid`, `name` or `instance_uuid`.
    pub async fn create_node(&self, node: Node) -> Result<Node, DbError> {
        self.write(move |session| node::write::create(session, node)).await
    }

    /// Writes what differs between `before` and `after`, traits included. The answer has the next revision and
    /// `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the node since `before` was read, `NotFound`, `Duplicate`.
    pub async fn update_node(&self, before: &Node, after: Node) -> Result<Node, DbError> {
        self.commit(Commit::new(before.clone(), after)).await
    }

    /// Removes a node with its ports, traits, allocation, flow, journal and history.
    ///
    /// # Errors
    /// `Conflict`, `NotFound`.
    pub async fn delete_node(&self, node: &Node) -> Result<(), DbError> {
        let node = node.clone();
        self.write(move |session| node::write::delete(session, &node)).await
    }

    /// Records a decision about a node: everything, or nothing.
    ///
    /// # Errors
    /// As [`Db::update_node`]; `Fenced` when the conductor's registration is not the current one; `Duplicate` for a
    /// journal line that is there already, `NotFound` for the outcome of a line that is not; `NoticeTooLong`; `TooMany`.
    pub async fn commit(&self, commit: Commit) -> Result<Node, DbError> {
        let kept = self.history;
        self.write(move |session| commit::record(session, commit, kept)).await
    }
}

/// Ports.
impl Db {
    /// One port; `None` when it is not there or its node not visible to `scope`.
    pub async fn get_port(&self, key: &PortKey, scope: &Scope) -> Result<Option<Port>, DbError> {
        self.find(port::rows::find(key, scope)).await
    }

    /// A page of ports.
    ///
    /// # Errors
    /// `MarkerNotFound`, `TooManyValues`.
    pub async fn list_ports(&self, query: &PortQuery) -> Result<Vec<Port>, DbError> {
        self.fold_ports(query, Vec::new(), Vec::append).await
    }

    /// A page of ports, as [`Db::fold_nodes`] hands on nodes.
    pub async fn fold_ports<S: Send + 'static>(
        &self,
        query: &PortQuery,
        mut state: S,
        each: impl Fn(&mut S, &mut Vec<Port>) + Send + 'static,
    ) -> Result<S, DbError> {
        let query = query.clone();
        // The ports of one node are few, whatever the limit says.
        let one_node = query.filter.nodes.as_ref().is_some_and(|nodes| nodes.len() == 1);
        let size = if one_node { Size::Point } else { Size::of(query.limit) };
        self.read(size, move |session| {
            port::rows::list(session, &query, &mut |ports| each(&mut state, ports))?;
            Ok(state)
        })
        .await
    }

    /// Stores a new port; the answer has its `id`.
    ///
    /// # Errors
    /// `Duplicate` names `uuid`, `name` or `address`; `MissingReference` when there is no such node.
    pub async fn create_port(&self, port: Port) -> Result<Port, DbError> {
        self.write(move |session| port::rows::create(session, port)).await
    }

    /// Writes what differs between `before` and `after`. The answer has the new `updated_at`.
    ///
    /// # Errors
    /// `Conflict` when somebody wrote the port since `before` was read, `NotFound`, `Duplicate`, `MissingReference`.
    pub async fn update_port(&self, before: &Port, after: Port) -> Result<Port, DbError> {
        let before = before.clone();
        self.write(move |session| port::rows::update(session, &before, after)).await
    }

    /// Removes a port.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_port(&self, uuid: PortUuid) -> Result<(), DbError> {
        self.write(move |session| port::rows::delete(session, uuid)).await
    }
}

/// Conductors.
impl Db {
    /// Enters a conductor with what it offers, replacing what it offered before; it is online afterwards.
    pub async fn register_conductor(&self, registration: Registration) -> Result<Conductor, DbError> {
        self.write(move |session| conductor::register(session, &registration)).await
    }

    /// Notes a conductor's sign of life.
    ///
    /// # Errors
    /// `Fenced`: it has to register.
    pub async fn touch_conductor(&self, by: &Term) -> Result<(), DbError> {
        let by = by.clone();
        self.write(move |session| conductor::touch(session, &by)).await
    }

    /// Notes a conductor's graceful stop, which ends its registration.
    ///
    /// # Errors
    /// `Fenced`.
    pub async fn set_conductor_offline(&self, by: &Term) -> Result<(), DbError> {
        let by = by.clone();
        self.write(move |session| conductor::set_offline(session, &by)).await
    }

    /// Declares a conductor dead, unless it gave a sign of life since `last` was read; whether it did. Nothing that the
    /// conductor decided and did not record yet is taken any more.
    pub async fn declare_conductor_dead(&self, last: &Conductor) -> Result<bool, DbError> {
        let last = last.clone();
        self.write(move |session| conductor::declare_dead(session, &last)).await
    }

    /// Forgets conductors that gave no sign of life since `silent_since` and hold no node, `most` of them; how many those
    /// were.
    pub async fn forget_conductors(&self, silent_since: Timestamp, most: u32) -> Result<u64, DbError> {
        self.write(move |session| conductor::forget(session, silent_since, most)).await
    }

    /// All conductors, in the order of their first registration. Who is alive is for the caller to judge.
    pub async fn list_conductors(&self) -> Result<Vec<Conductor>, DbError> {
        self.read(Size::Point, conductor::list).await
    }

    /// One conductor.
    pub async fn get_conductor(&self, hostname: &str) -> Result<Option<Conductor>, DbError> {
        let hostname = hostname.to_owned();
        self.read(Size::Point, move |session| conductor::get(session, &hostname)).await
    }

    /// What the conductors that are online offer: by hardware type, then conductor.
    pub async fn conductor_hardware(&self) -> Result<Vec<ConductorHardware>, DbError> {
        self.read(Size::Point, conductor::hardware).await
    }
}

/// Flows, journal, history, events.
impl Db {
    /// The node's flow, when one is under way.
    pub async fn flow_of(&self, node: NodeUuid) -> Result<Option<FlowRow>, DbError> {
        self.read(Size::Point, move |session| flow::of_node(session, node)).await
    }

    /// All flows under way, the one that rests longest first.
    pub async fn list_flows(&self) -> Result<Vec<FlowRow>, DbError> {
        self.read(Size::Scan, flow::list).await
    }

    /// The nodes that have a flow under way.
    pub async fn nodes_with_flows(&self) -> Result<HashSet<NodeUuid>, DbError> {
        self.read(Size::Scan, flow::nodes).await
    }

    /// The flows that a conductor works on, the one that rests longest first.
    pub async fn flows_of_conductor(&self, hostname: &str) -> Result<Vec<FlowRow>, DbError> {
        let hostname = hostname.to_owned();
        self.read(Size::Scan, move |session| flow::of_conductor(session, &hostname)).await
    }

    /// A conductor's flows whose deadline has come, the most overdue first.
    pub async fn due_flows(
        &self,
        hostname: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<FlowRow>, DbError> {
        let hostname = hostname.to_owned();
        self.read(Size::of(limit), move |session| flow::due(session, &hostname, now, limit)).await
    }

    /// The earliest deadline of a conductor's flows.
    pub async fn next_deadline(&self, hostname: &str) -> Result<Option<Timestamp>, DbError> {
        let hostname = hostname.to_owned();
        self.read(Size::Point, move |session| flow::next_deadline(session, &hostname)).await
    }

    /// Flows whose conductor is gone.
    pub async fn stray_flows(&self) -> Result<Vec<StrayFlow>, DbError> {
        self.read(Size::Scan, flow::strays).await
    }

    /// Makes `by` the conductor of those flows that nobody else claimed, at least one; answers with them. Those that somebody
    /// is just writing are passed over.
    ///
    /// # Errors
    /// `Fenced`.
    pub async fn claim_flows(&self, strays: Vec<StrayFlow>, by: &Term) -> Result<Vec<FlowRow>, DbError> {
        let by = by.clone();
        self.write(move |session| flow::claim(session, &strays, &by)).await
    }

    /// The newest `limit` lines of a node's journal, newest first.
    pub async fn journal(&self, node: NodeUuid, limit: usize) -> Result<Vec<JournalRow>, DbError> {
        self.read(Size::of(limit), move |session| flow::journal(session, node, limit)).await
    }

    /// All lines of one run of a flow, in order: what was intended, and what is known to have come of it.
    pub async fn journal_of_flow(&self, flow: FlowId) -> Result<Vec<JournalRow>, DbError> {
        self.read(Size::Point, move |session| flow::journal_of_flow(session, flow)).await
    }

    /// A page of a node's history.
    ///
    /// # Errors
    /// `MarkerNotFound`.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryEntry>, DbError> {
        let query = query.clone();
        self.read(Size::Point, move |session| history::list(session, &query)).await
    }

    /// One entry of a node's history.
    pub async fn history_entry(
        &self,
        node: NodeUuid,
        entry: HistoryUuid,
    ) -> Result<Option<HistoryEntry>, DbError> {
        self.read(Size::Point, move |session| history::get(session, node, entry)).await
    }

    /// Records events that belong to no decision about a node.
    pub async fn record_events(&self, events: Vec<NewEvent>) -> Result<(), DbError> {
        self.write(move |session| {
            for event in events {
                session.tell(event);
            }
            Ok(())
        })
        .await
    }

    /// A page of events, in order.
    ///
    /// # Errors
    /// `EventsGone` when some after the last one seen were dropped, `EventsAhead` when there never was such a one.
    pub async fn events(&self, query: &EventQuery) -> Result<EventPage, DbError> {
        let query = query.clone();
        let page = self.read(Size::of(query.limit), move |session| event::page(session, &query)).await?;
        if page.held {
            // Who holds them up rings when it commits, and not when it gives up.
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                tokio::time::sleep(HELD).await;
                shared.ring();
            });
        }
        Ok(page)
    }

    /// Changes whenever there may be new events, of this process or (PostgreSQL) of another.
    pub fn events_changed(&self) -> watch::Receiver<u64> {
        self.shared.events.subscribe()
    }

    /// The number of the newest event that readers may see; 0 when there is none.
    pub async fn last_event(&self) -> Result<i64, DbError> {
        self.read(Size::Point, event::last_settled).await
    }

    /// Drops events that are not to be kept any longer at the time `now`; how many. Some thousands at a time: 0 says that
    /// all is done.
    pub async fn prune_events(&self, retention: EventRetention, now: Timestamp) -> Result<u64, DbError> {
        self.write(move |session| event::prune(session, retention, now)).await
    }

    /// Sends a wake-up that belongs to no write.
    ///
    /// # Errors
    /// `NoticeTooLong`.
    pub async fn notify(&self, channel: &str, payload: &str) -> Result<(), DbError> {
        let (channel, payload) = (channel.to_owned(), payload.to_owned());
        self.write(move |session| session.notify(&channel, &payload)).await
    }

    /// Wake-ups from now on, of this process and (PostgreSQL) of all others. A receiver that lags, or is told
    /// [`Wakeup::MayHaveMissed`], looks at the rows.
    pub fn wakeups(&self) -> broadcast::Receiver<Wakeup> {
        self.shared.wakeups.subscribe()
    }
}

/// Users and settings.
impl Db {
    /// Makes a user with this bcrypt hash, or gives it another one.
    pub async fn put_user(&self, name: &str, password_hash: &Secret) -> Result<(), DbError> {
        let (name, hash) = (name.to_owned(), password_hash.clone());
        self.write(move |session| account::put_user(session, &name, &hash)).await
    }

    /// One user.
    pub async fn get_user(&self, name: &str) -> Result<Option<User>, DbError> {
        let name = name.to_owned();
        self.read(Size::Point, move |session| account::get_user(session, &name)).await
    }

    /// The names of all users, in order.
    pub async fn list_users(&self) -> Result<Vec<String>, DbError> {
        self.read(Size::Point, account::list_users).await
    }

    /// Removes a user.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_user(&self, name: &str) -> Result<(), DbError> {
        let name = name.to_owned();
        self.write(move |session| account::delete_user(session, &name)).await
    }

    /// A setting.
    pub async fn get_setting(&self, key: &str) -> Result<Option<String>, DbError> {
        let key = key.to_owned();
        self.read(Size::Point, move |session| account::get_setting(session, &key)).await
    }

    /// Sets a setting.
    pub async fn put_setting(&self, key: &str, value: &str) -> Result<(), DbError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |session| account::put_setting(session, &key, &value)).await
    }

    /// Sets a setting unless it is there; its value afterwards. Two who start together agree on one value.
    pub async fn setting_or(&self, key: &str, value: &str) -> Result<String, DbError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |session| account::setting_or(session, &key, &value)).await
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match self.engine {
            Engine::Sqlite(_) => "SQLite",
            Engine::Postgres(_) => "PostgreSQL",
        };
        write!(f, "Db({engine})")
    }
}
