//! The thread that writes. What waits in its queue is committed together: one `BEGIN IMMEDIATE`, a savepoint per
//! operation, one `COMMIT`, and only then the answers. An operation that fails undoes itself alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connection::classify;
use super::session::SqliteSession;
use crate::db::Shared;
use crate::error::Cause;
use crate::session::Session;
use crate::{DbError, Wakeup};

/// Operations that may wait; more callers wait outside.
const QUEUE: usize = 1024;
/// Operations committed together at most: bounds how long the first waits for the last.
const GROUP: usize = 128;

/// The caller's side.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Write(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// An operation with its answer.
trait Job: Send {
    /// Runs the operation and keeps its result. False when it failed.
    fn run(&mut self, session: &mut dyn Session) -> bool;

    /// Answers: with the kept result, or with why it was not committed.
    fn answer(self: Box<Self>, failure: Option<DbError>);
}

struct Typed<T, F> {
    operation: Option<F>,
    result: Result<T, DbError>,
    caller: oneshot::Sender<Result<T, DbError>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send,
    F: FnOnce(&mut dyn Session) -> Result<T, DbError> + Send,
{
    fn run(&mut self, session: &mut dyn Session) -> bool {
        if let Some(operation) = self.operation.take() {
            // A panic must cost its caller the answer, not everybody the writer.
            self.result =
                catch_unwind(AssertUnwindSafe(|| operation(session))).unwrap_or(Err(DbError::Closed));
        }
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, failure: Option<DbError>) {
        // A caller that went away does not want to know.
        let _ = self.caller.send(match failure {
            Some(failure) => self.result.and(Err(failure)),
            None => self.result,
        });
    }
}

impl Writer {
    pub(super) fn start(connection: Connection, shared: Arc<Shared>) -> Result<Self, DbError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("db-writer".to_owned())
            .spawn(move || work(connection, jobs, &shared))
            .map_err(|source| DbError::Open {
                url: "sqlite".to_owned(),
                remedy: "the system refuses a thread: check its limits",
                source: Cause::new(source),
            })?;
        Ok(Self { queue })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut dyn Session) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let (caller, answer) = oneshot::channel();
        let job = Typed { operation: Some(operation), result: Err(DbError::Closed), caller };
        self.queue.send(Message::Write(Box::new(job))).await.map_err(|_| DbError::Closed)?;
        answer.await.map_err(|_| DbError::Closed)?
    }

    /// Waits until what is queued is committed and the file is closed.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error says that the thread is gone already.
            let _ = closed.await;
        }
    }
}

fn work(connection: Connection, mut jobs: mpsc::Receiver<Message>, shared: &Shared) {
    let mut closing = None;
    while closing.is_none() {
        let Some(mut message) = jobs.blocking_recv() else { break };
        let mut group = Vec::new();
        loop {
            match message {
                Message::Write(job) => group.push(job),
                Message::Close(done) => {
                    closing = Some(done);
                    break;
                }
            }
            if group.len() == GROUP {
                break;
            }
            match jobs.try_recv() {
                Ok(next) => message = next,
                Err(_) => break,
            }
        }
        commit_group(&connection, group, shared);
    }
    drop(jobs);
    if let Err((_connection, error)) = connection.close() {
        tracing::warn!(%error, "the database was not closed cleanly; nothing is lost");
    }
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Runs a group in one transaction and answers each.
fn commit_group(connection: &Connection, group: Vec<Box<dyn Job>>, shared: &Shared) {
    let alone = group.len() == 1;
    let mut waiting = group.into_iter();
    // More than one turn only when an error of the disk broke the transaction off.
    while waiting.len() > 0 {
        if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
            waiting.for_each(|job| job.answer(Some(error.clone())));
            return;
        }
        let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(waiting.len());
        let mut notices = Vec::new();
        let mut broken = None;
        for mut job in waiting.by_ref() {
            match one(connection, &mut *job, alone, shared) {
                Ok(Some(sent)) => {
                    notices.extend(sent);
                    done.push(job);
                }
                Ok(None) => job.answer(None),
                Err(error) => {
                    job.answer(Some(error.clone()));
                    broken = Some(error);
                    break;
                }
            }
        }
        let failure = broken.or_else(|| finish(connection, done.is_empty()).err());
        if failure.is_none() {
            for (channel, payload) in notices {
                // Nobody listens: nobody needs to be woken.
                let _ = shared.wakeups.send(Wakeup::Notice { channel, payload });
            }
        }
        done.into_iter().for_each(|job| job.answer(failure.clone()));
    }
}

/// Runs one operation in its savepoint. Its wake-ups when it is to be committed, `None` when it failed and was undone,
/// an error when the whole transaction is lost.
fn one(
    connection: &Connection,
    job: &mut dyn Job,
    alone: bool,
    shared: &Shared,
) -> Result<Option<Vec<(String, String)>>, DbError> {
    if !alone {
        run(connection, "SAVEPOINT one")?;
    }
    let mut session = SqliteSession::new(connection, &shared.statements);
    let succeeded = job.run(&mut session);
    let notices = session.into_notices();
    // A full disk, for one, makes SQLite undo the whole transaction by itself.
    if connection.is_autocommit() {
        return Err(DbError::Full { source: Cause::new(BrokenOff) });
    }
    if !alone {
        if !succeeded {
            run(connection, "ROLLBACK TO one")?;
        }
        run(connection, "RELEASE one")?;
    }
    Ok(succeeded.then_some(notices))
}

/// Commits, or undoes what there is when nothing succeeded.
fn finish(connection: &Connection, nothing: bool) -> Result<(), DbError> {
    let ended = run(connection, if nothing { "ROLLBACK" } else { "COMMIT" });
    if ended.is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK")?;
    }
    ended
}

fn run(connection: &Connection, statement: &'static str) -> Result<(), DbError> {
    connection
        .prepare_cached(statement)
        .and_then(|mut prepared| prepared.raw_execute())
        .map(|_| ())
        .map_err(|error| classify(error, statement))
}

/// SQLite undid the transaction by itself.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was broken off by an error of the disk")]
struct BrokenOff;
