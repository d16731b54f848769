//! A session on one connection. Each statement is one round trip, waited for on this thread.

use std::error::Error;
use std::pin::pin;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::classify;
use crate::db::Shared;
use crate::session::{Cell, Expected, Find, Param, Row, Session};
use crate::statement::{Statement, Text};
use crate::{DbError, NewEvent};

/// The channel that carries all wake-ups; the payload begins with the channel of the caller.
pub(super) const CHANNEL: &str = "wrought";
/// Prepared statements kept per connection. Lists have as many texts as there are combinations of filters.
const STATEMENTS: usize = 512;
/// Statements sent together at most: as many are polled in their order.
const TOGETHER: usize = 24;
/// Says that this transaction will have events with numbers above the one in the lock's key: the last that was given out
/// before. Any number that no other user of the server is likely to take is above it. The lock is shared: nobody waits.
const ANNOUNCE: &str = "SELECT pg_advisory_xact_lock_shared((22354::bigint << 48) | \
    (CASE WHEN is_called THEN last_value ELSE last_value - 1 END)) FROM events_id_seq";
/// The lowest number that a transaction under way has announced. A lock goes after its transaction's changes are seen.
const SETTLED: &str = "SELECT MIN((classid::bigint & 65535) << 32 | objid::bigint) FROM pg_locks WHERE locktype = 'advisory' \
    AND objsubid = 1 AND classid::bigint >> 16 = 22354 \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// A connection for the length of one operation.
pub(super) struct PostgresSession<'c> {
    runtime: &'c Handle,
    client: &'c ClientWrapper,
    shared: &'c Shared,
    transaction: Transaction,
    told: Vec<NewEvent>,
    later: Vec<Later>,
    rings: bool,
}

/// A statement that is to be sent with others.
struct Later {
    text: Text<'static>,
    params: Vec<Param<'static>>,
    expected: Expected,
}

/// Where the transaction of an operation stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// It begins together with the first statement: one round trip less.
    Wanted,
    /// It was begun and not ended, or nobody knows.
    Open,
}

impl<'c> PostgresSession<'c> {
    pub(super) fn new(runtime: &'c Handle, client: &'c ClientWrapper, shared: &'c Shared) -> Self {
        let (told, later) = (Vec::new(), Vec::new());
        Self { runtime, client, shared, transaction: Transaction::None, told, later, rings: false }
    }

    /// The statements that follow belong together, until [`Self::end`].
    pub(super) fn begin(&mut self) {
        self.transaction = Transaction::Wanted;
    }

    /// Whether readers of events are to look again, once the transaction is committed.
    pub(super) fn rings(&self) -> bool {
        self.rings
    }

    /// Makes what happened since [`Self::begin`] last.
    pub(super) fn commit(&mut self) -> Result<(), DbError> {
        self.send_later()?;
        self.end("COMMIT")
    }

    /// Undoes what happened since [`Self::begin`].
    pub(super) fn roll_back(&mut self) -> Result<(), DbError> {
        self.later.clear();
        self.end("ROLLBACK")
    }

    fn end(&mut self, statement: &'static str) -> Result<(), DbError> {
        if self.transaction == Transaction::Open {
            self.runtime
                .block_on(self.client.batch_execute(statement))
                .map_err(|error| classify(error, statement))?;
        }
        self.transaction = Transaction::None;
        Ok(())
    }

    /// Whether a transaction was begun and not ended, or nobody knows.
    pub(super) fn in_transaction(&self) -> bool {
        self.transaction == Transaction::Open
    }

    /// Does `work`; the transaction, if one is wanted and not begun, begins in the same breath: what is sent first is
    /// done first.
    fn begin_with<T>(&mut self, work: impl AsyncFnOnce(&Self) -> Result<T, DbError>) -> Result<T, DbError> {
        let wanted = self.transaction == Transaction::Wanted;
        if !wanted {
            return self.runtime.block_on(work(self));
        }
        self.transaction = Transaction::Open;
        let session = &*self;
        let begin = session.client.batch_execute("BEGIN");
        let (begun, done) = session.runtime.block_on(async { tokio::join!(biased; begin, work(session)) });
        begun.map_err(|error| classify(error, "BEGIN"))?;
        done
    }

    /// Sends what was kept for later, each statement behind the other without waiting for its answer.
    fn send_later(&mut self) -> Result<(), DbError> {
        let mut later = std::mem::take(&mut self.later).into_iter().peekable();
        while later.peek().is_some() {
            let some: Vec<Later> = later.by_ref().take(TOGETHER).collect();
            self.begin_with(async |session| session.send(some).await)?;
        }
        Ok(())
    }

    async fn send(&self, statements: Vec<Later>) -> Result<(), DbError> {
        let mut prepared = Vec::with_capacity(statements.len());
        for Later { text, .. } in &statements {
            prepared.push(self.prepared(text).await.map_err(|error| classify(error, &text.name()))?);
        }
        let sent = prepared.iter().zip(&statements);
        let outcomes =
            join_all(sent.map(|(statement, later)| self.client.execute_raw(statement, &later.params)));
        // The first that failed made those behind it fail.
        for (outcome, Later { text, expected, .. }) in outcomes.await.into_iter().zip(statements) {
            expected.judge(outcome.map_err(|error| classify(error, &text.name())))?;
        }
        Ok(())
    }

