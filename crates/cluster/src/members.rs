//! The conductors that live, as last read from their rows, and who of them is in charge of a node.
//!
//! A conductor is taken for dead when its row has not changed for a lease by *our* clock: clocks of hosts need not agree.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use db::{CONDUCTOR_CHANNEL, ConductorHardware, Db, DbError, Wakeup};
use model::{Conductor, HardwareType, Node, Timestamp};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Ring;

/// How the conductors are watched.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Between two looks at their rows.
    pub every: Duration,
    /// How long a conductor may be silent until it is taken for dead.
    pub lease: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self { every: Duration::from_secs(10), lease: Duration::from_mins(1) }
    }
}

/// The conductors that live. Cheap to clone; read without waiting.
#[derive(Debug, Clone)]
pub struct Members {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    db: Db,
    lease: Duration,
    view: ArcSwap<View>,
    /// When the row of each conductor was seen to change last.
    seen: Mutex<HashMap<String, Seen>>,
    /// One look at a time, so that an older one never replaces a newer one.
    looking: tokio::sync::Mutex<()>,
    looks: watch::Sender<u64>,
}

#[derive(Debug)]
struct Seen {
    sign: (i64, Option<Timestamp>),
    at: Instant,
}

/// What one look at the rows told.
#[derive(Debug, Default)]
struct View {
    alive: BTreeMap<String, String>,
    suspects: Vec<Conductor>,
    rings: Vec<((String, String), Ring)>,
    hardware_types: Arc<[HardwareType]>,
    hosts: BTreeMap<String, Vec<String>>,
}

impl Members {
    /// Reads the rows once, and goes on to do so until `stop`.
    ///
    /// # Errors
    /// When the rows cannot be read now.
    pub async fn start(db: Db, how: Watch, stop: CancellationToken) -> Result<Self, DbError> {
        let wakeups = db.wakeups();
        let shared = Shared {
            db,
            lease: how.lease,
            view: ArcSwap::default(),
            seen: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            looks: watch::Sender::new(0),
        };
        let members = Self { shared: Arc::new(shared) };
        members.look().await?;
        tokio::spawn(members.clone().keep_looking(how.every, wakeups, stop));
        Ok(members)
    }

    /// Looks at the rows now.
    ///
    /// # Errors
    /// When they cannot be read; what was known stays.
    pub async fn look(&self) -> Result<(), DbError> {
        let _one = self.shared.looking.lock().await;
        let db = &self.shared.db;
        let (rows, hardware) = tokio::try_join!(db.list_conductors(), db.conductor_hardware())?;
        let view = self.judge(&rows, hardware);
        self.shared.view.store(Arc::new(view));
        self.shared.looks.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Tells of each look.
    pub fn looks(&self) -> watch::Receiver<u64> {
        self.shared.looks.subscribe()
    }

    /// Conductors that still count as online and were silent for longer than a lease, as their rows were.
    pub fn suspects(&self) -> Vec<Conductor> {
        self.shared.view.load().suspects.clone()
    }

    /// Whether the conductor is online and gives signs of life.
    pub fn is_alive(&self, hostname: &str) -> bool {
        self.shared.view.load().alive.contains_key(hostname)
    }

    /// The conductors that live, in alphabetical order.
    pub fn alive(&self) -> Vec<String> {
        self.shared.view.load().alive.keys().cloned().collect()
    }

    /// Who is to take the node; `None` when no living conductor of its group offers its hardware type.
    pub fn owner(&self, node: &Node) -> Option<String> {
        self.owner_of(node.uuid, &node.driver, &node.conductor_group)
    }

    /// As [`Members::owner`], by what decides it.
    pub fn owner_of(&self, node: model::NodeUuid, driver: &str, group: &str) -> Option<String> {
        let view = self.shared.view.load();
        let ring = view.rings.iter().find(|((of, offers), _)| of == group && offers == driver);
        ring.and_then(|(_, ring)| ring.owner(node)).map(str::to_owned)
    }

    /// What the living conductors offer, by name, in alphabetical order; interfaces and properties of all of them together.
    pub fn hardware_types(&self) -> Arc<[HardwareType]> {
        Arc::clone(&self.shared.view.load().hardware_types)
    }

    /// The living conductors that offer the hardware type, in alphabetical order.
    pub fn hosts_of(&self, hardware_type: &str) -> Vec<String> {
        self.shared.view.load().hosts.get(hardware_type).cloned().unwrap_or_default()
    }

    async fn keep_looking(
        self,
        every: Duration,
        mut wakeups: broadcast::Receiver<Wakeup>,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = news(&mut wakeups) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.look().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot read the conductors");
            }
        }
    }

    fn judge(&self, rows: &[Conductor], hardware: Vec<ConductorHardware>) -> View {
        let now = Instant::now();
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|host, _| rows.iter().any(|row| row.hostname == *host));
        let mut view = View::default();
        for row in rows.iter().filter(|row| row.online) {
            let sign = (row.epoch, row.updated_at);
            let last = seen.entry(row.hostname.clone()).or_insert(Seen { sign, at: now });
            if last.sign != sign {
                *last = Seen { sign, at: now };
            }
            if now.duration_since(last.at) > self.shared.lease {
                view.suspects.push(row.clone());
            } else {
                view.alive.insert(row.hostname.clone(), row.conductor_group.clone());
            }
        }
        view.offer(hardware);
        view
    }
}

