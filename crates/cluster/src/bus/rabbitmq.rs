//! The bus over a RabbitMQ server: a queue for each conductor, one for the answers to each process.
//!
//! A question that cannot be delivered comes back at once (`mandatory`), one that lies there for too long is dropped by the
//! broker. It is acknowledged before it is begun, so that it is not begun twice; one that was handed out before, and may have
//! been begun then, is refused.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Consumer, ErrorKind};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::broker::{Broker, Session, confirming};
use super::pending::Pending;
use super::{AT_ONCE, Answers, Bus, BusError, Desk, Question, STOP_LIMIT, Serving, another};
use crate::wire::LONGEST;

/// How long a question waits for a connection that is just being made.
const CONNECTING: Duration = Duration::from_secs(5);
/// Questions that are handed to a conductor and not begun.
const PREFETCH: u16 = 64;
/// Questions that may wait for a conductor; more are refused.
const QUEUE: i32 = 4096;
/// How long the queue of a conductor that is gone stays, in milliseconds.
const QUEUE_STAYS: i32 = 60_000;
/// Between attempts to send an answer.
const AGAIN: Duration = Duration::from_millis(500);

/// Questions and answers over a broker.
#[derive(Debug)]
pub struct RabbitBus {
    broker: Broker,
    pending: Pending,
    link: watch::Receiver<Option<Link>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Where questions are sent, and answers come.
#[derive(Debug, Clone)]
struct Link {
    channel: Channel,
    replies: ShortString,
}

impl RabbitBus {
    /// Begins to connect. Whoever asks meanwhile waits a little.
    pub fn open(broker: Broker) -> Self {
        let (pending, stop, tasks) = (Pending::default(), CancellationToken::new(), TaskTracker::new());
        let (sender, link) = watch::channel(None);
        let session = Asking { pending: pending.clone(), link: sender, stop: stop.clone() };
        tasks.spawn(broker.clone().keep(session, stop.clone()));
        Self { broker, pending, link, stop, tasks }
    }

    async fn send(&self, host: &str, text: String, deadline: Instant) -> Result<String, BusError> {
        let mut link = self.link.clone();
        let connected = tokio::time::timeout(CONNECTING, link.wait_for(Option::is_some)).await;
        let link = connected.ok().and_then(Result::ok).and_then(|link| link.clone());
        let unsent = |why: String, maybe_begun| BusError::NotSent { why, maybe_begun };
        let Some(link) = link else {
            return Err(unsent(format!("there is no connection to {}", self.broker), false));
        };
        let ticket = self.pending.ticket()?;
        let properties = BasicProperties::default()
            .with_correlation_id(ticket.correlation().into())
            .with_reply_to(link.replies)
            .with_expiration(milliseconds(deadline));
        let confirm = match publish(&link.channel, queue_of(host), &text, properties, true).await {
            Ok(confirm) => confirm,
            Err(error) => {
                let before = matches!(
                    error.kind(),
                    ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_)
                );
                return Err(unsent(error.to_string(), !before));
            }
        };
        drop(text);
        match confirm {
            Confirmation::Ack(Some(_)) => Err(BusError::NotServed),
            Confirmation::Nack(_) => Err(BusError::Full),
            Confirmation::Ack(None) | Confirmation::NotRequested => ticket.answer(deadline).await,
        }
    }
}

impl Bus for RabbitBus {
    fn ask<'a>(
        &'a self,
        host: &'a str,
        text: String,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<String, BusError>> {
        Box::pin(self.send(host, text, deadline))
    }

    fn serve(&self, host: &str, epochs: watch::Receiver<i64>, answers: Arc<dyn Answers>) -> Serving {
        let (desk, serving) = Desk::open(host, answers);
        let stop = desk.stop.clone();
        let clerk = Clerk { desk, epochs, back: Arc::new(watch::channel(None).0) };
        serving.tasks.spawn(self.broker.clone().keep(clerk, stop));
        serving
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            self.tasks.close();
            // A broker that says nothing any more keeps nobody from ending.
            let _ = tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await;
        })
    }
}

impl Drop for RabbitBus {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The queue of the conductor on `host`.
fn queue_of(host: &str) -> ShortString {
    // Longer ones than the protocol has room for name no host.
    let host: String = host.chars().take(200).collect();
    format!("wrought.conductor.{host}").into()
}

/// What is left until `deadline`, as the protocol writes it.
fn milliseconds(deadline: Instant) -> ShortString {
    deadline.saturating_duration_since(Instant::now()).as_millis().max(1).to_string().into()
}

/// Publishes to a queue, and waits until the broker has it.
async fn publish(
    channel: &Channel,
    queue: ShortString,
    text: &str,
    properties: BasicProperties,
    mandatory: bool,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    channel.basic_publish("".into(), queue, options, text.as_bytes(), properties).await?.await
}

/// The connection over which a process asks.
struct Asking {
    pending: Pending,
    link: watch::Sender<Option<Link>>,
    stop: CancellationToken,
}

impl Asking {
    async fn ask(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = confirming(connection).await?;
        let replies = connection.create_channel().await?;
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = replies.queue_declare("".into(), options, FieldTable::default()).await?;
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
        let name = queue.name().clone();
        let mut consumer =
            replies.basic_consume(name.clone(), "".into(), options, FieldTable::default()).await?;
        self.link.send_replace(Some(Link { channel, replies: name }));
        loop {
            let delivery = tokio::select! {
                delivery = consumer.next() => delivery,
                () = self.stop.cancelled() => return Ok(()),
            };
            let Some(delivery) = delivery.transpose()? else { return Ok(()) };
            let correlation = delivery.properties.correlation_id().as_ref().map(ToString::to_string);
            if let (Some(correlation), Some(text)) = (correlation, text_of(delivery.data)) {
                self.pending.answered(&correlation, text);
            }
        }
    }
}

impl Session for Asking {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn live<'a>(&'a self, connection: &'a Connection) -> BoxFuture<'a, lapin::Result<()>> {
        Box::pin(self.ask(connection))
    }

