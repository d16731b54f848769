//! What PostgreSQL's errors mean.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::DbError;
use crate::error::{Cause, field};

/// What an error of a statement means.
pub(super) fn classify(error: tokio_postgres::Error, statement: &str) -> DbError {
    let Some(said) = error.as_db_error() else {
        // Not the server's word: the connection failed, or a value did not fit its parameter.
        let ours = error.to_string().contains("serializing") || error.to_string().contains("deserializing");
        return if ours {
            DbError::Statement { statement: statement.to_owned(), source: Cause::new(error) }
        } else {
            DbError::Unreachable { source: Cause::new(error) }
        };
    };
    let code = said.code().clone();
    match &code {
        code if *code == SqlState::UNIQUE_VIOLATION => {
            // "nodes_name_key", "journal_flow_seq_key", "users_pkey"
            let table = said.table().unwrap_or_default();
            let constraint = said.constraint().unwrap_or_default();
            let column = constraint.strip_prefix(table).unwrap_or(constraint);
            let column = column.trim_start_matches('_').trim_end_matches("_key");
            DbError::Duplicate { field: field(column), value: String::new() }
        }
        code if *code == SqlState::FOREIGN_KEY_VIOLATION => {
            DbError::MissingReference { what: "row", source: Cause::new(error) }
        }
        code if *code == SqlState::DISK_FULL => DbError::Full { source: Cause::new(error) },
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            DbError::ReadOnly { source: Cause::new(error) }
        }
        code if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            DbError::Corrupt { source: Cause::new(error) }
        }
        code if *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::QUERY_CANCELED =>
        {
            DbError::Busy { source: Cause::new(error) }
        }
        // We were too slow in a transaction: it was undone and the connection closed.
        code if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
            DbError::Unreachable { source: Cause::new(error) }
        }
        // 08 connection, 28 authorization, 3D no such database, 53 resources, 57 shutdown.
        code if ["08", "28", "3D", "53", "57"].iter().any(|class| code.code().starts_with(class)) => {
            DbError::Unreachable { source: Cause::new(error) }
        }
        _ => DbError::Statement { statement: statement.to_owned(), source: Cause::new(error) },
    }
}

/// What an error of the pool means.
pub(super) fn of_pool(error: PoolError) -> DbError {
    match error {
        PoolError::Backend(error) => classify(error, "connect"),
        PoolError::Closed => DbError::Closed,
        PoolError::Timeout(_) => DbError::Busy { source: Cause::new(error) },
        error => DbError::Unreachable { source: Cause::new(error) },
    }
}