impl View {
    fn offer(&mut self, hardware: Vec<ConductorHardware>) {
        let mut rings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let mut types: BTreeMap<String, HardwareType> = BTreeMap::new();
        for offer in hardware {
            if !self.alive.contains_key(&offer.hostname) {
                continue;
            }
            let name = offer.hardware_type.name.clone();
            self.hosts.entry(name.clone()).or_default().push(offer.hostname.clone());
            rings.entry((offer.conductor_group, name.clone())).or_default().push(offer.hostname);
            match types.entry(name) {
                std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(offer.hardware_type)),
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    merge(entry.get_mut(), offer.hardware_type);
                }
            }
        }
        self.hosts.values_mut().for_each(|hosts| hosts.sort());
        self.rings = rings.into_iter().map(|(key, hosts)| (key, Ring::of(hosts))).collect();
        self.hardware_types = types.into_values().collect();
    }
}

/// Adds what another conductor offers of the same hardware type.
fn merge(known: &mut HardwareType, other: HardwareType) {
    for (kind, implementations) in other.interfaces {
        let all = known.interfaces.entry(kind).or_default();
        let new: Vec<String> = implementations.into_iter().filter(|name| !all.contains(name)).collect();
        all.extend(new);
    }
    for (name, text) in other.properties {
        known.properties.entry(name).or_insert(text);
    }
}

/// Waits until a conductor is said to have come or gone.
async fn news(wakeups: &mut broadcast::Receiver<Wakeup>) {
    loop {
        match wakeups.recv().await {
            Ok(Wakeup::Notice { channel, .. }) if channel != CONDUCTOR_CHANNEL => {}
            // The store is closed: only the time goes on.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use db::{DatabaseUrl, Registration, Term};
    use model::{InterfaceKind, NodeUuid};
    use tempfile::TempDir;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    async fn store() -> (Db, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite(dir.path().join("site.db"));
        (Db::open(&db::Options::new(url)).await.unwrap(), dir)
    }

    fn offer(hostname: &str, group: &str, hardware: &str, power: &str) -> Registration {
        let interfaces = BTreeMap::from([(InterfaceKind::Power, vec![power.to_owned()])]);
        let hardware_type =
            HardwareType { name: hardware.to_owned(), interfaces, properties: BTreeMap::new() };
        Registration {
            hostname: hostname.to_owned(),
            conductor_group: group.to_owned(),
            hardware_types: vec![hardware_type],
        }
    }

    async fn until(members: &Members, what: impl Fn(&Members) -> bool) {
        let mut looks = members.looks();
        let wait = async {
            while !what(members) {
                looks.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    }

    #[tokio::test]
    async fn nodes_go_to_their_group_and_hardware_type() {
        let (db, _dir) = store().await;
        for (host, group, hardware, power) in [
            ("a", "", "ipmi", "ipmitool"),
            ("b", "", "redfish", "redfish"),
            ("c", "east", "ipmi", "fake"),
            ("d", "", "ipmi", "fake"),
        ] {
            db.register_conductor(offer(host, group, hardware, power)).await.unwrap();
        }
        let members = Members::start(db.clone(), Watch::default(), CancellationToken::new()).await.unwrap();
        let node = NodeUuid::random();
        assert_eq!(members.owner_of(node, "redfish", "").as_deref(), Some("b"));
        assert_eq!(members.owner_of(node, "ipmi", "east").as_deref(), Some("c"));
        assert_eq!(members.owner_of(node, "ipmi", "west"), None);
        assert!(["a", "d"].contains(&members.owner_of(node, "ipmi", "").unwrap().as_str()));
        assert_eq!(members.hosts_of("ipmi"), ["a", "c", "d"]);
        let types = members.hardware_types();
        assert_eq!(types[0].interfaces[&InterfaceKind::Power], ["ipmitool", "fake"]);
        assert_eq!(members.alive(), ["a", "b", "c", "d"]);
    }

    #[tokio::test]
    async fn the_silent_are_suspects_and_the_fenced_are_gone() {
        let (db, _dir) = store().await;
        let lively = Term::from(&db.register_conductor(offer("a", "", "ipmi", "x")).await.unwrap());
        db.register_conductor(offer("b", "", "ipmi", "x")).await.unwrap();
        let stop = CancellationToken::new();
        let watch = Watch { every: SOON, lease: Duration::from_millis(500) };
        let members = Members::start(db.clone(), watch, stop.clone()).await.unwrap();
        assert!(members.is_alive("b"));
        let signs = async {
            loop {
                db.touch_conductor(&lively).await.unwrap();
                tokio::time::sleep(SOON).await;
            }
        };
        tokio::select! {
            () = signs => {}
            () = until(&members, |members| !members.is_alive("b")) => {}
        }
        let suspects = members.suspects();
        assert_eq!(suspects.iter().map(|row| row.hostname.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(members.hosts_of("ipmi"), ["a"]);
        assert!(db.declare_conductor_dead(&suspects[0]).await.unwrap());
        until(&members, |members| members.suspects().iter().all(|row| row.hostname != "b")).await;
        // It comes back.
        db.register_conductor(offer("b", "", "ipmi", "x")).await.unwrap();
        until(&members, |members| members.is_alive("b")).await;
        stop.cancel();
    }
}