    fn ended(&self) {
        // The queue of the answers is gone with the connection.
        self.link.send_replace(None);
        self.pending.fail_all(&BusError::Lost);
    }
}

fn text_of(data: Vec<u8>) -> Option<String> {
    if data.len() > LONGEST {
        return None;
    }
    String::from_utf8(data).ok()
}

/// The connection over which a conductor is asked.
#[derive(Clone)]
struct Clerk {
    desk: Desk,
    epochs: watch::Receiver<i64>,
    /// Where answers are sent.
    back: Arc<watch::Sender<Option<Channel>>>,
}

impl Clerk {
    async fn serve(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let queue = queue_of(&self.desk.host);
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_STAYS));
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(QUEUE));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.clone(), options, arguments).await?;
        self.back.send_replace(Some(confirming(connection).await?));
        let mut epochs = self.epochs.clone();
        let epoch = *epochs.borrow_and_update();
        let mut consumer = self.consume(&channel, &queue, epoch).await?;
        tracing::info!(host = self.desk.host, "requests of other hosts are taken");
        self.desk.open.send_replace(true);
        loop {
            let delivery = tokio::select! {
                delivery = consumer.next() => delivery,
                () = another(&mut epochs) => {
                    // First the new place in the queue, then the old one is given up: there is always one.
                    let epoch = *epochs.borrow_and_update();
                    let anew = self.consume(&channel, &queue, epoch).await?;
                    let mut old = std::mem::replace(&mut consumer, anew);
                    channel.basic_cancel(old.tag(), BasicCancelOptions::default()).await?;
                    while let Some(delivery) = old.next().await {
                        self.begin(delivery?);
                    }
                    continue;
                }
                () = self.desk.stop.cancelled() => break,
            };
            let Some(delivery) = delivery.transpose()? else { return Ok(()) };
            self.begin(delivery);
        }
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        let options = QueueDeleteOptions { if_unused: true, ..QueueDeleteOptions::default() };
        channel.queue_delete(queue, options).await?;
        // The connection is needed until the last answer is sent.
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(STOP_LIMIT, self.desk.room.acquire_many(all)).await;
        Ok(())
    }

    /// Has questions handed to this process. Of two that claim to be the same host's conductor the one that was registered
    /// last is asked.
    async fn consume(&self, channel: &Channel, queue: &ShortString, epoch: i64) -> lapin::Result<Consumer> {
        let mut arguments = FieldTable::default();
        let priority = i32::try_from(epoch).unwrap_or(i32::MAX);
        arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue.clone(), "".into(), options, arguments).await
    }

    fn begin(&self, delivery: Delivery) {
        let (clerk, at) = (self.clone(), Instant::now());
        self.desk.tasks.spawn(async move { clerk.answer(delivery, at).await });
    }

    async fn answer(self, delivery: Delivery, at: Instant) {
        let Ok(_permit) = self.desk.room.acquire().await else { return };
        let (Some(reply_to), Some(correlation), Some(left)) = (
            delivery.properties.reply_to().clone(),
            delivery.properties.correlation_id().clone(),
            delivery.properties.expiration().as_ref().and_then(|text| text.as_str().parse().ok()),
        ) else {
            tracing::warn!(host = self.desk.host, "a message came that is no request");
            let _ = delivery.acker.ack(BasicAckOptions::default()).await;
            return;
        };
        let until = at + Duration::from_millis(left);
        if !matches!(delivery.acker.ack(BasicAckOptions::default()).await, Ok(true)) {
            // It will be handed out again.
            return;
        }
        let again = delivery.redelivered;
        let Some(text) = text_of(delivery.data) else { return };
        let Some(answer) = self.desk.answers.answer(Question { text, until, again }).await else { return };
        if tokio::time::timeout_at(until, self.send(&reply_to, &correlation, &answer, until)).await.is_err() {
            tracing::warn!(host = self.desk.host, "an answer could not be sent in time");
        }
    }

    /// Sends an answer, over the next connection when this one breaks. One that is there twice harms nobody.
    async fn send(&self, reply_to: &ShortString, correlation: &ShortString, answer: &str, until: Instant) {
        let mut back = self.back.subscribe();
        loop {
            let channel = match back.wait_for(Option::is_some).await {
                Ok(channel) => channel.clone(),
                Err(_) => return,
            };
            let Some(channel) = channel else { continue };
            let properties = BasicProperties::default()
                .with_correlation_id(correlation.clone())
                .with_expiration(milliseconds(until));
            match publish(&channel, reply_to.clone(), answer, properties, false).await {
                Ok(_) => return,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

impl Session for Clerk {
    fn name(&self) -> &'static str {
        "requests of other hosts"
    }

    fn live<'a>(&'a self, connection: &'a Connection) -> BoxFuture<'a, lapin::Result<()>> {
        Box::pin(self.serve(connection))
    }

    fn ended(&self) {
        self.desk.open.send_replace(false);
        self.back.send_replace(None);
    }
}
