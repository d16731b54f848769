//! What only a server has: several processes, a connection that breaks, no answer at all.

use std::time::Duration;

use db::{Db, DbError, EventQuery, Options, Scope, Term, Wakeup};
use lab::Postgres;
use model::FlowId;

use crate::conductors::{decision, registration};
use crate::fixtures::{bare, everything, full, store};

/// What a transaction says before its first event: that some above the last number will come.
const ANNOUNCE: &str = "BEGIN; SELECT pg_advisory_xact_lock_shared((22354::bigint << 48) | \
    (CASE WHEN is_called THEN last_value ELSE last_value - 1 END)) FROM events_id_seq";

async fn open(url: &str) -> Result<Db, DbError> {
    Db::open(&Options::new(url.parse().unwrap())).await
}

pub(crate) async fn all(server: &Postgres) {
    many_may_open_a_new_database_at_once(server).await;
    wake_ups_cross_processes_and_survive_a_broken_connection(server).await;
    an_event_that_is_committed_late_is_not_skipped(server).await;
    who_stands_still_in_a_transaction_holds_up_nobody(server).await;
    a_newer_database_is_refused(server).await;
    a_server_that_is_not_there_is_said(server).await;
}

async fn many_may_open_a_new_database_at_once(server: &Postgres) {
    let url = server.create_database("many").await.unwrap();
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

async fn wake_ups_cross_processes_and_survive_a_broken_connection(server: &Postgres) {
    let url = server.create_database("wakeups").await.unwrap();
    let (one, other) = (open(&url).await.unwrap(), open(&url).await.unwrap());
    let mut wakeups = one.wakeups();
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(20), wakeups.recv()).await.unwrap().unwrap();
    let notice = |payload: &str| Wakeup::Notice { channel: "c".to_owned(), payload: payload.to_owned() };
    other.notify("c", "1").await.unwrap();
    assert_eq!(next().await, notice("1"));
    server
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'wakeups'")
        .await
        .unwrap();
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

/// Numbers are given before the commit: one that has its number early and commits late is waited for by readers, or they
/// would go on from beyond it, and by no writer.
async fn an_event_that_is_committed_late_is_not_skipped(server: &Postgres) {
    let url = server.create_database("late").await.unwrap();
    let db = open(&url).await.unwrap();
    let (slow, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let query = EventQuery::new(Scope::All, 0, 10);
    let mut seen = Vec::new();
    for (number, end) in ["COMMIT", "ROLLBACK"].into_iter().enumerate() {
        // As the program does, but for the time between.
        slow.batch_execute(ANNOUNCE).await.unwrap();
        slow.batch_execute("INSERT INTO events (kind, payload, at) VALUES ('slow', '{}', 1)").await.unwrap();
        db.create_node(full(&number.to_string())).await.unwrap();
        let mut bell = db.events_changed();
        let page = db.events(&query).await.unwrap();
        let kinds: Vec<_> = page.events.iter().map(|event| event.kind.clone()).collect();
        assert!(kinds == seen && page.held, "{page:?}");
        assert_eq!(page.cursor, db.last_event().await.unwrap());
        slow.batch_execute(end).await.unwrap();
        if end == "COMMIT" {
            seen.push("slow".to_owned());
        }
        seen.push("baremetal.node.create.end".to_owned());
        // Nobody rings for those who gave up.
        let rung = tokio::time::timeout(Duration::from_secs(20), bell.changed());
        rung.await.expect("readers are told to look again").unwrap();
        let page = db.events(&query).await.unwrap();
        let kinds: Vec<_> = page.events.iter().map(|event| event.kind.clone()).collect();
        assert!(kinds == seen && !page.held, "{page:?}");
    }
    db.close().await;
}

/// A conductor that stands still has what it was just writing locked: all its other flows are taken over at once, and that
/// one when the server has lost patience.
async fn who_stands_still_in_a_transaction_holds_up_nobody(server: &Postgres) {
    let url = server.create_database("still").await.unwrap();
    let db = open(&url).await.unwrap();
    let dead = Term::from(&db.register_conductor(registration("dead", vec![])).await.unwrap());
    let two = Term::from(&db.register_conductor(registration("two", vec![])).await.unwrap());
    let nodes = store(&db, vec![bare(), bare(), bare()]).await;
    for node in &nodes {
        db.commit(decision(node, "dead", &dead, 1, FlowId::random())).await.unwrap();
    }
    // As the program does, with its limits, but for the time between.
    let limits = format!("{url}&options={}", db::SERVER_LIMITS.replace(' ', "%20").replace('=', "%3D"));
    let (slow, connection) = tokio_postgres::connect(&limits, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    slow.batch_execute("BEGIN").await.unwrap();
    let wrote = format!("UPDATE nodes SET revision = revision + 1 WHERE uuid = '{}'", nodes[1].uuid);
    slow.batch_execute(&wrote).await.unwrap();
    let seen = db.get_conductor("dead").await.unwrap().unwrap();
    assert!(db.declare_conductor_dead(&seen).await.unwrap());
    let strays = db.stray_flows().await.unwrap();
    let claim = async |strays| {
        let rows = db.claim_flows(strays, &two).await.unwrap();
        rows.into_iter().map(|row| row.node).collect::<Vec<_>>()
    };
    let mut claimed = claim(strays).await;
    claimed.sort_unstable();
    let mut others = vec![nodes[0].uuid, nodes[2].uuid];
    others.sort_unstable();
    assert_eq!(claimed, others, "not the one that is locked, and no waiting for it");
    // The server ends the connection, which frees the last one.
    let ended = tokio::time::timeout(Duration::from_mins(2), connection).await.unwrap().unwrap();
    assert!(ended.is_err(), "the server said why");
    let strays = db.stray_flows().await.unwrap();
    assert_eq!(claim(strays).await, [nodes[1].uuid]);
    db.close().await;
}

async fn a_newer_database_is_refused(server: &Postgres) {
    let url = server.create_database("newer").await.unwrap();
    open(&url).await.unwrap().close().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("INSERT INTO schema_migrations VALUES (99, 'future', 'x')").await.unwrap();
    assert!(matches!(open(&url).await, Err(DbError::TooNew { found: 99, .. })));
}

async fn a_server_that_is_not_there_is_said(server: &Postgres) {
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
