//! The bus that needs nothing but the store: messages are rows, and wake-ups say that there are some. A wake-up that is lost
//! costs a second, since everybody looks from time to time.

use std::sync::Arc;
use std::time::Duration;

use db::{Db, DbError, MESSAGE_CHANNEL, Message, NewMessage, Term, Wakeup};
use futures_util::future::BoxFuture;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::pending::Pending;
use super::{Answers, Bus, BusError, Desk, Question, STOP_LIMIT, Serving, another};

/// How long a wake-up that was lost goes unnoticed.
const LOOK: Duration = Duration::from_secs(1);
/// Between attempts to leave an answer with a store that is away.
const AGAIN: Duration = Duration::from_millis(500);
/// How often what nobody took is swept up.
const SWEEP: Duration = Duration::from_secs(30);
/// Messages read at once.
const BATCH: usize = 32;

/// Questions and answers as rows of the store.
#[derive(Debug)]
pub struct StoreBus {
    db: Db,
    /// Who takes the answers to this process.
    name: String,
    pending: Pending,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl StoreBus {
    /// Begins to listen for answers. The store's other users have to be there for the same site.
    pub fn open(db: Db) -> Self {
        let name = format!("process/{}", Uuid::new_v4().simple());
        let (pending, stop, tasks) = (Pending::default(), CancellationToken::new(), TaskTracker::new());
        let listener =
            Listener { db: db.clone(), name: name.clone(), pending: pending.clone(), stop: stop.clone() };
        tasks.spawn(listener.listen(db.wakeups()));
        Self { db, name, pending, stop, tasks }
    }

    async fn send(&self, host: &str, text: String, deadline: Instant) -> Result<String, BusError> {
        let ticket = self.pending.ticket()?;
        let message = NewMessage {
            recipient: conductor(host),
            reply_to: Some(self.name.clone()),
            correlation: ticket.correlation().to_owned(),
            body: text,
            wanted: deadline.saturating_duration_since(Instant::now()),
        };
        // A failure in the middle leaves open whether the row is there: asking again could do it twice.
        self.db.send_message(message).await.map_err(|error| BusError::NotSent {
            why: error.to_string(),
            maybe_begun: !matches!(error, DbError::Closed | DbError::NoticeTooLong { .. }),
        })?;
        ticket.answer(deadline).await
    }
}

impl Bus for StoreBus {
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
        let clerk = Clerk { db: self.db.clone(), desk };
        serving.tasks.spawn(clerk.serve(self.db.wakeups(), epochs));
        serving
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            self.tasks.close();
            let _ = tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await;
            self.pending.fail_all(&BusError::Lost);
        })
    }
}

impl Drop for StoreBus {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn conductor(host: &str) -> String {
    format!("conductor/{host}")
}

/// Waits until there may be a message for `name`.
async fn news(wakeups: &mut broadcast::Receiver<Wakeup>, name: &str) {
    loop {
        match wakeups.recv().await {
            Ok(Wakeup::Notice { channel, payload }) if channel != MESSAGE_CHANNEL || payload != name => {}
            // The store is closed: only the time goes on.
            Err(RecvError::Closed) => std::future::pending().await,
            _ => return,
        }
    }
}

/// Takes the answers to a process.
struct Listener {
    db: Db,
    name: String,
    pending: Pending,
    stop: CancellationToken,
}

impl Listener {
    async fn listen(self, mut wakeups: broadcast::Receiver<Wakeup>) {
        loop {
            tokio::select! {
                () = news(&mut wakeups, &self.name) => {}
                () = tokio::time::sleep(LOOK) => if self.pending.is_empty() { continue },
                () = self.stop.cancelled() => return,
            }
            if let Err(error) = self.look().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot read answers of other hosts"
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Reads, hands on, and only then drops: an answer outlives a store that goes away in between.
    async fn look(&self) -> Result<(), DbError> {
        loop {
            let came = self.db.read_messages(&self.name, BATCH).await?;
            let ids: Vec<i64> = came.iter().map(|message| message.id).collect();
            for Message { correlation, body, .. } in came {
                self.pending.answered(&correlation, body);
            }
            if !ids.is_empty() {
                self.db.drop_messages(&ids).await?;
            }
            if ids.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// Takes the questions for a host.
#[derive(Clone)]
struct Clerk {
    db: Db,
    desk: Desk,
}

impl Clerk {
    async fn serve(self, mut wakeups: broadcast::Receiver<Wakeup>, mut epochs: watch::Receiver<i64>) {
        let name = conductor(&self.desk.host);
        let mut swept = Instant::now();
        self.desk.open.send_replace(true);
        loop {
            let by = Term { hostname: self.desk.host.clone(), epoch: *epochs.borrow_and_update() };
            let more = match self.take(&by, &name).await {
                Ok(more) => more,
                // What is there is for whoever registered since: this one when it does so itself.
                Err(DbError::Fenced { .. }) => {
                    tracing::warn!(
                        host = self.desk.host,
                        epoch = by.epoch,
                        "requests are not taken any more"
                    );
                    tokio::select! {
                        () = another(&mut epochs) => {}
                        () = self.desk.stop.cancelled() => return,
                    }
                    tracing::info!(host = self.desk.host, "requests are taken again");
                    true
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot take requests of other hosts"
                    );
                    false
                }
            };
            if swept.elapsed() > SWEEP {
                swept = Instant::now();
                // What is not swept up now is the next time.
                let _ = self.db.prune_messages().await;
            }
            if self.desk.stop.is_cancelled() {
                return;
            }
            if !more {
                tokio::select! {
                    () = news(&mut wakeups, &name) => {}
                    () = tokio::time::sleep(LOOK) => {}
                    () = self.desk.stop.cancelled() => return,
                }
            }
        }
    }

    /// Takes as many as there is room for; whether there may be more.
    async fn take(&self, by: &Term, name: &str) -> Result<bool, DbError> {
        let Ok(first) = Arc::clone(&self.desk.room).acquire_owned().await else { return Ok(false) };
        let wanted = (self.desk.room.available_permits() + 1).min(BATCH);
        // Gone from the store before anything is done: what is lost with this process is not done by another one.
        let taken = self.db.take_messages_as(by, name, wanted).await?;
        let full = taken.len() == wanted;
        let mut permit = Some(first);
        for message in taken {
            let permit = match permit.take() {
                Some(permit) => permit,
                None => match Arc::clone(&self.desk.room).acquire_owned().await {
                    Ok(permit) => permit,
                    Err(_) => return Ok(false),
                },
            };
            let clerk = self.clone();
            self.desk.tasks.spawn(async move {
                clerk.answer(message).await;
                drop(permit);
            });
        }
        Ok(full)
    }

    async fn answer(&self, message: Message) {
        let (Some(left), Some(reply_to)) = (message.left, message.reply_to) else {
            tracing::debug!(host = self.desk.host, "a request came too late and is not begun");
            return;
        };
        let until = Instant::now() + left;
        let Some(answer) =
            self.desk.answers.answer(Question { text: message.body, until, again: false }).await
        else {
            return;
        };
        let reply = NewMessage {
            recipient: reply_to,
            reply_to: None,
            correlation: message.correlation,
            body: answer,
            wanted: Duration::ZERO,
        };
        // An answer that is there twice harms nobody.
        loop {
            let wanted = until.saturating_duration_since(Instant::now());
            let Err(error) = self.db.send_message(NewMessage { wanted, ..reply.clone() }).await else {
                return;
            };
            if !error.is_transient() || until <= Instant::now() {
                tracing::warn!(error = &error as &dyn std::error::Error, "an answer could not be sent");
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
