//! What an operation sees of a database: statements with bound parameters, and rows read by index.
//!
//! Operations are synchronous. They run on the calling thread, on a thread that may block, or on SQLite's writer
//! thread, and cannot tell.

use std::borrow::Cow;
use std::fmt;

use crate::statement::{Statement, Text};
use crate::stored::Stored;
use crate::{DbError, NewEvent};

/// A value bound to a statement.
#[derive(Clone, PartialEq)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
}

impl Param<'_> {
    /// The same value, owning its text.
    pub(crate) fn into_owned(self) -> Param<'static> {
        match self {
            Param::Null => Param::Null,
            Param::Int(value) => Param::Int(value),
            Param::Text(text) => Param::Text(Cow::Owned(text.into_owned())),
        }
    }
}

/// The kind only: values may be secrets.
impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int",
            Self::Text(_) => "Text",
        })
    }
}

/// A value of a row, borrowed from it.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
}

impl Cell<'_> {
    /// The value as a parameter of another statement.
    pub(crate) fn to_param(self) -> Param<'static> {
        match self {
            Cell::Null => Param::Null,
            Cell::Int(value) => Param::Int(value),
            Cell::Text(text) => Param::Text(Cow::Owned(text.to_owned())),
        }
    }
}

/// One row of an answer.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value at `index`, which counts from 0.
    pub(crate) fn cell(&self, index: usize) -> Result<Cell<'_>, DbError> {
        match self {
            Self::Sqlite(row) => crate::sqlite::cell(row, index),
            Self::Postgres(row) => crate::postgres::cell(row, index),
        }
    }

    /// The value at `index` as `T`.
    pub(crate) fn take<T: Stored>(&self, index: usize) -> Result<T, DbError> {
        T::read(self.cell(index)?).ok_or_else(|| DbError::Malformed { column: self.column(index) })
    }

    fn column(&self, index: usize) -> String {
        match self {
            Self::Sqlite(row) => row.as_ref().column_name(index).unwrap_or("?").to_owned(),
            Self::Postgres(row) => row.columns().get(index).map_or("?", |column| column.name()).to_owned(),
        }
    }
}

/// Reads the values of a row one after another.
pub(crate) struct Cells<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Cells<'r> {
    pub(crate) fn new(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    /// The next value.
    pub(crate) fn take<T: Stored>(&mut self) -> Result<T, DbError> {
        self.next += 1;
        self.row.take(self.next - 1)
    }

    /// The next value, text or nothing, where it is.
    pub(crate) fn text(&mut self) -> Result<Option<&'r str>, DbError> {
        self.next += 1;
        match self.row.cell(self.next - 1)? {
            Cell::Text(text) => Ok(Some(text)),
            Cell::Null => Ok(None),
            Cell::Int(_) => Err(DbError::Malformed { column: self.row.column(self.next - 1) }),
        }
    }
}

/// What is expected of a statement whose outcome is looked at later.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// What the statement is about, for errors.
    pub(crate) key: String,
    /// The noun of which a row must have changed; none when it does not matter.
    pub(crate) changed: Option<&'static str>,
}

impl Expected {
    /// That it succeeds.
    pub(crate) fn success(key: &(impl ToString + ?Sized)) -> Self {
        Self { key: key.to_string(), changed: None }
    }

    /// What an outcome means.
    pub(crate) fn judge(self, outcome: Result<u64, DbError>) -> Result<(), DbError> {
        match (outcome, self.changed) {
            (Ok(0), Some(what)) => Err(DbError::NotFound { what, key: self.key }),
            (Ok(_), _) => Ok(()),
            (Err(error), _) => Err(error.with_value(|_| self.key)),
        }
    }
}

