//! Bringing the schema up to date: numbered files, applied once, in order, all in one transaction under a lock.

use std::fmt::Write as _;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::DbError;
use crate::error::Cause;

/// A step from one version of the schema to the next.
struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal)*) => {
        const MIGRATIONS: &[Migration] = &[$(Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }),*];
    };
}

migrations! {
    1 "0001_nodes_ports_conductors_flows"
    2 "0002_remaining_resources"
    3 "0003_events_for_whom"
    4 "0004_bios_upper_bound"
    5 "0005_boot_traces"
    6 "0006_inspection_reports"
    7 "0007_conductor_epochs"
    8 "0008_power_failures"
    9 "0009_messages"
    10 "0010_traits_of_nodes"
    11 "0011_indexes_in_order"
}

/// Where applied migrations are noted. The same text for both engines.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";
const APPLIED: &str = "SELECT version, checksum FROM schema_migrations ORDER BY version";
/// Held while migrating: any number that no other user of the server is likely to take.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(7521968431072)";

/// The migrations that are missing, if those applied are ours.
fn missing(
    applied: &[(i64, String)],
    text: fn(&Migration) -> &'static str,
) -> Result<&'static [Migration], DbError> {
    let known = MIGRATIONS.last().map_or(0, |newest| newest.version);
    if let Some((found, _)) = applied.iter().find(|(version, _)| *version > known) {
        return Err(DbError::TooNew { found: *found, known });
    }
    for (migration, (version, sum)) in MIGRATIONS.iter().zip(applied) {
        if migration.version != *version || checksum(text(migration)) != *sum {
            return Err(DbError::ForeignMigration { version: *version });
        }
    }
    Ok(&MIGRATIONS[applied.len().min(MIGRATIONS.len())..])
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Migrates a file.
pub(crate) fn sqlite(connection: &mut Connection) -> Result<(), DbError> {
    let failed = |version: i64| move |error| DbError::Migrate { version, source: Cause::new(error) };
    // Exclusive: of two processes that start together one waits and then finds nothing to do.
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)
        .map_err(|error| DbError::Busy { source: Cause::new(error) })?;
    transaction.execute_batch(TABLE).map_err(failed(0))?;
    let applied = transaction
        .prepare(APPLIED)
        .and_then(|mut statement| {
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()
        })
        .map_err(failed(0))?;
    for migration in missing(&applied, |migration| migration.sqlite)? {
        let version = migration.version;
        tracing::info!(version, name = migration.name, "migrating the database");
        transaction.execute_batch(migration.sqlite).map_err(failed(version))?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
                (version, migration.name, checksum(migration.sqlite)),
            )
            .map_err(failed(version))?;
    }
    transaction.commit().map_err(failed(0))
}

/// Refuses a file whose schema is not this program's.
pub(crate) fn sqlite_is_current(connection: &Connection) -> Result<(), DbError> {
    let failed = |error| DbError::Migrate { version: 0, source: Cause::new(error) };
    let mut statement = connection.prepare(APPLIED).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    let applied = rows.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    match missing(&applied, |migration| migration.sqlite)?.first() {
        None => Ok(()),
        Some(next) => Err(DbError::Migrate { version: next.version, source: Cause::new(NotMigrated) }),
    }
}

/// The schema is older than the program, which was asked to change nothing.
#[derive(Debug, thiserror::Error)]
#[error("the database was last used by an older version: start the service once, or use that version")]
struct NotMigrated;

/// Migrates a server's database.
pub(crate) async fn postgres(client: &mut tokio_postgres::Client) -> Result<(), DbError> {
    let failed = |version: i64| move |error| DbError::Migrate { version, source: Cause::new(error) };
    let transaction = client.transaction().await.map_err(failed(0))?;
    transaction.batch_execute(POSTGRES_LOCK).await.map_err(failed(0))?;
    transaction.batch_execute(TABLE).await.map_err(failed(0))?;
    let rows = transaction.query(APPLIED, &[]).await.map_err(failed(0))?;
    let applied = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed(0))?;
    for migration in missing(&applied, |migration| migration.postgres)? {
        let version = migration.version;
        tracing::info!(version, name = migration.name, "migrating the database");
        transaction.batch_execute(migration.postgres).await.map_err(failed(version))?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                &[&version, &migration.name, &checksum(migration.postgres)],
            )
            .await
            .map_err(failed(version))?;
    }
    transaction.commit().await.map_err(failed(0))
}
