//! Notifications, read back from a real broker as oslo.messaging's readers get them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::bus::Broker;
use cluster::{Destination, Notifier};
use db::Db;
use futures_util::StreamExt as _;
use hostcmd::Command;
use lab::Rabbit;
use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Consumer, ExchangeKind};
use model::{Node, Secret, Timestamp};
use serde_json::Value;

use crate::site::Site;

const LONG: Duration = Duration::from_mins(5);
const EXCHANGE: &str = "ironic";

fn destination(host: &str) -> Destination {
    Destination {
        exchange: EXCHANGE.to_owned(),
        durable: true,
        topics: vec!["one".to_owned(), "two".to_owned()],
        host: host.to_owned(),
    }
}

/// A reader of a topic, of both priorities.
struct Reader {
    consumer: Consumer,
    _connection: Connection,
}

impl Reader {
    async fn of(server: &Rabbit, topic: &str) -> Self {
        let connection = connect(server).await;
        let channel = connection.create_channel().await.unwrap();
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let none = FieldTable::default();
        channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, none).await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(topic.into(), options, FieldTable::default()).await.unwrap();
        let queue = queue.name().clone();
        for priority in ["info", "error"] {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            let key = format!("{topic}.{priority}");
            channel.queue_bind(queue.clone(), EXCHANGE.into(), key.into(), options, none).await.unwrap();
        }
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await.unwrap();
        Self { consumer, _connection: connection }
    }

    async fn next(&mut self) -> Value {
        let delivery = tokio::time::timeout(LONG, self.consumer.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(delivery.properties.content_type().as_ref().unwrap().as_str(), "application/json");
        let envelope: Value = serde_json::from_slice(&delivery.data).unwrap();
        assert_eq!(envelope["oslo.version"], "2.0");
        serde_json::from_str(envelope["oslo.message"].as_str().unwrap()).unwrap()
    }

    /// The next ones, up to the creation of the node with this name: the names of the nodes that were created.
    async fn created_through(&mut self, last: &str) -> Vec<(String, String)> {
        let mut names = Vec::new();
        loop {
            let message = self.next().await;
            assert_eq!(message["event_type"], "baremetal.node.create.end");
            let payload = &message["payload"];
            assert_eq!(payload["ironic_object.name"], "NodeCRUDPayload");
            let name = payload["ironic_object.data"]["name"].as_str().unwrap().to_owned();
            names.push((name.clone(), message["message_id"].as_str().unwrap().to_owned()));
            if name == last {
                return names;
            }
        }
    }
}

/// A server that has just started may still hang up.
async fn connect(server: &Rabbit) -> Connection {
    let url = server.url();
    let connecting = async {
        loop {
            match Connection::connect(&url, ConnectionProperties::default()).await {
                Ok(connection) => return connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    tokio::time::timeout(LONG, connecting).await.unwrap()
}

async fn create(db: &Db, name: &str) {
    let mut node = Node::new("fake-hardware", Timestamp::now());
    node.name = Some(name.to_owned());
    db.create_node(node).await.unwrap();
}

/// In order, to each topic, once while nothing breaks, and from where they were after everything has.
pub(crate) async fn all(server: &mut Rabbit) {
    let site = Site::embedded().await;
    let broker = Broker::new(&Secret::new(server.url()), None, "notifications").unwrap();
    // The site's own node was created before anybody listened: that is not told.
    let notifiers =
        ["a", "b", "c"].map(|host| Notifier::start(site.db.clone(), broker.clone(), destination(host)));
    let (mut one, mut two) = (Reader::of(server, "one").await, Reader::of(server, "two").await);
    begun(&site.db).await;
    for index in 0..250 {
        create(&site.db, &format!("n{index}")).await;
    }
    let names = one.created_through("n249").await;
    let expected: Vec<String> = (0..250).map(|index| format!("n{index}")).collect();
    assert_eq!(names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(two.created_through("n249").await, names);
    for notifier in notifiers {
        notifier.stop().await;
    }
    // What happens while nobody publishes is told later, by another process.
    create(&site.db, "meanwhile").await;
    let next = Notifier::start(site.db.clone(), broker, destination("d"));
    assert_eq!(one.created_through("meanwhile").await.len(), 1);
    // And what happens while the broker is away.
    server.kill().await.unwrap();
    create(&site.db, "away").await;
    server.serve().await.unwrap();
    drop((one, two));
    create(&site.db, "back").await;
    let names = Reader::of(server, "one").await.created_through("back").await;
    assert_eq!(names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["away", "back"]);
    next.stop().await;
    site.db.close().await;
}

/// oslo.messaging itself understands them.
pub(crate) async fn as_oslo_messaging_reads_them(server: &Rabbit) {
    let site = Site::embedded().await;
    let broker = Broker::new(&Secret::new(server.url()), None, "notifications").unwrap();
    let destination = Destination { exchange: "oslo".to_owned(), durable: false, ..destination("here") };
    let notifier = Notifier::start(site.db.clone(), broker, destination);
    let url = server.url().replace("amqp://", "rabbit://").replace("/%2f", "/");
    let reader = Command::new(python())
        .args(["-c", include_str!("oslo_reader.py"), "oslo", "two", "3"])
        .stdin(url.into_bytes());
    let reading = tokio::spawn(async move { reader.output(LONG).await.unwrap() });
    let mut count = 0;
    while !reading.is_finished() {
        create(&site.db, &format!("n{count}")).await;
        count += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let output = reading.await.unwrap();
    let lines: Vec<Value> =
        output.stdout_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{}", output.stderr_text());
    for line in &lines {
        assert_eq!(line["publisher_id"], "ironic-api.here");
        assert_eq!(line["event_type"], "baremetal.node.create.end");
        assert_eq!(line["priority"], "info");
        assert_eq!(line["payload"]["ironic_object.data"]["driver"], "fake-hardware");
    }
    notifier.stop().await;
    site.db.close().await;
}

/// Python with oslo.messaging, which the lab has for Keystone.
#[expect(
    clippy::disallowed_methods,
    reason = "where the lab is, is said by the environment; only tests ask here"
)]
fn python() -> PathBuf {
    let lab = std::env::var("WROUGHT_LAB").unwrap_or_else(|_| "/var/tmp/wrought-lab".to_owned());
    let path = Path::new(&lab).join("keystone-venv/bin/python");
    assert!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}

/// Waits until somebody publishes.
async fn begun(db: &Db) {
    let wait = async {
        while db.claim_publishing("notifications", "the test", Duration::ZERO).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap();
}
