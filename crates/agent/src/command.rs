//! The commands of this boot: one at a time, each with a state that can be waited for.

use agent_api::{CommandError, CommandResult, CommandStatus, Progress};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// Commands that are remembered.
const REMEMBERED: usize = 500;

/// Why a command failed, in the protocol's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    kind: &'static str,
    message: &'static str,
    details: String,
    status: CommandStatus,
}

impl Failure {
    /// The command's work did not succeed.
    pub fn failed(details: impl Into<String>) -> Self {
        Self {
            kind: "CommandExecutionError",
            message: "Command execution failed",
            details: details.into(),
            status: CommandStatus::Failed,
        }
    }

    /// The same, with all causes of an error.
    pub fn because(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::failed(crate::console::chain(error))
    }

    /// An image could not be had, or is not what it should be.
    pub fn image(details: impl Into<String>) -> Self {
        Self { kind: "ImageDownloadError", message: "Error downloading image", ..Self::failed(details) }
    }

    /// The arguments do not fit: conductors know this kind.
    pub fn arguments(details: impl Into<String>) -> Self {
        Self { kind: "TypeError", message: "Invalid arguments", ..Self::failed(details) }
    }

    /// The list of steps was made by another agent.
    pub fn mismatch(details: impl Into<String>) -> Self {
        Self {
            kind: "VersionMismatch",
            message: "Hardware managers version mismatch, reload agent with correct version",
            status: CommandStatus::CleanVersionMismatch,
            ..Self::failed(details)
        }
    }

    /// What is wrong, for people.
    pub fn details(&self) -> &str {
        &self.details
    }

    fn error(&self) -> CommandError {
        let code = if self.status == CommandStatus::CleanVersionMismatch { 409 } else { 500 };
        CommandError::new(self.kind, code, self.message, self.details.clone())
    }
}

/// How a command ended: an object or null, or a failure.
pub type Outcome = Result<Value, Failure>;

/// One command.
#[derive(Debug)]
pub struct Command {
    id: String,
    name: String,
    outcome: watch::Sender<Option<Outcome>>,
    progress: watch::Sender<Option<Progress>>,
}

impl Command {
    fn new(name: &str) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            name: name.to_owned(),
            outcome: watch::Sender::new(None),
            progress: watch::Sender::new(None),
        }
    }

    /// Its name without the extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state in the protocol's words.
    pub fn result(&self) -> CommandResult {
        let outcome = self.outcome.borrow().clone();
        let (status, result, error) = match outcome {
            None => (CommandStatus::Running, Value::Null, None),
            Some(Ok(value)) => (CommandStatus::Succeeded, value, None),
            Some(Err(failure)) => (failure.status, Value::Null, Some(failure.error())),
        };
        CommandResult {
            id: self.id.clone(),
            command_name: self.name.clone(),
            command_status: status,
            command_error: error,
            command_result: result,
            command_progress: if status == CommandStatus::Running {
                self.progress.borrow().clone()
            } else {
                None
            },
        }
    }

    /// Returns when the command has ended.
    pub async fn ended(&self) {
        // The sender lives as long as `self`.
        let _ = self.outcome.subscribe().wait_for(Option::is_some).await;
    }

    /// Says how far the command is. Cheap; may be called as often as one likes.
    pub fn set_progress(&self, phase: &str, bytes_done: u64, bytes_total: Option<u64>) {
        self.progress.send_if_modified(|progress| {
            let next = Progress { phase: phase.to_owned(), bytes_done, bytes_total };
            let changed = progress.as_ref() != Some(&next);
            *progress = Some(next);
            changed
        });
    }

    /// How far the command is, and news of it.
    pub fn progress(&self) -> watch::Receiver<Option<Progress>> {
        self.progress.subscribe()
    }
}

/// Another command is still running.
#[derive(Debug, thiserror::Error)]
#[error("Agent is busy: executing command {running}")]
pub struct Busy {
    /// Its name.
    pub running: String,
}

/// All commands of this boot, oldest first.
#[derive(Debug, Default)]
pub struct Commands {
    list: Mutex<Vec<Arc<Command>>>,
    started: Notify,
}

impl Commands {
    /// Begins a command, unless one is running. The caller carries it out and calls [`Commands::end`].
    pub fn begin(&self, name: &str) -> Result<Arc<Command>, Busy> {
        let mut list = self.lock();
        if let Some(last) = list.last().filter(|last| last.outcome.borrow().is_none()) {
            return Err(Busy { running: last.name.clone() });
        }
        let command = Arc::new(Command::new(name));
        if list.len() >= REMEMBERED {
            list.remove(0);
        }
        list.push(command.clone());
        drop(list);
        self.started.notify_waiters();
        Ok(command)
    }

    /// Records how a command ended and wakes who waits for it.
    pub fn end(command: &Command, outcome: Outcome) {
        match &outcome {
            Ok(_) => tracing::info!("command {} done", command.name),
            Err(failure) => tracing::error!("command {} failed: {}", command.name, failure.details),
        }
        command.outcome.send_replace(Some(outcome));
    }

    /// States of all commands.
    pub fn results(&self) -> Vec<CommandResult> {
        self.lock().iter().map(|command| command.result()).collect()
    }

    /// One command by its identifier.
    pub fn find(&self, id: &str) -> Option<Arc<Command>> {
        self.lock().iter().find(|command| command.id == id).cloned()
    }

    /// The command that is running, as soon as there is one.
    pub async fn running(&self) -> Arc<Command> {
        loop {
            let started = self.started.notified();
            tokio::pin!(started);
            // Registered before looking, so that a command that starts in between is not missed.
            started.as_mut().enable();
            if let Some(last) = self.lock().last().filter(|last| last.outcome.borrow().is_none()) {
                return last.clone();
            }
            started.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Command>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let commands = Commands::default();
        let first = commands.begin("sync").expect("idle");
        let busy = commands.begin("sync").expect_err("busy");
        assert_eq!(busy.to_string(), "Agent is busy: executing command sync");
        Commands::end(&first, Ok(Value::Null));
        commands.begin("sync").expect("idle again");
        assert_eq!(commands.results().len(), 2);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let commands = Commands::default();
        for _ in 0..REMEMBERED + 3 {
            Commands::end(&commands.begin("sync").expect("idle"), Ok(Value::Null));
        }
        assert_eq!(commands.results().len(), REMEMBERED);
    }

    #[test]
    fn states_in_the_protocols_words() {
        let commands = Commands::default();
        let command = commands.begin("x").expect("idle");
        command.set_progress("write", 1, Some(2));
        assert_eq!(command.result().command_progress.expect("progress").bytes_done, 1);
        Commands::end(&command, Err(Failure::mismatch("other")));
        let result = command.result();
        assert_eq!(result.command_status, CommandStatus::CleanVersionMismatch);
        assert_eq!((result.command_progress, result.command_error.expect("error").text()), (None, "other"));
    }

    #[tokio::test]
    async fn ends_can_be_waited_for() {
        let commands = Commands::default();
        let command = commands.begin("x").expect("idle");
        assert_eq!(commands.running().await.name(), "x");
        tokio::join!(command.ended(), async { Commands::end(&command, Ok(Value::Null)) });
    }
}
