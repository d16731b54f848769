//! What only a server has: several processes, a connection that breaks, no answer at all.

use std::time::Duration;

use db::{Db, DbError, EventQuery, Options, Scope, Wakeup};

use crate::fixtures::{everything, full};
use crate::server::TempPg;

async fn open(url: &str) -> Result<Db, DbError> {
    Db::open(&Options::new(url.parse().unwrap())).await
}

pub(crate) async fn all(server: &TempPg) {
    many_may_open_a_new_database_at_once(server).await;
    wake_ups_cross_processes_and_survive_a_broken_connection(server).await;
    an_event_that_is_committed_late_is_not_skipped(server).await;
    a_newer_database_is_refused(server).await;
    a_server_that_is_not_there_is_said(server).await;
}

async fn many_may_open_a_new_database_at_once(server: &TempPg) {
    let url = server.create_database("many").await;
    let opening: Vec<_> = (0..3)
        .map(|index| {
            let url = url.clone();
            tokio::spawn(async move {
                let db = open(&url).await.unwrap();
                db.create_node(full(&index.to_string())).await.unwrap();
                db
            })
        })
        .collect();
    for db in opening {
        db.await.unwrap().close().await;
    }
    let db = open(&url).await.unwrap();
    assert_eq!(db.list_nodes(&everything()).await.unwrap().len(), 3);
    db.close().await;
}

async fn wake_ups_cross_processes_and_survive_a_broken_connection(server: &TempPg) {
    let url = server.create_database("wakeups").await;
    let (one, other) = (open(&url).await.unwrap(), open(&url).await.unwrap());
    let mut wakeups = one.wakeups();
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(20), wakeups.recv()).await.unwrap().unwrap();
    let notice = |payload: &str| Wakeup::Notice { channel: "c".to_owned(), payload: payload.to_owned() };
    other.notify("c", "1").await.unwrap();
    assert_eq!(next().await, notice("1"));
    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'wakeups'").await;
    assert_eq!(next().await, Wakeup::MayHaveMissed);
    // The pool's connections are gone, too: an operation or two may fail, then all is well.
    let mut failures = 0;
    while let Err(error) = other.notify("c", "2").await {
        assert!(error.is_transient(), "{error:?}");
        failures += 1;
        assert!(failures < 5);
    }
    assert_eq!(next().await, notice("2"));
    one.close().await;
    other.close().await;
}

/// Numbers are given before the commit: one that has its number early and commits late must not be overtaken by others,
/// or readers would go on from beyond it.
async fn an_event_that_is_committed_late_is_not_skipped(server: &TempPg) {
    let url = server.create_database("late").await;
    let db = open(&url).await.unwrap();
    let (slow, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // As the program does, but for the time between.
    slow.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7521968431073)").await.unwrap();
    slow.batch_execute("INSERT INTO events (kind, payload, at) VALUES ('slow', '{}', 1)").await.unwrap();
    let writer = tokio::spawn({
        let db = db.clone();
        async move { db.create_node(full("fast")).await.unwrap() }
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let (other, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while other.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(tokio::time::Instant::now() < patience, "the writer does not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let query = EventQuery::new(Scope::All, 0, 10);
    let page = db.events(&query).await.unwrap();
    assert!(page.events.is_empty() && page.cursor == 0, "{page:?}");
    assert!(!writer.is_finished());
    slow.batch_execute("COMMIT").await.unwrap();
    writer.await.unwrap();
    let page = db.events(&query).await.unwrap();
    let kinds: Vec<_> = page.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["slow", "baremetal.node.create.end"]);
    db.close().await;
}

async fn a_newer_database_is_refused(server: &TempPg) {
    let url = server.create_database("newer").await;
    open(&url).await.unwrap().close().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("INSERT INTO schema_migrations VALUES (99, 'future', 'x')").await.unwrap();
    assert!(matches!(open(&url).await, Err(DbError::TooNew { found: 99, .. })));
}

async fn a_server_that_is_not_there_is_said(server: &TempPg) {
    let error = open(&server.url("nobody_made_this")).await.unwrap_err();
    assert!(matches!(error, DbError::Unreachable { .. }), "{error:?}");
    let error = open("postgres://postgres:hush@127.0.0.1:1/x").await.unwrap_err();
    assert!(matches!(error, DbError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
    // Better refused than sent in the clear.
    let error = open("postgres://postgres:hush@127.0.0.1:1/x?sslmode=require").await.unwrap_err();
    assert!(matches!(error, DbError::Open { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("hush"));
}