    fn keep(&mut self, text: Text<'static>, params: &[Param<'_>], expected: Expected) {
        let params = params.iter().map(|param| param.clone().into_owned()).collect();
        self.later.push(Later { text, params, expected });
    }

    async fn prepared(&self, text: &Text<'_>) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        prepared(self.client, text).await
    }
}

async fn prepared(
    client: &ClientWrapper,
    text: &Text<'_>,
) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
    if client.statement_cache.size() >= STATEMENTS {
        client.statement_cache.clear();
    }
    client.prepare_cached(&text.postgres()).await
}

/// Finds one object outside of any session.
pub(super) async fn find<T>(
    client: &ClientWrapper,
    shared: &Shared,
    find: &Find<T>,
) -> Result<Option<T>, DbError> {
    shared.statements.fetch_add(1, Ordering::Relaxed);
    let wrong = |error| classify(error, &find.text().name());
    let statement = prepared(client, &find.text()).await.map_err(wrong)?;
    let mut rows = pin!(client.query_raw(&statement, find.params()).await.map_err(wrong)?);
    let row = rows.try_next().await.map_err(wrong)?;
    row.map(|row| find.decode(&Row::Postgres(&row))).transpose()
}

impl Session for PostgresSession<'_> {
    fn execute(&mut self, text: Text<'_>, params: &[Param<'_>]) -> Result<u64, DbError> {
        self.send_later()?;
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
        self.begin_with(async |session| {
            let wrong = |error| classify(error, &text.name());
            let statement = session.prepared(&text).await.map_err(wrong)?;
            session.client.execute_raw(&statement, params).await.map_err(wrong)
        })
    }

    fn execute_later(
        &mut self,
        text: &'static Statement,
        params: &[Param<'_>],
        expected: Expected,
    ) -> Result<(), DbError> {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
        self.keep(text.into(), params, expected);
        Ok(())
    }

    fn query(
        &mut self,
        text: Text<'_>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        self.send_later()?;
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
        self.begin_with(async |session| {
            let wrong = |error| classify(error, &text.name());
            let statement = session.prepared(&text).await.map_err(wrong)?;
            let mut rows = pin!(session.client.query_raw(&statement, params).await.map_err(wrong)?);
            while let Some(row) = rows.try_next().await.map_err(wrong)? {
                each(&Row::Postgres(&row))?;
            }
            Ok(())
        })
    }

    fn skipping_locked(&self) -> &'static str {
        " FOR UPDATE SKIP LOCKED"
    }

    fn prepare(&mut self, text: Text<'_>) -> Result<(), DbError> {
        self.runtime.block_on(self.prepared(&text)).map(|_| ()).map_err(|error| classify(error, &text.name()))
    }

    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), DbError> {
        crate::wakeup::check(channel, payload)?;
        self.send_later()?;
        let message = format!("{channel}\n{payload}");
        self.begin_with(async |session| {
            let wrong = |error| classify(error, "pg_notify");
            let statement = session.client.prepare_cached("SELECT pg_notify($1, $2)").await.map_err(wrong)?;
            session.client.execute(&statement, &[&CHANNEL, &message]).await.map(drop).map_err(wrong)
        })
    }

    fn tell(&mut self, event: NewEvent) {
        self.told.push(event);
    }

    fn take_told(&mut self) -> Vec<NewEvent> {
        std::mem::take(&mut self.told)
    }

    fn announce_events(&mut self) -> Result<(), DbError> {
        self.keep(Text::Built(ANNOUNCE), &[], Expected::success("events"));
        Ok(())
    }

    fn ring(&mut self) -> Result<(), DbError> {
        self.rings = true;
        Ok(())
    }

    fn events_settled(&mut self) -> Result<Option<i64>, DbError> {
        let mut settled = None;
        self.query(Text::Built(SETTLED), &[], &mut |row| {
            settled = row.take(0)?;
            Ok(())
        })?;
        Ok(settled)
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, to: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => text.as_ref().to_sql(to, out),
            Self::Int(value) if *to == Type::INT2 => i16::try_from(*value)?.to_sql(to, out),
            Self::Int(value) if *to == Type::INT4 => i32::try_from(*value)?.to_sql(to, out),
            Self::Int(value) => value.to_sql(to, out),
        }
    }

    fn accepts(to: &Type) -> bool {
        matches!(*to, Type::INT2 | Type::INT4 | Type::INT8 | Type::TEXT | Type::VARCHAR)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(from: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *from {
            Type::INT2 => Cell::Int(i16::from_sql(from, raw)?.into()),
            Type::INT4 => Cell::Int(i32::from_sql(from, raw)?.into()),
            Type::INT8 => Cell::Int(i64::from_sql(from, raw)?),
            _ => Cell::Text(<&str>::from_sql(from, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(from: &Type) -> bool {
        matches!(*from, Type::INT2 | Type::INT4 | Type::INT8 | Type::TEXT | Type::VARCHAR)
    }
}

/// The value at `index` of a row.
pub(crate) fn cell(row: &tokio_postgres::Row, index: usize) -> Result<Cell<'_>, DbError> {
    row.try_get(index).map_err(|error| classify(error, "column"))
}
