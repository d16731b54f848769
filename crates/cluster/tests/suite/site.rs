//! A site for a test: a store with a node, and conductors that are said to live.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::{Members, Watch};
use db::{Db, Options, Registration, Term};
use model::{HardwareType, MacAddr, Node, Port, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::requests::DRIVER;

/// Its store, and who lives there.
pub(crate) struct Site {
    pub(crate) db: Db,
    pub(crate) members: Members,
    pub(crate) node: Node,
    pub(crate) terms: BTreeMap<String, Term>,
    _stop: tokio_util::sync::DropGuard,
    _dir: TempDir,
}

/// The conductor that every request is for, until another one comes.
pub(crate) const HOST: &str = "there";
/// The address of the node's port.
pub(crate) const ADDRESS: MacAddr = MacAddr::new([0x52, 0x54, 0, 1, 2, 3]);

impl Site {
    /// With an embedded store.
    pub(crate) async fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::open(&format!("sqlite:{}", dir.path().join("site.db").display()), dir).await
    }

    /// With the store at `url`.
    pub(crate) async fn of(url: &str) -> Self {
        Self::open(url, tempfile::tempdir().unwrap()).await
    }

    async fn open(url: &str, dir: TempDir) -> Self {
        let db = Db::open(&Options::new(url.parse().unwrap())).await.unwrap();
        let node = match db.list_nodes(&db::NodeQuery::new(db::Scope::All)).await.unwrap().pop() {
            Some(node) => node,
            None => enrol(&db).await,
        };
        let term = register(&db, HOST).await;
        let stop = CancellationToken::new();
        let watch = Watch { every: Duration::from_hours(1), lease: Duration::from_hours(9) };
        let members = Members::start(db.clone(), watch, stop.clone()).await.unwrap();
        let terms = BTreeMap::from([(HOST.to_owned(), term)]);
        Self { db, members, node, terms, _stop: stop.drop_guard(), _dir: dir }
    }

    /// Another conductor starts.
    pub(crate) async fn add(&mut self, host: &str) {
        let term = register(&self.db, host).await;
        self.terms.insert(host.to_owned(), term);
        self.members.look().await.unwrap();
    }

    /// A conductor ends.
    pub(crate) async fn end(&mut self, host: &str) {
        self.db.set_conductor_offline(&self.terms.remove(host).unwrap()).await.unwrap();
        self.members.look().await.unwrap();
    }
}

async fn enrol(db: &Db) -> Node {
    let mut node = Node::new(DRIVER, Timestamp::now());
    node.driver_info.set("ipmi_password", "hush".into());
    let node = db.create_node(node).await.unwrap();
    db.create_port(Port::new(node.uuid, ADDRESS, Timestamp::now())).await.unwrap();
    node
}

pub(crate) async fn register(db: &Db, host: &str) -> Term {
    let hardware_type =
        HardwareType { name: DRIVER.to_owned(), interfaces: BTreeMap::new(), properties: BTreeMap::new() };
    let registration = Registration {
        hostname: host.to_owned(),
        conductor_group: String::new(),
        hardware_types: vec![hardware_type],
    };
    Term::from(&db.register_conductor(registration).await.unwrap())
}
