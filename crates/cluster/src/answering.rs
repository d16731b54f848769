//! A conductor's side of the bus: reads a question, has it done, writes the answer. Begins nothing that comes too late.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use conductor_api::{Conductors, RequestError};
use futures_util::future::BoxFuture;
use model::Timestamp;
use tokio::time::Instant;

use crate::bus::{Answers, Question};
use crate::wire::{self, Asked, Outcome};

/// How far the clocks of two hosts may be apart. What is late is known by the bus, which reckons with one clock; but a
/// question that the asker's host held back for long is known to be late by the time of day alone.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);

/// Answers the questions for a conductor of this process.
pub struct Answering {
    conductors: Arc<dyn Conductors>,
    host: String,
}

impl Answering {
    /// For the conductor of `host`.
    pub fn new(conductors: Arc<dyn Conductors>, host: &str) -> Self {
        Self { conductors, host: host.to_owned() }
    }

    async fn answer(&self, question: Question) -> Option<String> {
        let Question { text, until, again } = question;
        let asked = wire::open::<Asked>(&text);
        drop(text);
        let outcome = match asked {
            Err(error) => {
                tracing::warn!(%error, "a request of another host cannot be read");
                let text =
                    format!("The request cannot be read by the conductor on host {}: {error}.", self.host);
                Outcome::Refused(RequestError::Unavailable(text))
            }
            Ok(asked) if until <= Instant::now() || asked.deadline.plus(CLOCKS_DIFFER) < Timestamp::now() => {
                tracing::info!(method = asked.request.method(), "a request came too late and is not begun");
                return None;
            }
            Ok(asked) if again => {
                tracing::info!(method = asked.request.method(), "a request came again and is not begun");
                Outcome::Refused(RequestError::Unavailable(format!(
                    "The message bus broke down while the conductor on host {} was asked; whether it was done is not known. Look at the node before trying again.",
                    self.host
                )))
            }
            Ok(asked) => asked.request.perform(&*self.conductors).await,
        };
        let sealed = wire::seal(&outcome).or_else(|error| {
            let text = format!("The answer of the conductor on host {} cannot be sent: {error}.", self.host);
            wire::seal(&Outcome::Refused(RequestError::Internal(text)))
        });
        sealed.ok()
    }
}

impl Answers for Answering {
    fn answer(&self, question: Question) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.answer(question))
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answering({})", self.host)
    }
}
