//! Opening a file, and what SQLite's errors mean.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::DbError;
use crate::error::Cause;

/// How long a statement waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 256;
/// Pages of the file that a connection keeps, in KiB. The system keeps the file, too: a page that is read anew is copied.
/// (Were the file mapped, each of its pages would be resident once for every connection.)
const CACHE: i64 = 2048;

/// Pages of the log from which on the writer itself brings them into the file: only when the thread that does so lags.
const LOG_PAGES: i64 = 16_384;

const OPEN_REMEDY: &str = "check that its directory exists and that this user may write there";

/// Opens connections to one file.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    path: PathBuf,
    full_sync: bool,
}

impl Connector {
    pub(super) fn new(path: PathBuf, full_sync: bool) -> Self {
        Self { path, full_sync }
    }

    /// The connection that writes; makes the file, for this user alone, because it holds secrets.
    pub(super) fn create(&self) -> Result<Connection, DbError> {
        std::fs::File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(|source| self.open_error(Cause::new(source)))?;
        let opened = self.connect(false).and_then(|connection| {
            connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
            Ok(connection)
        });
        opened.map_err(|source| match source {
            rusqlite::Error::SqliteFailure(error, _) if is_specific(error.code) => classify(source, "PRAGMA"),
            source => self.open_error(Cause::new(source)),
        })
    }

    /// A connection that brings what was committed from the log into the file.
    pub(super) fn checkpointer(&self) -> Result<Connection, DbError> {
        self.connect(false).map_err(|source| self.open_error(Cause::new(source)))
    }

    /// A connection that reads, to a file that may not be there.
    pub(super) fn existing(&self) -> Result<Connection, DbError> {
        std::fs::metadata(&self.path).map_err(|source| self.open_error(Cause::new(source)))?;
        self.reader()
    }

    /// A connection that reads.
    pub(super) fn reader(&self) -> Result<Connection, DbError> {
        self.connect(true).map_err(|source| self.open_error(Cause::new(source)))
    }

    fn connect(&self, read: bool) -> Result<Connection, rusqlite::Error> {
        // One thread at a time uses a connection, so that SQLite's own mutex is not needed.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        // A statement is planned once. Without this, one whose plan might depend on a parameter (a limit is enough) is
        // parsed and planned again each time it runs, which costs several times as much as running it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", if self.full_sync { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "query_only", read)?;
        if !read {
            // What a savepoint changes is kept to undo it, by default in a file as soon as it exceeds 64 KiB: one operation
            // after the other wrote there, for nothing.
            connection.pragma_update(None, "temp_store", "MEMORY")?;
        }
        Ok(connection)
    }

    fn open_error(&self, source: Cause) -> DbError {
        DbError::Open { url: format!("sqlite:{}", self.path.display()), remedy: OPEN_REMEDY, source }
    }
}

/// Whether the code has a variant of [`DbError`] that says more than "cannot open".
fn is_specific(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseBusy
    )
}

/// What an error means.
pub(super) fn classify(error: rusqlite::Error, statement: &str) -> DbError {
    let rusqlite::Error::SqliteFailure(failure, message) = &error else {
        return DbError::Statement { statement: statement.to_owned(), source: Cause::new(error) };
    };
    match (failure.code, failure.extended_code) {
        (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
            // "UNIQUE constraint failed: nodes.name"
            let column = message.as_deref().and_then(|text| text.rsplit('.').next()).unwrap_or_default();
            DbError::Duplicate { field: crate::error::field(column), value: String::new() }
        }
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
            DbError::MissingReference { what: "row", source: Cause::new(error) }
        }
        (ErrorCode::DiskFull, _) => DbError::Full { source: Cause::new(error) },
        (ErrorCode::ReadOnly, _) => DbError::ReadOnly { source: Cause::new(error) },
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
            DbError::Corrupt { source: Cause::new(error) }
        }
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            DbError::Busy { source: Cause::new(error) }
        }
        _ => DbError::Statement { statement: statement.to_owned(), source: Cause::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once_whatever_it_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let connection = Connector::new(dir.path().join("plans.db"), false).create().unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT)").unwrap();
        connection.execute_batch("CREATE INDEX words ON t (word) WHERE word IS NOT NULL").unwrap();
        let mut list = connection.prepare("SELECT id FROM t WHERE word = ?1 ORDER BY id LIMIT ?2").unwrap();
        for limit in [1, 1000, 7] {
            let rows: Vec<i64> =
                list.query_map(("x", limit), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
            assert!(rows.is_empty());
        }
        assert_eq!(list.get_status(StatementStatus::RePrepare), 0);
    }
}
