//! What only a file has: its mode, its damage, its age.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use db::{Commit, DatabaseUrl, Db, DbError, HistoryQuery, HistoryRetention, NodeKey, Options, Scope};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::fixtures::{bare, full};
use crate::nodes::entry;

const VERSION_1: &str = include_str!("../../migrations/sqlite/0001_nodes_ports_conductors_flows.sql");

async fn open(path: &Path) -> Result<Db, DbError> {
    Db::open(&Options::new(DatabaseUrl::sqlite(path))).await
}

/// Every migration was applied, once.
fn assert_all_applied(path: &Path) {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap().count();
    assert_eq!(applied(path), (1..=i64::try_from(files).unwrap()).collect::<Vec<_>>());
}

fn applied(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT version FROM schema_migrations ORDER BY version").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_new_file_gets_every_migration_and_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.db");
    open(&path).await.unwrap().close().await;
    assert_all_applied(&path);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date_with_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.db");
    let old = Connection::open(&path).unwrap();
    let mut sum = String::new();
    for byte in Sha256::digest(VERSION_1) {
        write!(sum, "{byte:02x}").unwrap();
    }
    old.execute_batch(
        "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)",
    )
    .unwrap();
    old.execute_batch(VERSION_1).unwrap();
    old.execute("INSERT INTO schema_migrations VALUES (1, 'one', ?1)", [&sum]).unwrap();
    old.execute_batch(
        "INSERT INTO nodes (revision, uuid, name, driver, provision_state, maintenance, lease_epoch, console_enabled,
            conductor_group, protected, retired, disable_power_off, boot_intent, created_at)
         VALUES (3, 'c2b0d3a4-4c0e-4f0e-9f3c-0e6a0a6f2c11', 'old', 'ipmi', 'active', 0, 0, 0, '', 0, 0, 0, 'disk', 5);
         INSERT INTO node_traits VALUES (1, 'HW_CPU_X86_VMX'), (1, 'CUSTOM_GPU')",
    )
    .unwrap();
    drop(old);
    let db = open(&path).await.unwrap();
    let node = db.get_node(&NodeKey::Name("old".to_owned()), &Scope::All).await.unwrap().unwrap();
    assert_eq!((node.revision, node.driver_info.as_str()), (3, "{}"));
    let traits: Vec<_> = node.traits.iter().map(model::Trait::as_str).collect();
    assert_eq!(traits, ["CUSTOM_GPU", "HW_CPU_X86_VMX"]);
    db.close().await;
    assert_all_applied(&path);
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.db");
    open(&path).await.unwrap().close().await;
    let tamper = |statement: &str| Connection::open(&path).unwrap().execute_batch(statement).unwrap();
    tamper("INSERT INTO schema_migrations VALUES (99, 'future', 'x')");
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, DbError::TooNew { found: 99, .. }));
    assert!(error.to_string().contains("run the newer program"), "{error}");
    tamper(
        "DELETE FROM schema_migrations WHERE version = 99; UPDATE schema_migrations SET checksum = 'y' WHERE version = 1",
    );
    assert!(matches!(open(&path).await, Err(DbError::ForeignMigration { version: 1 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.db");
    let opening: Vec<_> = (0..6)
        .map(|index| {
            let path = path.clone();
            tokio::spawn(async move {
                let db = open(&path).await.unwrap();
                db.create_node(full(&index.to_string())).await.unwrap();
                db
            })
        })
        .collect();
    for db in opening {
        db.await.unwrap().close().await;
    }
    assert_all_applied(&path);
    let db = open(&path).await.unwrap();
    assert_eq!(db.list_nodes(&crate::fixtures::everything()).await.unwrap().len(), 6);
    db.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&dir.path().join("no/such/dir.db")).await.unwrap_err();
    assert!(matches!(error, DbError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("check that its directory exists"), "{error}");
    let path = dir.path().join("text");
    std::fs::write(&path, "This is not a database, and long enough to be taken for one. ".repeat(50))
        .unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, DbError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

/// Far fewer pages than those from which on the writer would do it.
#[tokio::test]
async fn what_is_committed_comes_into_the_file_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let db = open(&path).await.unwrap();
    let size = || path.metadata().unwrap().len();
    let before = size();
    let came = async {
        while size() < before + 200_000 {
            db.create_node(bare()).await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), came).await.unwrap();
    let log = dir.path().join("log.db-wal").metadata().unwrap().len();
    assert!(log < 32 << 20, "{log}");
    db.close().await;
    assert!(!dir.path().join("log.db-wal").exists(), "the last to close empties the log");
}

#[tokio::test]
async fn a_damaged_value_names_its_column() {
    let dir = tempfile::tempdir().unwrap();
    let db = crate::sqlite_in(&dir).await;
    let node = db.create_node(bare()).await.unwrap();
    let path = dir.path().join("test.db");
    Connection::open(path).unwrap().execute_batch("UPDATE nodes SET provision_state = 'dancing'").unwrap();
    match db.get_node(&node.uuid.into(), &Scope::All).await {
        Err(DbError::Malformed { column }) => assert_eq!(column, "provision_state"),
        other => panic!("{other:?}"),
    }
    db.close().await;
}

#[tokio::test]
async fn history_is_kept_by_number_and_by_age() {
    let day: i64 = 86_400 * 1_000_000;
    for (count, days, left) in [(3, 0, 3), (0, 0, 0), (3, 5, 6), (9, 5, 9)] {
        let dir = tempfile::tempdir().unwrap();
        let age = std::time::Duration::from_hours(24 * days);
        let url = DatabaseUrl::sqlite(dir.path().join("new.db"));
        let db = Db::open(&Options { history: HistoryRetention { count, age }, ..Options::new(url) })
            .await
            .unwrap();
        let mut node = db.create_node(bare()).await.unwrap();
        for number in 1..=10 {
            let mut commit = Commit::new(node.clone(), node);
            commit.history = vec![entry(&number.to_string(), number * day)];
            node = db.commit(commit).await.unwrap();
        }
        let query = HistoryQuery { node: node.uuid, descending: true, marker: None, limit: 100 };
        let entries = db.history(&query).await.unwrap();
        assert_eq!(entries.len(), left, "{count} entries, {days} days");
        assert!(entries.first().is_none_or(|newest| newest.event == "10"));
        db.close().await;
    }
}
