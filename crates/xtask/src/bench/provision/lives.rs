//! Lives: each node is enrolled, managed, provided, deployed, deleted and removed, many at once, by a client that waits as
//! clients do: it lists the nodes in the states that it waits for, again and again. The same for every server.

use super::super::load::{Call, Lines, Target};
use super::site::Machine;
use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// Lives under way at once.
pub(super) const AT_ONCE: usize = 128;
/// The same of a stock Ironic, which gets nothing out of more.
pub(super) const PEER_AT_ONCE: usize = 16;
/// Connections to a server.
const CONNECTIONS: usize = 16;
/// Between two looks at the lists.
const LOOK: Duration = Duration::from_millis(250);
/// How long a node may take to the next state.
const PATIENCE: Duration = Duration::from_mins(10);
/// Attempts of an order that the node is too busy for.
const ATTEMPTS: usize = 60;
/// The states that a life waits for.
const STATES: [&str; 3] = ["manageable", "available", "active"];

/// Who lives.
#[derive(Debug)]
pub(super) struct Newcomer {
    /// The body of the request that makes the node.
    node: Value,
    uuid: String,
    /// The address of its port, if it has one.
    mac: Option<String>,
}

/// What is to be lived.
#[derive(Debug)]
pub(super) struct Course {
    newcomers: Vec<Newcomer>,
    at_once: usize,
    /// What a node is told of its instance before it is deployed.
    instance: Option<Value>,
}

/// What was lived.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Lived {
    pub(super) lives: usize,
    pub(super) seconds: f64,
    /// Processor seconds of the server's own process.
    pub(super) cpu: f64,
    /// With those that work for it.
    pub(super) cpu_all: f64,
    /// Looks at the lists.
    pub(super) looks: usize,
    /// Orders that were sent again because the node was busy.
    pub(super) repeated: usize,
}

impl Course {
    /// Nodes whose hardware does nothing.
    pub(super) fn fake(lives: usize, at_once: usize) -> Self {
        let newcomer = |_| {
            let uuid = Uuid::new_v4().to_string();
            let node = json!({
                "uuid": uuid,
                "driver": "fake-hardware",
                "resource_class": "baremetal.large",
                "properties": {"cpu_arch": "x86_64", "cpus": 64, "memory_mb": 524_288, "local_gb": 960},
                "boot_interface": "fake",
                "deploy_interface": "fake",
                "management_interface": "fake",
                "network_interface": "noop",
                "power_interface": "fake",
                "storage_interface": "noop",
            });
            Newcomer { node, uuid, mac: None }
        };
        Self { newcomers: (0..lives).map(newcomer).collect(), at_once, instance: None }
    }

    /// Machines of a fleet, which are given the image of `instance`.
    pub(super) fn on_fleet(machines: &[Machine], instance: Value) -> Self {
        let newcomers = machines.iter().map(Newcomer::from).collect();
        Self { newcomers, at_once: AT_ONCE, instance: Some(instance) }
    }
}

impl From<&Machine> for Newcomer {
    fn from(machine: &Machine) -> Self {
        // Machines of two processes may have the same name: nodes have none.
        let node = json!({
            "uuid": machine.uuid,
            "driver": "ipmi",
            "driver_info": {
                "ipmi_address": machine.bmc_address,
                "ipmi_port": machine.bmc_port,
                "ipmi_username": machine.username,
                "ipmi_password": machine.password,
            },
            "resource_class": "baremetal.large",
            "properties": {"cpu_arch": "x86_64", "cpus": 64, "memory_mb": 524_288, "local_gb": 960},
        });
        Self { node, uuid: machine.uuid.clone(), mac: Some(machine.mac.clone()) }
    }
}

/// Lives all of a course. The first life that fails ends it.
pub(super) async fn live(target: &Target, course: &Course) -> Result<Lived> {
    let client = Client::new(target);
    let before = target.processor()?;
    let began = Instant::now();
    let lives = stream::iter(&course.newcomers)
        .map(|newcomer| one_life(&client, newcomer, course.instance.as_ref()))
        .buffer_unordered(course.at_once);
    client.attend(lives).await?;
    let seconds = began.elapsed().as_secs_f64();
    let after = target.processor()?;
    let client = client.counts();
    Ok(Lived {
        lives: course.newcomers.len(),
        seconds,
        cpu: (after.0.saturating_sub(before.0)).as_secs_f64(),
        cpu_all: (after.1.saturating_sub(before.1)).as_secs_f64(),
        looks: client.0,
        repeated: client.1,
    })
}

