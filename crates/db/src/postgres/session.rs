//! A session on one connection. Each statement is one round trip, waited for on this thread.

use std::error::Error;
use std::pin::pin;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt as _;
use tokio::runtime::Handle;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::classify;
use crate::db::Shared;
use crate::session::{Cell, Find, Param, Row, Session};
use crate::statement::Text;
use crate::{DbError, NewEvent};

/// The channel that carries all wake-ups; the payload begins with the channel of the caller.
pub(super) const CHANNEL: &str = "wrought";
/// Prepared statements kept per connection. Lists have as many texts as there are combinations of filters.
const STATEMENTS: usize = 512;
/// Orders the writers of events.
const EVENT_LOCK: &str = "SELECT pg_advisory_xact_lock(7521968431073)";

/// A connection for the length of one operation.
pub(super) struct PostgresSession<'c> {
    runtime: &'c Handle,
    client: &'c ClientWrapper,
    shared: &'c Shared,
    transaction: Transaction,
    told: Vec<NewEvent>,
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
        Self { runtime, client, shared, transaction: Transaction::None, told: Vec::new() }
    }

    /// The statements that follow belong together, until [`Self::end`].
    pub(super) fn begin(&mut self) {
        self.transaction = Transaction::Wanted;
    }

    /// Makes what happened since [`Self::begin`] last, or undoes it.
    pub(super) fn end(&mut self, statement: &'static str) -> Result<(), DbError> {
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
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
        self.begin_with(async |session| {
            let wrong = |error| classify(error, &text.name());
            let statement = session.prepared(&text).await.map_err(wrong)?;
            session.client.execute_raw(&statement, params).await.map_err(wrong)
        })
    }

    fn query(
        &mut self,
        text: Text<'_>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
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

    fn prepare(&mut self, text: Text<'_>) -> Result<(), DbError> {
        self.runtime.block_on(self.prepared(&text)).map(|_| ()).map_err(|error| classify(error, &text.name()))
    }

    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), DbError> {
        crate::wakeup::check(channel, payload)?;
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

    fn order_events(&mut self) -> Result<(), DbError> {
        self.begin_with(async |session| {
            session.client.batch_execute(EVENT_LOCK).await.map_err(|error| classify(error, EVENT_LOCK))
        })
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
