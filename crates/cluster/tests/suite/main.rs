//! Requests between processes over both buses, with real servers: PostgreSQL and RabbitMQ, started by the tests.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod buses;
mod double;
mod notified;
mod requests;
mod routes;
mod site;

use std::sync::Arc;

use cluster::bus::{Broker, RabbitBus, StoreBus};
use lab::{Postgres, Rabbit, Shutdown};
use model::Secret;
use site::Site;

/// Everything that a bus is to do, over rows of the embedded store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_sqlite() {
    let site = Site::embedded().await;
    let open = |_: &Site| StoreBus::open(site.db.clone());
    buses::all(&site, open).await;
    buses::a_zombie_takes_nothing(&site, &open(&site)).await;
}

/// Everything that a bus is to do, over rows of a server, which goes away in the midst of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_postgresql() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.create_database("bus").await.unwrap();
    let site = Site::of(&url).await;
    let open = |_: &Site| StoreBus::open(site.db.clone());
    buses::all(&site, open).await;
    buses::a_zombie_takes_nothing(&site, &open(&site)).await;
    let other = Site::of(&url).await;
    let (asking, serving) = (StoreBus::open(site.db.clone()), StoreBus::open(other.db.clone()));
    buses::a_break_is_survived(&asking, &serving, async || {
        server.restart(Shutdown::Immediate).await.unwrap();
    })
    .await;
    site.db.close().await;
    other.db.close().await;
    server.stop().await.unwrap();
}

/// Everything that a bus is to do, over a broker, which goes away in the midst of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq() {
    let mut server = Rabbit::start().await.unwrap();
    let site = Site::embedded().await;
    let plain = Broker::new(&Secret::new(server.url()), None, "tests").unwrap();
    buses::all(&site, |_| RabbitBus::open(plain.clone())).await;
    routes::the_dead_are_not_waited_for(Arc::new(RabbitBus::open(plain.clone()))).await;
    buses::nobody_there_is_said_at_once(&RabbitBus::open(plain.clone())).await;
    buses::the_newer_of_two_is_asked(&RabbitBus::open(plain.clone())).await;
    buses::a_new_registration_is_asked_first(&RabbitBus::open(plain.clone())).await;
    let tls_url = Secret::new(server.tls_url());
    let tls = Broker::new(&tls_url, Some(server.certificate().unwrap()), "tests over TLS").unwrap();
    buses::a_question_is_answered(&RabbitBus::open(tls)).await;
    let distrusting = Broker::new(&tls_url, None, "distrustful").unwrap();
    buses::nothing_is_sent(&RabbitBus::open(distrusting)).await;
    let (asking, serving) = (RabbitBus::open(plain.clone()), RabbitBus::open(plain));
    buses::a_break_is_survived(&asking, &serving, async || {
        server.restart().await.unwrap();
    })
    .await;
    notified::as_oslo_messaging_reads_them(&server).await;
    notified::all(&mut server).await;
}
