//! Questions that wait for their answers, by what ties the two together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::BusError;

/// Questions of one process that may wait at once.
const LIMIT: usize = 4096;

type Waiting = HashMap<String, oneshot::Sender<Result<String, BusError>>>;

/// The questions of a process.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    waiting: Arc<Mutex<Waiting>>,
}

/// A question that waits; forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    pending: Pending,
    correlation: String,
    answer: oneshot::Receiver<Result<String, BusError>>,
}

impl Pending {
    /// Room for one more question.
    pub(super) fn ticket(&self) -> Result<Ticket, BusError> {
        let (sender, answer) = oneshot::channel();
        let correlation = Uuid::new_v4().simple().to_string();
        let mut waiting = self.lock();
        if waiting.len() >= LIMIT {
            return Err(BusError::Full);
        }
        waiting.insert(correlation.clone(), sender);
        Ok(Ticket { pending: self.clone(), correlation, answer })
    }

    /// Hands an answer to whoever waits for it; to nobody when it comes late or a second time.
    pub(super) fn answered(&self, correlation: &str, answer: String) {
        let waiter = self.lock().remove(correlation);
        if waiter.is_none_or(|waiter| waiter.send(Ok(answer)).is_err()) {
            tracing::debug!(correlation, "an answer came that nobody waits for");
        }
    }

    /// Tells all who wait that no answer will come.
    pub(super) fn fail_all(&self, error: &BusError) {
        for (_, waiter) in self.lock().drain() {
            let _ = waiter.send(Err(error.clone()));
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// What ties the answer to the question.
    pub(super) fn correlation(&self) -> &str {
        &self.correlation
    }

    /// Waits for the answer.
    pub(super) async fn answer(mut self, deadline: Instant) -> Result<String, BusError> {
        match tokio::time::timeout_at(deadline, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(BusError::Lost),
            Err(_) => Err(BusError::Silent),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.correlation);
    }
}
