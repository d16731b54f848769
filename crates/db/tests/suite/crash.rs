//! A process that is killed while it writes: what it was answered is there, and nothing is half there.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use db::{Commit, DatabaseUrl, Db, NewEvent, Options, Scope, Whose};
use hostcmd::Command;
use model::{Node, NodeUuid};

use crate::events::told;
use crate::fixtures::{bare, everything, time};

/// Names the file to the child.
const CHILD: &str = "WROUGHT_TEST_CRASH_DB";

async fn open(path: &Path) -> Db {
    Db::open(&Options::new(DatabaseUrl::sqlite(path))).await.unwrap()
}

/// The child's half: eight writers, each on its node, that tell of every write they were answered. Does nothing unless
/// the other half starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let db = open(Path::new(&path)).await;
    let writers: Vec<_> = db
        .list_nodes(&everything())
        .await
        .unwrap()
        .into_iter()
        .map(|node| tokio::spawn(write_for_ever(db.clone(), node)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write_for_ever(db: Db, mut node: Node) {
    loop {
        let mut after = node.clone();
        after.lease_epoch += 1;
        let mut commit = Commit::new(node, after);
        let uuid = commit.before.uuid;
        let payload = "{}".to_owned();
        let event = NewEvent {
            kind: "k".to_owned(),
            node: Some(uuid),
            resource: None,
            whose: Whose::OfNode,
            payload,
            at: time(1),
        };
        commit.events = vec![event];
        node = db.commit(commit).await.unwrap();
        // One call of write(2): a line is whole or not there.
        let line = format!("\nanswered {} {}\n", node.uuid, node.lease_epoch);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_it_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crash.db");
    let db = open(&path).await;
    for _ in 0..8 {
        db.create_node(bare()).await.unwrap();
    }
    db.close().await;
    for (round, answers) in [40, 300, 900].into_iter().enumerate() {
        let log = dir.path().join(format!("child-{round}.log"));
        kill_after(&path, &log, answers).await;
        let answered = answered(&std::fs::read_to_string(&log).unwrap());
        assert!(answered.values().sum::<i64>() > 0);
        let db = open(&path).await;
        let events = told(&db).await;
        for (uuid, epoch) in answered {
            let node = db.get_node(&uuid.into(), &Scope::All).await.unwrap().unwrap();
            assert!(node.lease_epoch >= epoch, "{uuid}: {} < {epoch}", node.lease_epoch);
            assert!(node.lease_epoch <= epoch + 1, "one write at most was not answered");
            let told = events.iter().filter(|event| event.kind == "k" && event.node == Some(uuid)).count();
            assert_eq!(i64::try_from(told).unwrap(), node.lease_epoch, "an event for every write");
        }
        db.close().await;
    }
}

/// Runs the child and kills it (SIGKILL) when it has told of so many writes.
async fn kill_after(path: &Path, log: &Path, answers: usize) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture"])
        .env(CHILD, path)
        .spawn(log)
        .unwrap();
    let proc = format!("/proc/{}", child.id().unwrap());
    wait_for(|| std::fs::read_to_string(log).unwrap().matches("answered").count() >= answers).await;
    drop(child);
    wait_for(|| !Path::new(&proc).exists()).await;
}

async fn wait_for(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The last answer for each node.
fn answered(log: &str) -> BTreeMap<NodeUuid, i64> {
    log.lines()
        .filter_map(|line| line.strip_prefix("answered ")?.split_once(' '))
        .map(|(uuid, epoch)| (uuid.parse().unwrap(), epoch.parse().unwrap()))
        .collect()
}