/// A database, or a transaction on it, for the length of one operation.
pub(crate) trait Session {
    /// Runs a statement that answers no rows; how many it changed.
    fn execute(&mut self, text: Text<'_>, params: &[Param<'_>]) -> Result<u64, DbError>;

    /// Runs a statement that answers no rows after all that came before it, and before the operation is committed: where
    /// a statement is a way there and back, several go together. What does not fit `expected` fails the operation.
    fn execute_later(
        &mut self,
        text: &'static Statement,
        params: &[Param<'_>],
        expected: Expected,
    ) -> Result<(), DbError>;

    /// Runs a statement and hands each row to `each`, in order.
    fn query(
        &mut self,
        text: Text<'_>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError>;

    /// What a selection of rows to remove ends with, so that those which another transaction removes are left out. Empty
    /// where there is one writer at a time.
    fn skipping_locked(&self) -> &'static str;

    /// Parses a statement against the schema without running it.
    fn prepare(&mut self, text: Text<'_>) -> Result<(), DbError>;

    /// Sends a wake-up when, and only when, the transaction commits.
    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), DbError>;

    /// Keeps an event until the operation has succeeded; then it is recorded, in the same transaction.
    fn tell(&mut self, event: NewEvent);

    /// The events kept so far, which are forgotten.
    fn take_told(&mut self) -> Vec<NewEvent>;

    /// From here to the end of this transaction readers know that events may come with numbers that are given out
    /// from now on. To be called last, and before the insertion.
    fn announce_events(&mut self) -> Result<(), DbError>;

    /// Readers of events are to look again when, and only when, the transaction commits.
    fn ring(&mut self) -> Result<(), DbError>;

    /// The number up to which no transaction under way has an event to come; none when none has any. What is asked for
    /// before this is asked has been committed or never will be, up to there.
    fn events_settled(&mut self) -> Result<Option<i64>, DbError>;
}

/// All rows.
pub(crate) fn all<'t, T>(
    session: &mut dyn Session,
    text: impl Into<Text<'t>>,
    params: &[Param<'_>],
    decode: impl Fn(&Row<'_>) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    let mut rows = Vec::new();
    session.query(text.into(), params, &mut |row| {
        rows.push(decode(row)?);
        Ok(())
    })?;
    Ok(rows)
}

/// Rows handed on at once.
const CHUNK: usize = 32;

/// Hands all rows to `each`, a few at a time: what it leaves of them is dropped.
pub(crate) fn in_chunks<T>(
    session: &mut dyn Session,
    text: &String,
    params: &[Param<'_>],
    decode: impl Fn(&Row<'_>) -> Result<T, DbError>,
    each: &mut dyn FnMut(&mut Vec<T>),
) -> Result<(), DbError> {
    let mut chunk = Vec::with_capacity(CHUNK);
    session.query(text.into(), params, &mut |row| {
        chunk.push(decode(row)?);
        if chunk.len() == CHUNK {
            each(&mut chunk);
            chunk.clear();
        }
        Ok(())
    })?;
    if !chunk.is_empty() {
        each(&mut chunk);
    }
    Ok(())
}

/// One statement that gives one row at most, and how the row is read: all there is to finding one object.
pub(crate) struct Find<T> {
    text: Found,
    params: Vec<Param<'static>>,
    decode: fn(&Row<'_>) -> Result<T, DbError>,
}

/// The text of a [`Find`].
enum Found {
    Fixed(&'static Statement),
    Built(String),
}

impl<T> Find<T> {
    /// By a statement whose text never changes.
    pub(crate) fn fixed(
        statement: &'static Statement,
        key: Param<'_>,
        decode: fn(&Row<'_>) -> Result<T, DbError>,
    ) -> Self {
        Self { text: Found::Fixed(statement), params: vec![key.into_owned()], decode }
    }

    /// By a statement made for this.
    pub(crate) fn built(
        text: String,
        params: Vec<Param<'static>>,
        decode: fn(&Row<'_>) -> Result<T, DbError>,
    ) -> Self {
        Self { text: Found::Built(text), params, decode }
    }

    /// The statement.
    pub(crate) fn text(&self) -> Text<'_> {
        match &self.text {
            Found::Fixed(statement) => Text::Fixed(statement),
            Found::Built(text) => Text::Built(text),
        }
    }

    /// What is bound to it.
    pub(crate) fn params(&self) -> &[Param<'static>] {
        &self.params
    }

    /// The object in a row.
    pub(crate) fn decode(&self, row: &Row<'_>) -> Result<T, DbError> {
        (self.decode)(row)
    }

    /// The object, in a session.
    pub(crate) fn run(&self, session: &mut dyn Session) -> Result<Option<T>, DbError> {
        first(session, self.text(), &self.params, self.decode)
    }
}

/// The first row.
pub(crate) fn first<'t, T>(
    session: &mut dyn Session,
    text: impl Into<Text<'t>>,
    params: &[Param<'_>],
    decode: impl Fn(&Row<'_>) -> Result<T, DbError>,
) -> Result<Option<T>, DbError> {
    let mut found = None;
    session.query(text.into(), params, &mut |row| {
        if found.is_none() {
            found = Some(decode(row)?);
        }
        Ok(())
    })?;
    Ok(found)
}
