//! What is in the stores that are measured: the same nodes and ports in ours and in the stock Ironic's, numbered.

use anyhow::{Context as _, Result};
use db::{Commit, DatabaseUrl, Db, FlowChange, FlowRow, NodeKey, Scope};
use futures_util::StreamExt as _;
use futures_util::stream;
use model::{
    InterfaceKind, JsonObject, MacAddr, Node, NodeUuid, Port, PowerState, ProvisionState, Timestamp,
};
use provision::{FlowKind, FlowRecord};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use uuid::Uuid;

use crate::say;

/// Nodes with an agent at work, which look themselves up and send heartbeats: the last of all nodes, or a quarter of few.
pub(super) const AT_WORK: usize = 256;
/// What their agents were given at lookup.
pub(super) const TOKEN: &str = "bench-token";
/// Owners, each with the same share of nodes.
pub(super) const OWNERS: usize = 100;
/// Nodes of one owner.
pub(super) const OWNER: &str = "project-7";

/// What would make a stock Ironic do something else than answer: its periodic tasks.
pub(super) const PEER_CONFIGURATION: &str = "[conductor]\nsync_power_state_interval = 0\ncheck_provision_state_interval = 0\n[sensor_data]\nsend_sensor_data = false\n";

/// The identifier of a node.
pub(super) fn node_uuid(index: usize) -> Uuid {
    numbered(0x8000, index)
}

fn numbered(kind: u64, index: usize) -> Uuid {
    Uuid::from_u64_pair(0x4000, (kind << 48) | u64::try_from(index).unwrap_or(u64::MAX))
}

/// The address of a node's port, which has two.
pub(super) fn address(node: usize, second: bool) -> String {
    let [.., high, middle, low] = node.to_be_bytes();
    format!("52:54:{:02x}:{high:02x}:{middle:02x}:{low:02x}", u8::from(second))
}

/// The first of the nodes with an agent at work.
pub(super) fn first_at_work(nodes: usize) -> usize {
    nodes - AT_WORK.min(nodes / 4)
}

/// Makes a store with `nodes` nodes in `folder` or at `url`. Where the file is, or would be.
pub(super) async fn fill(folder: &Path, url: Option<&str>, nodes: usize) -> Result<PathBuf> {
    say("filling our store");
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    let db = open(folder, url).await?;
    let created: Vec<Result<()>> = stream::iter(0..nodes)
        .map(|index| {
            let db = db.clone();
            async move {
                let node = db.create_node(node(index)?).await?;
                for second in [false, true] {
                    let address: MacAddr = address(index, second).parse()?;
                    db.create_port(Port::new(node.uuid, address, Timestamp::now())).await?;
                }
                Ok(())
            }
        })
        .buffered(64)
        .collect()
        .await;
    created.into_iter().collect::<Result<()>>()?;
    db.close().await;
    if let Some(url) = url {
        analyse(url).await?;
    }
    Ok(file(folder))
}

/// Puts the last nodes into cleaning, with an agent that may send heartbeats and a deploy interface that takes them down
/// (the fake one has no agent). To be done while the service runs: it would go on with such work when it starts, as it
/// would with work that no conductor holds.
pub(super) async fn put_agents_to_work(folder: &Path, url: Option<&str>, nodes: usize) -> Result<()> {
    let db = open(folder, url).await?;
    let conductor = db.list_conductors().await?.pop().context("the service has no conductor")?.hostname;
    for index in first_at_work(nodes)..nodes {
        let key = NodeKey::Uuid(NodeUuid::from_uuid(node_uuid(index)));
        let before = db.get_node(&key, &Scope::All).await?.context("a node is missing")?;
        let mut after = before.clone();
        after.provision_state = ProvisionState::Cleaning;
        after.interfaces.set(InterfaceKind::Deploy, Some("direct".to_owned()));
        after.driver_internal_info.set("agent_secret_token", json!(TOKEN));
        let now = Timestamp::now();
        let record = FlowRecord::of_plan(FlowKind::Clean, provision::Plan::default(), now);
        let flow = FlowRow {
            node: before.uuid,
            flow: record.id,
            kind: "clean".to_owned(),
            record: serde_json::to_string(&record)?,
            deadline_at: None,
            updated_at: now,
            conductor: conductor.clone(),
        };
        db.commit(Commit { flow: FlowChange::Put(flow), ..Commit::new(before, after) }).await?;
    }
    db.close().await;
    Ok(())
}

/// What PostgreSQL does by itself, within a minute of so many writes: looks at what the tables hold, to plan by it.
async fn analyse(url: &str) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute("VACUUM ANALYZE").await?;
    drop(client);
    Ok(connection.await??)
}

async fn open(folder: &Path, url: Option<&str>) -> Result<Db> {
    let url = match url {
        Some(url) => url.parse()?,
        None => DatabaseUrl::sqlite(file(folder)),
    };
    Ok(Db::open(&db::Options::new(url)).await?)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("data/wrought.db")
}

/// A node as production has them: about 1.5 KiB, two traits. `conformance/peer/fill.py` makes the same.
fn node(index: usize) -> Result<Node> {
    let object = |value: serde_json::Value| JsonObject::parse(&value.to_string());
    let mut node = Node::new("fake-hardware", Timestamp::now());
    node.uuid = NodeUuid::from_uuid(node_uuid(index));
    node.name = Some(format!("node-{index:05}"));
    node.driver_info = object(json!({
        "redfish_address": format!("https://10.0.{}.{}", index / 250, index % 250),
        "redfish_username": "admin",
        "redfish_password": "0123456789abcdef",
        "deploy_kernel": "http://images.example/agent.kernel",
        "deploy_ramdisk": "http://images.example/agent.initramfs",
    }))?;
    node.properties = object(json!({
        "cpu_arch": "x86_64", "cpus": 64, "memory_mb": 524_288, "local_gb": 960, "capabilities": "boot_mode:uefi",
    }))?;
    node.driver_internal_info = object(json!({"last_power_state_change": "2026-11-22T10:00:00.000000"}))?;
    node.extra = object(json!({"rack": format!("r{:03}", index / 40), "unit": index % 40}))?;
    for kind in InterfaceKind::ALL {
        let none = matches!(kind, InterfaceKind::Network | InterfaceKind::Storage);
        node.interfaces.set(kind, Some(if none { "noop" } else { "fake" }.to_owned()));
    }
    node.provision_state = ProvisionState::Available;
    node.power_state = Some(PowerState::On);
    node.resource_class = Some("baremetal.large".to_owned());
    node.owner = Some(format!("project-{}", index % OWNERS));
    node.traits = vec!["CUSTOM_GPU".parse()?, "HW_CPU_X86_VMX".parse()?];
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_names_that_the_script_makes_too() {
        assert_eq!(node_uuid(10).to_string(), "00000000-0000-4000-8000-00000000000a");
        assert_eq!(address(258, true), "52:54:01:00:01:02");
        assert_eq!(node(3).unwrap().owner.as_deref(), Some("project-3"));
        assert_eq!((first_at_work(10_000), first_at_work(8)), (9744, 6));
    }
}