async fn one_life(client: &Client<'_>, newcomer: &Newcomer, instance: Option<&Value>) -> Result<()> {
    let uuid = &newcomer.uuid;
    client.enroll(newcomer).await?;
    client.verb(uuid, "manage", "manageable").await?;
    client.verb(uuid, "provide", "available").await?;
    if let Some(instance) = instance {
        client.set(uuid, instance).await?;
    }
    client.verb(uuid, "active", "active").await?;
    client.verb(uuid, "deleted", "available").await?;
    client.insist(Method::DELETE, format!("/v1/nodes/{uuid}"), String::new()).await
}

/// Where nodes are, as last listed.
type Seen = Arc<HashMap<String, &'static str>>;

/// A client that drives many nodes.
#[derive(Debug)]
pub(super) struct Client<'t> {
    pub(super) lines: Lines<'t>,
    seen: watch::Sender<Seen>,
    looks: AtomicUsize,
    repeated: AtomicUsize,
}

#[derive(Deserialize)]
struct List {
    nodes: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    uuid: String,
}

impl<'t> Client<'t> {
    pub(super) fn new(target: &'t Target) -> Self {
        Self {
            lines: Lines::new(target, CONNECTIONS),
            seen: watch::channel(Seen::default()).0,
            looks: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
        }
    }

    /// Looks at the lists until all `work` is done.
    pub(super) async fn attend(&self, work: impl stream::Stream<Item = Result<()>>) -> Result<()> {
        let work = async {
            tokio::pin!(work);
            while let Some(done) = work.next().await {
                done?;
            }
            Ok(())
        };
        tokio::select! {
            done = work => done,
            failed = self.look() => failed,
        }
    }

    /// Looks and repetitions so far.
    fn counts(&self) -> (usize, usize) {
        (self.looks.load(Ordering::Relaxed), self.repeated.load(Ordering::Relaxed))
    }

    async fn look(&self) -> Result<()> {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut seen = HashMap::new();
            for state in STATES {
                let path = format!("/v1/nodes?provision_state={state}&fields=uuid");
                let page = |body: &[u8]| {
                    let list: List = serde_json::from_slice(body).context("a list of nodes")?;
                    seen.extend(list.nodes.into_iter().map(|node| (node.uuid, state)));
                    Ok(())
                };
                self.lines.walk(path, page).await?;
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
            self.seen.send_replace(Arc::new(seen));
        }
    }

    /// Makes a node, and its port if it has one.
    pub(super) async fn enroll(&self, newcomer: &Newcomer) -> Result<()> {
        let node = Call::send(Method::POST, "/v1/nodes", newcomer.node.to_string());
        self.lines.order(&node).await?;
        if let Some(mac) = &newcomer.mac {
            let port = json!({"node_uuid": newcomer.uuid, "address": mac});
            self.lines.order(&Call::send(Method::POST, "/v1/ports", port.to_string())).await?;
        }
        Ok(())
    }

    /// Sets `instance_info`.
    pub(super) async fn set(&self, uuid: &str, instance: &Value) -> Result<()> {
        let patch = json!([{"op": "add", "path": "/instance_info", "value": instance}]);
        self.insist(Method::PATCH, format!("/v1/nodes/{uuid}"), patch.to_string()).await
    }

    /// Leaves out the cleaning of a node that becomes available.
    pub(super) async fn do_not_clean(&self, uuid: &str) -> Result<()> {
        let patch = json!([{"op": "add", "path": "/automated_clean", "value": false}]);
        self.insist(Method::PATCH, format!("/v1/nodes/{uuid}"), patch.to_string()).await
    }

    /// Asks for a change of the provision state.
    pub(super) async fn ask(&self, uuid: &str, target: &str) -> Result<()> {
        let body = json!({"target": target}).to_string();
        self.insist(Method::PUT, format!("/v1/nodes/{uuid}/states/provision"), body).await
    }

    /// The same, and waits for the state that it ends in.
    pub(super) async fn verb(&self, uuid: &str, target: &str, state: &str) -> Result<()> {
        // What was listed before the order is not its outcome: the state asked for is never the one that was left.
        self.ask(uuid, target).await?;
        let mut seen = self.seen.subscribe();
        let arrived = seen.wait_for(|seen| seen.get(uuid).is_some_and(|now| *now == state));
        if let Ok(arrived) = tokio::time::timeout(PATIENCE, arrived).await {
            return arrived.map(drop).context("nobody looks any more");
        }
        let node = self.lines.order(&Call::get(format!("/v1/nodes/{uuid}"))).await?;
        bail!("a node is not {state}: {}", String::from_utf8_lossy(&node));
    }

    /// Orders; again when somebody else is at work on the node just now.
    async fn insist(&self, method: Method, path: String, body: String) -> Result<()> {
        let call = Call::send(method, path, body);
        for _ in 1..ATTEMPTS {
            let (status, _) = self.lines.ask(&call).await?;
            if status.is_success() {
                return Ok(());
            }
            if status != StatusCode::CONFLICT {
                break;
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(LOOK).await;
        }
        self.lines.order(&call).await.map(drop)
    }
}
