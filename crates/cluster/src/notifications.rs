//! What is told to others on the message bus of a cloud: the events of the store, as OpenStack's notifications
//! (oslo.messaging's driver `messagingv2`), so that whoever reads Ironic's reads these.
//!
//! Each event is published at least once, in order; how far it came is kept in the store. Of many processes one publishes at a
//! time. One that is published again has the same `message_id`. Makes no payloads: they come with the events.

mod oslo;

use std::time::Duration;

use db::{Db, DbError, Event, EventQuery, Scope};
use futures_util::future::BoxFuture;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ExchangeKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::bus::broker::{Session, confirming};
use crate::bus::{Broker, STOP_LIMIT};
use oslo::Sender;

/// Under which name the store keeps how far it came.
const NAME: &str = "notifications";
/// The setting that tells this site's events from those of others.
const SITE: &str = "notifications_site";
/// The kinds that are notifications.
const KINDS: &str = "baremetal.";
/// How long a process publishes without saying that it still does. Another one takes over after that.
const TERM: Duration = Duration::from_secs(30);
/// Between two looks when nothing is said to be new.
const LOOK: Duration = Duration::from_secs(10);
/// After a failure of the store.
const AGAIN: Duration = Duration::from_secs(1);
/// Events published in one go.
const BATCH: usize = 100;
/// A message that survives a restart of the broker, where its queue does.
const PERSISTENT: u8 = 2;

/// Where notifications go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The exchange, of type `topic`. Its readers' `control_exchange`.
    pub exchange: String,
    /// Whether the exchange outlives a restart of the broker. Its readers' `amqp_durable_queues`.
    pub durable: bool,
    /// The topics: each notification goes to each of them.
    pub topics: Vec<String>,
    /// The host that is named as the publisher.
    pub host: String,
}

/// Publishes notifications until it is stopped.
#[derive(Debug)]
pub struct Notifier {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Notifier {
    /// Begins to publish what happens from now on, or since it was published last.
    pub fn start(db: Db, broker: Broker, destination: Destination) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let holder = Uuid::new_v4().to_string();
        let session = Publishing { db, destination, holder, stop: stop.clone() };
        tasks.spawn(broker.keep(session, stop.clone()));
        tasks.close();
        Self { stop, tasks }
    }

    /// Ends; another process may go on at once.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("the last notifications may be published a second time after the next start");
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Publishing {
    db: Db,
    destination: Destination,
    holder: String,
    stop: CancellationToken,
}

/// How a look at the events ended.
enum Looked {
    /// There may be more.
    More,
    /// All is published, or by another process.
    Done,
}

/// A failure of the store ends a look, one of the broker the connection.
enum Broken {
    Store(DbError),
    Broker(lapin::Error),
}

impl From<DbError> for Broken {
    fn from(error: DbError) -> Self {
        Self::Store(error)
    }
}

impl From<lapin::Error> for Broken {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error)
    }
}

impl Publishing {
    async fn publish(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = confirming(connection).await?;
        let options =
            ExchangeDeclareOptions { durable: self.destination.durable, ..ExchangeDeclareOptions::default() };
        let exchange = self.destination.exchange.as_str().into();
        channel.exchange_declare(exchange, ExchangeKind::Topic, options, FieldTable::default()).await?;
        let mut changed = self.db.events_changed();
        loop {
            changed.mark_unchanged();
            let pause = match self.look(&channel).await {
                Ok(Looked::More) => continue,
                Ok(Looked::Done) => LOOK,
                Err(Broken::Store(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot read what is to be notified"
                    );
                    AGAIN
                }
                Err(Broken::Broker(error)) => return Err(error),
            };
            tokio::select! {
                // The store is closed: only the time goes on.
                changed = changed.changed() => if changed.is_err() { tokio::time::sleep(pause).await },
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {
                    // When this fails, another one goes on a little later.
                    let _ = self.db.resign_publishing(NAME, &self.holder).await;
                    return Ok(());
                }
            }
        }
    }

    /// Publishes what is new, if that is for this process to do.
    async fn look(&self, channel: &Channel) -> Result<Looked, Broken> {
        let claimed = self.db.claim_publishing(NAME, &self.holder, TERM).await?;
        let Some(position) = claimed.filter(|_| !self.stop.is_cancelled()) else { return Ok(Looked::Done) };
        let query =
            EventQuery { kinds: vec![KINDS.to_owned()], ..EventQuery::new(Scope::All, position, BATCH) };
        let page = match self.db.events(&query).await {
            Ok(page) => page,
            Err(DbError::EventsGone { oldest, .. }) => {
                tracing::error!(
                    from = position,
                    to = oldest,
                    "events were dropped before they could be notified"
                );
                return self.note(oldest).await;
            }
            Err(DbError::EventsAhead { newest, .. }) => {
                tracing::error!(
                    newest,
                    "the database is an older one: notifications go on from its newest event"
                );
                return self.note(newest).await;
            }
            Err(error) => return Err(error.into()),
        };
        let sender = self.sender().await?;
        // Nobody else has begun by then.
        let sending = tokio::time::timeout(TERM / 2, self.send(channel, &sender, &page.events));
        let late = |_| lapin::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        sending.await.map_err(late)??;
        if page.cursor == position {
            return Ok(Looked::Done);
        }
        let looked = self.note(page.cursor).await?;
        Ok(if page.full { looked } else { Looked::Done })
    }

    async fn note(&self, position: i64) -> Result<Looked, Broken> {
        if self.db.advance_publishing(NAME, &self.holder, position, TERM).await? {
            return Ok(Looked::More);
        }
        tracing::warn!("another process has taken over the notifications");
        Ok(Looked::Done)
    }

    async fn sender(&self) -> Result<Sender, DbError> {
        let site = self.db.setting_or(SITE, &Uuid::new_v4().to_string()).await?;
        let site = site.parse().unwrap_or_default();
        Ok(Sender { site, host: self.destination.host.clone() })
    }

    /// Publishes these, in order, and waits until the broker has all.
    async fn send(&self, channel: &Channel, sender: &Sender, events: &[Event]) -> lapin::Result<()> {
        let mut confirms = Vec::with_capacity(events.len() * self.destination.topics.len());
        for event in events {
            let message = sender.message(event);
            for topic in &self.destination.topics {
                let properties = BasicProperties::default()
                    .with_content_type("application/json".into())
                    .with_content_encoding("utf-8".into())
                    .with_delivery_mode(PERSISTENT);
                let confirm = channel.basic_publish(
                    self.destination.exchange.as_str().into(),
                    format!("{topic}.{}", message.priority.routed()).into(),
                    BasicPublishOptions::default(),
                    message.text.as_bytes(),
                    properties,
                );
                confirms.push(confirm.await?);
            }
        }
        for confirm in confirms {
            if let Confirmation::Nack(_) = confirm.await? {
                let refused = std::io::Error::other("the broker did not take a notification");
                return Err(refused.into());
            }
        }
        Ok(())
    }
}

impl Session for Publishing {
    fn name(&self) -> &'static str {
        "notifications"
    }

    fn live<'a>(&'a self, connection: &'a Connection) -> BoxFuture<'a, lapin::Result<()>> {
        Box::pin(self.publish(connection))
    }

    fn ended(&self) {}
}
