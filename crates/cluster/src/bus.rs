//! The way between processes: questions to the conductor on a host, each with a deadline, and their answers.
//!
//! A question is begun at most once. One that is lost, on the way or with the process that took it, is its asker's failure,
//! and one that comes after its deadline is not begun. Knows texts, not what they say.

pub(crate) mod broker;
mod pending;
mod rabbitmq;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use broker::{Broker, InvalidBroker};
pub use rabbitmq::RabbitBus;
pub use store::StoreBus;

/// Questions that a conductor works on at once. Most wait for a BMC or the store.
const AT_ONCE: usize = 256;
/// How long a stop waits for answers that are under way.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Carries questions to conductors, and takes them.
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Asks the conductor on `host`, which is not to begin after `deadline`, and waits for its answer.
    fn ask<'a>(
        &'a self,
        host: &'a str,
        text: String,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<String, BusError>>;

    /// The same, and waits until `deadline` at most.
    fn request<'a>(
        &'a self,
        host: &'a str,
        text: String,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<String, BusError>> {
        Box::pin(async move {
            let asking = self.ask(host, text, deadline);
            tokio::time::timeout_at(deadline, asking).await.unwrap_or(Err(BusError::Silent))
        })
    }

    /// Takes the questions for `host` from now on, as its conductor in the registration with the number that `epochs` tells,
    /// also when there is another one: of two that claim to be the same host's, the one that was registered last is asked.
    fn serve(&self, host: &str, epochs: watch::Receiver<i64>, answers: Arc<dyn Answers>) -> Serving;

    /// Ends the connections. Those who wait are told.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Whoever answers questions.
pub trait Answers: Send + Sync + 'static {
    /// Answers; `None` when nobody waits for it any more.
    fn answer(&self, question: Question) -> BoxFuture<'_, Option<String>>;
}

/// A question that came.
pub struct Question {
    /// What it says.
    pub text: String,
    /// Until when it is to be begun, by this process's clock.
    pub until: Instant,
    /// Whether it was handed out before, to somebody who may have begun it.
    pub again: bool,
}

/// How long it is, never what it says.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({} bytes)", self.text.len())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// Nobody takes questions for the host: not begun.
    #[error("nobody takes requests there")]
    NotServed,
    /// There is no room for more: not begun.
    #[error("too many requests wait for it already")]
    Full,
    /// It could not be sent: not begun, but for a rare case (see `maybe_begun`).
    #[error("the request could not be sent: {why}")]
    NotSent {
        /// What went wrong.
        why: String,
        /// Whether it may have arrived nevertheless.
        maybe_begun: bool,
    },
    /// No answer came in time.
    #[error("it did not answer in time")]
    Silent,
    /// The way back was lost while the answer was waited for.
    #[error("the message bus broke down while its answer was waited for")]
    Lost,
}

impl BusError {
    /// Whether the question may have been begun, so that asking again may do it twice.
    pub fn maybe_begun(&self) -> bool {
        match self {
            Self::NotServed | Self::Full => false,
            Self::NotSent { maybe_begun, .. } => *maybe_begun,
            Self::Silent | Self::Lost => true,
        }
    }
}

/// Questions being taken. They are until [`Serving::stop`], or until this is dropped.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    tasks: TaskTracker,
    open: watch::Receiver<bool>,
}

impl Serving {
    /// Waits until questions do arrive: until there is a connection for them.
    pub async fn ready(&self) {
        // It never is when the bus is gone: whoever waits then stops by other means.
        let _ = self.open.clone().wait_for(|open| *open).await;
    }

    /// Takes no more questions, and waits some seconds for the answers that are under way.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests of other hosts were not answered before the stop");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until there is another registration, however long that takes.
async fn another(epochs: &mut watch::Receiver<i64>) {
    if epochs.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What the two ways of taking questions have in common.
#[derive(Clone)]
struct Desk {
    host: String,
    answers: Arc<dyn Answers>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
    open: Arc<watch::Sender<bool>>,
}

impl Desk {
    fn open(host: &str, answers: Arc<dyn Answers>) -> (Self, Serving) {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (open, opened) = watch::channel(false);
        let serving = Serving { stop: stop.clone(), tasks: tasks.clone(), open: opened };
        let room = Arc::new(Semaphore::new(AT_ONCE));
        (Self { host: host.to_owned(), answers, room, stop, tasks, open: Arc::new(open) }, serving)
    }
}
