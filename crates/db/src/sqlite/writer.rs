//! The thread that writes. What waits in its queue is committed together: one `BEGIN IMMEDIATE`, a savepoint per
//! operation, one `COMMIT`, and only then the answers. An operation that fails undoes itself alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpoints;
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
    /// `None` until it ran.
    result: Option<Result<T, DbError>>,
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
            let run = catch_unwind(AssertUnwindSafe(|| operation(session)));
            self.result = Some(run.unwrap_or(Err(DbError::Closed)));
        }
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, failure: Option<DbError>) {
        let answer = match (failure, self.result) {
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => result,
            (None, None) => Err(DbError::Closed),
        };
        // A caller that went away does not want to know.
        let _ = self.caller.send(answer);
    }
}

impl Writer {
    /// Starts the thread; without `checkpoints` the log is brought into the file by SQLite, in the writer's time.
    pub(super) fn start(
        connection: Connection,
        checkpoints: Option<Checkpoints>,
        shared: Arc<Shared>,
    ) -> Result<Self, DbError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("db-writer".to_owned())
            .spawn(move || work(connection, checkpoints, jobs, &shared))
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
        let job = Typed { operation: Some(operation), result: None, caller };
        self.queue.send(Message::Write(Box::new(job))).await.map_err(|_| DbError::Closed)?;
        answer.await.map_err(|_| DbError::Closed)?
    }

    /// How many are queued.
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
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

fn work(
    connection: Connection,
    mut checkpoints: Option<Checkpoints>,
    mut jobs: mpsc::Receiver<Message>,
    shared: &Shared,
) {
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
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.committed();
        }
    }
    drop(jobs);
    // First, so that the last to close the file, which empties the log, is this connection.
    if let Some(checkpoints) = checkpoints {
        checkpoints.stop();
    }
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
            for job in waiting {
                job.answer(Some(error.clone()));
            }
            return;
        }
        let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(waiting.len());
        let mut notices = Vec::new();
        let mut any = false;
        let mut failure = None;
        for mut job in waiting.by_ref() {
            match one(connection, &mut *job, alone, shared) {
                Ok(sent) => {
                    any |= sent.is_some();
                    notices.extend(sent.into_iter().flatten());
                    done.push(job);
                }
                Err(error) => {
                    job.answer(Some(error.clone()));
                    failure = Some(error);
                    break;
                }
            }
        }
        let ended = finish(connection, any && failure.is_none());
        let failure = failure.or(ended.err());
        if failure.is_none() {
            for (channel, payload) in notices {
                shared.wake(Wakeup::Notice { channel, payload });
            }
        }
        // Those that failed by themselves are answered now, too: what they ran into may have been undone.
        for job in done {
            job.answer(failure.clone());
        }
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

/// Commits or undoes; afterwards there is no transaction.
fn finish(connection: &Connection, commit: bool) -> Result<(), DbError> {
    if connection.is_autocommit() {
        return Ok(());
    }
    let ended = run(connection, if commit { "COMMIT" } else { "ROLLBACK" });
    if !connection.is_autocommit() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new())
    }

    fn connection(path: &std::path::Path) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        crate::migrate::sqlite(&mut connection).unwrap();
        connection
    }

    /// The disk fills up while groups are committed: each caller is told the truth about its own write.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_disk_is_told_to_those_it_concerns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("full.db");
        let small = connection(&path);
        let pages: i64 = small.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        small.pragma_query_value(None, "max_page_count", |row| row.get::<_, i64>(0)).unwrap();
        small.query_row(&format!("PRAGMA max_page_count = {}", pages + 40), [], |_| Ok(())).unwrap();
        let writer = Arc::new(Writer::start(small, None, shared()).unwrap());
        let writes: Vec<_> = (0..300)
            .map(|index| {
                let writer = Arc::clone(&writer);
                tokio::spawn(async move {
                    let (key, value) = (format!("key-{index}"), "v".repeat(2000));
                    let put = writer.write({
                        let key = key.clone();
                        move |session| account::put_setting(session, &key, &value)
                    });
                    (key, put.await)
                })
            })
            .collect();
        let (mut stored, mut refused) = (Vec::new(), Vec::new());
        for write in writes {
            match write.await.unwrap() {
                (key, Ok(())) => stored.push(key),
                (key, Err(DbError::Full { .. })) => refused.push(key),
                (key, Err(error)) => panic!("{key}: {error:?}"),
            }
        }
        assert!(!stored.is_empty() && !refused.is_empty(), "{} {}", stored.len(), refused.len());
        // What is small enough still goes in.
        writer.write(|session| account::put_user(session, "x", &model::Secret::new("y"))).await.unwrap();
        writer.close().await;
        let there: i64 = Connection::open(&path)
            .unwrap()
            .query_row("SELECT COUNT(*) FROM settings", [], |row| row.get(0))
            .unwrap();
        assert_eq!(usize::try_from(there).unwrap(), stored.len());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_that_somebody_holds_is_busy_and_then_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("busy.db");
        let ours = connection(&path);
        ours.busy_timeout(std::time::Duration::from_millis(20)).unwrap();
        let writer = Writer::start(ours, None, shared()).unwrap();
        let theirs = Connection::open(&path).unwrap();
        theirs.execute_batch("BEGIN IMMEDIATE").unwrap();
        let put = || writer.write(|session| account::put_setting(session, "key", "v"));
        let (one, two) = tokio::join!(put(), put());
        assert!(matches!((one, two), (Err(DbError::Busy { .. }), Err(DbError::Busy { .. }))));
        theirs.execute_batch("ROLLBACK").unwrap();
        put().await.unwrap();
        writer.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_costs_its_caller_alone() {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::start(connection(&dir.path().join("panic.db")), None, shared()).unwrap();
        let put = |key: &'static str| writer.write(move |session| account::put_setting(session, key, "v"));
        let panicking = writer.write(|session| -> Result<(), DbError> {
            account::put_setting(session, "half", "v")?;
            panic!("for the test")
        });
        let (one, panicked, two) = tokio::join!(put("one"), panicking, put("two"));
        assert!(one.is_ok() && two.is_ok() && matches!(panicked, Err(DbError::Closed)));
        let half = writer.write(|session| account::get_setting(session, "half")).await.unwrap();
        assert_eq!(half, None);
        writer.close().await;
        assert!(matches!(put("three").await, Err(DbError::Closed)));
    }
}
