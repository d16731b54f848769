//! A session on one connection.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::connection::classify;
use crate::session::{Cell, Expected, Param, Row, Session};
use crate::statement::{Statement, Text};
use crate::{DbError, NewEvent, event};

/// A connection for the length of one operation.
pub(super) struct SqliteSession<'c> {
    connection: &'c Connection,
    executed: &'c AtomicU64,
    notices: Vec<(String, String)>,
    told: Vec<NewEvent>,
}

impl<'c> SqliteSession<'c> {
    pub(super) fn new(connection: &'c Connection, executed: &'c AtomicU64) -> Self {
        Self { connection, executed, notices: Vec::new(), told: Vec::new() }
    }

    /// The wake-ups of the operation, to be sent after the commit.
    pub(super) fn into_notices(self) -> Vec<(String, String)> {
        self.notices
    }

    fn bound(&self, text: &Text<'_>, params: &[Param<'_>]) -> Result<CachedStatement<'c>, DbError> {
        self.executed.fetch_add(1, Ordering::Relaxed);
        let mut statement = self.prepared(text)?;
        for (index, param) in (1..).zip(params) {
            statement.raw_bind_parameter(index, param).map_err(|error| classify(error, &text.name()))?;
        }
        Ok(statement)
    }

    fn prepared(&self, text: &Text<'_>) -> Result<CachedStatement<'c>, DbError> {
        self.connection.prepare_cached(text.sqlite()).map_err(|error| classify(error, &text.name()))
    }
}

impl Session for SqliteSession<'_> {
    fn execute(&mut self, text: Text<'_>, params: &[Param<'_>]) -> Result<u64, DbError> {
        let mut statement = self.bound(&text, params)?;
        let changed = statement.raw_execute().map_err(|error| classify(error, &text.name()))?;
        Ok(changed as u64)
    }

    fn execute_later(
        &mut self,
        text: &'static Statement,
        params: &[Param<'_>],
        expected: Expected,
    ) -> Result<(), DbError> {
        expected.judge(self.execute(text.into(), params))
    }

    fn query(
        &mut self,
        text: Text<'_>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let mut statement = self.bound(&text, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| classify(error, &text.name()))? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    fn skipping_locked(&self) -> &'static str {
        ""
    }

    fn prepare(&mut self, text: Text<'_>) -> Result<(), DbError> {
        self.prepared(&text).map(|_| ())
    }

    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), DbError> {
        crate::wakeup::check(channel, payload)?;
        self.notices.push((channel.to_owned(), payload.to_owned()));
        Ok(())
    }

    fn tell(&mut self, event: NewEvent) {
        self.told.push(event);
    }

    fn take_told(&mut self) -> Vec<NewEvent> {
        std::mem::take(&mut self.told)
    }

    fn announce_events(&mut self) -> Result<(), DbError> {
        // There is one writer.
        Ok(())
    }

    fn ring(&mut self) -> Result<(), DbError> {
        self.notify(event::CHANNEL, "")
    }

    fn events_settled(&mut self) -> Result<Option<i64>, DbError> {
        Ok(None)
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// The value at `index` of a row.
pub(crate) fn cell<'r>(row: &'r rusqlite::Row<'_>, index: usize) -> Result<Cell<'r>, DbError> {
    let malformed = || DbError::Malformed { column: format!("number {index}") };
    match row.get_ref(index).map_err(|error| classify(error, "column"))? {
        ValueRef::Null => Ok(Cell::Null),
        ValueRef::Integer(value) => Ok(Cell::Int(value)),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map(Cell::Text).map_err(|_| malformed()),
        ValueRef::Real(_) | ValueRef::Blob(_) => Err(malformed()),
    }
}
