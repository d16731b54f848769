//! What the common operations cost on each engine, in microseconds: `cargo bench -p db`. PostgreSQL is measured when
//! its server is installed.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people to read")]

use std::time::Duration;

use db::{DatabaseUrl, Db, NodeKey, NodeQuery, Options, Scope};
use model::{InterfaceKind, JsonObject, Node, NodeUuid, PowerState, Timestamp};
use tokio::time::Instant;

const NODES: usize = 10_000;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    for (name, full_sync) in [("SQLite", false), ("SQLite, synchronous=full", true)] {
        let path = dir.path().join(format!("{full_sync}.db"));
        let db = Db::open(&Options::new(DatabaseUrl::Sqlite { path, full_sync })).await.unwrap();
        measure(name, &db).await;
        db.close().await;
    }
    let server = lab::Postgres::start().await.unwrap();
    let url = server.create_database("bench").await.unwrap();
    server.empty("bench").await.unwrap();
    let db = Db::open(&Options::new(url.parse().unwrap())).await.unwrap();
    measure("PostgreSQL (fsync off)", &db).await;
    db.close().await;
    server.stop().await.unwrap();
}

/// A node as production has them: about 1.5 KiB, two traits.
fn node(index: usize) -> Node {
    let json = |text: String| JsonObject::parse(&text).unwrap();
    let mut node = Node::new("redfish", Timestamp::now());
    node.name = Some(format!("rack{:03}-node{:02}", index / 40, index % 40));
    node.driver_info = json(format!(
        r#"{{"redfish_address": "https://10.0.{}.{}", "redfish_username": "admin", "redfish_password": "0123456789abcdef",
        "deploy_kernel": "http://images.example/agent.kernel", "deploy_ramdisk": "http://images.example/agent.initramfs"}}"#,
        index / 250,
        index % 250
    ));
    node.properties = json(
        r#"{"cpu_arch": "x86_64", "cpus": 64, "memory_mb": 524288, "local_gb": 960, "capabilities": "boot_mode:uefi"}"#.to_owned(),
    );
    node.driver_internal_info =
        json(r#"{"agent_url": "https://10.1.0.1:9999", "agent_version": "11.0", "last_power_state_change": "2026-11-22"}"#.to_owned());
    for kind in InterfaceKind::ALL {
        node.interfaces.set(kind, Some("redfish".to_owned()));
    }
    node.power_state = Some(PowerState::On);
    node.resource_class = Some("baremetal.large".to_owned());
    node.traits = vec!["CUSTOM_GPU".parse().unwrap(), "HW_CPU_X86_VMX".parse().unwrap()];
    node
}

async fn measure(name: &str, db: &Db) {
    println!("\n{name}");
    let started = Instant::now();
    let creating: Vec<_> = (0..NODES)
        .map(|index| {
            tokio::spawn({
                let db = db.clone();
                async move { db.create_node(node(index)).await.unwrap() }
            })
        })
        .collect();
    let mut uuids = Vec::new();
    for node in creating {
        uuids.push(node.await.unwrap().uuid);
    }
    report("create, 10,000 at once", started.elapsed(), NODES);
    measure_reads(db, &uuids).await;
    measure_lists(db).await;
    measure_updates(db, &uuids[..32]).await;
}

async fn point(db: &Db, uuid: NodeUuid) -> Node {
    db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await.unwrap().unwrap()
}

async fn measure_reads(db: &Db, uuids: &[NodeUuid]) {
    for uuid in &uuids[..200] {
        point(db, *uuid).await;
    }
    let started = Instant::now();
    for uuid in &uuids[..5000] {
        point(db, *uuid).await;
    }
    report("point read, one after another", started.elapsed(), 5000);

    let started = Instant::now();
    let readers: Vec<_> = uuids
        .chunks(NODES / 16)
        .map(|part| {
            tokio::spawn({
                let (db, part) = (db.clone(), part.to_vec());
                async move {
                    for uuid in part {
                        point(&db, uuid).await;
                    }
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    report("point read, 16 tasks", started.elapsed(), NODES);
}

async fn measure_lists(db: &Db) {
    for limit in [100, 1000, NODES] {
        let query = NodeQuery { limit, ..NodeQuery::new(Scope::All) };
        let mut times = Vec::new();
        for _ in 0..7 {
            let started = Instant::now();
            assert_eq!(db.list_nodes(&query).await.unwrap().len(), limit);
            times.push(started.elapsed());
        }
        times.sort();
        report(&format!("list of {limit} (median)"), times[3], 1);
    }
}

async fn measure_updates(db: &Db, uuids: &[NodeUuid]) {
    let started = Instant::now();
    let mut current = point(db, uuids[0]).await;
    for _ in 0..1000 {
        current = touch(db, current).await;
    }
    report("update, one after another", started.elapsed(), 1000);

    let mut nodes = Vec::new();
    for uuid in uuids {
        nodes.push(point(db, *uuid).await);
    }
    let started = Instant::now();
    let writers: Vec<_> = nodes
        .into_iter()
        .map(|mut node| {
            tokio::spawn({
                let db = db.clone();
                async move {
                    for _ in 0..200 {
                        node = touch(&db, node).await;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    report("update, 32 tasks", started.elapsed(), 32 * 200);
}

/// A change as a heartbeat makes it.
async fn touch(db: &Db, before: Node) -> Node {
    let mut after = before.clone();
    after.lease_epoch += 1;
    after.provision_updated_at = Some(Timestamp::now());
    db.update_node(&before, after).await.unwrap()
}

fn report(what: &str, took: Duration, count: usize) {
    let each = took.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap());
    println!("  {what:32} {each:10.1} µs");
}
