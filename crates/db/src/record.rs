//! What nouns have in common that are kept in one table with `id`, `uuid`, `created_at` and `updated_at`.
//!
//! Such a row has no revision. Its `updated_at`, which never repeats, is what a write is checked against.

use std::fmt::Write as _;
use std::time::Duration;

use model::Timestamp;

use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::scope::{Seen, restricted};
use crate::session::{Find, Param, Row, Session, all, first};
use crate::statement::{Statement, placeholders};
use crate::stored::Stored as _;
use crate::told::{Done, Told, tell};
use crate::{DbError, Scope};

/// A column that callers may change.
pub(crate) struct Column<T> {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its value in an item.
    pub(crate) param: fn(&T) -> Param<'_>,
}

/// A noun in a table of its own.
pub(crate) trait Record: Sized + 'static {
    /// The noun, for messages.
    const NOUN: &'static str;
    /// The table.
    const TABLE: &'static str;
    /// Every column but `id`, `created_at` and `updated_at`, in the order of the selection.
    const COLUMNS: &'static [Column<Self>];

    /// Reads a row selected by [`selection`].
    fn decode(row: &Row<'_>) -> Result<Self, DbError>;
    /// The UUID as text.
    fn key(&self) -> String;
    /// When it was created, and when it was changed last.
    fn times(&self) -> (Timestamp, Option<Timestamp>);
    /// Sets the number of a new row, which was never changed.
    fn enter(&mut self, id: i64);
    /// Takes over from `before` what never changes, and sets the time of this change.
    fn follow(&mut self, before: &Self, updated_at: Timestamp);
}

/// Describes a noun once: its table and the columns, each the field of the same name unless another name is given.
/// After a semicolon come the fields that other tables hold; they begin empty.
macro_rules! record {
    ($noun:ident, $name:literal, $table:literal: $($field:ident $(= $column:literal)?)* $(; $($part:ident)*)?) => {
        impl crate::record::Record for $noun {
            const NOUN: &'static str = $name;
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [crate::record::Column<Self>] = &[$(crate::record::Column {
                name: crate::record::record!(@name $field $($column)?),
                param: |item| crate::stored::Stored::param(&item.$field),
            },)*];

            fn decode(row: &crate::session::Row<'_>) -> Result<Self, crate::DbError> {
                let mut cells = crate::session::Cells::new(row);
                // In the order of the selection.
                Ok(Self {
                    id: cells.take()?,
                    created_at: cells.take()?,
                    updated_at: cells.take()?,
                    $($field: cells.take()?,)*
                    $($($part: Default::default(),)*)?
                })
            }

            fn key(&self) -> String {
                self.uuid.to_string()
            }

            fn times(&self) -> (model::Timestamp, Option<model::Timestamp>) {
                (self.created_at, self.updated_at)
            }

            fn enter(&mut self, id: i64) {
                self.id = id;
                self.updated_at = None;
            }

            fn follow(&mut self, before: &Self, updated_at: model::Timestamp) {
                self.id = before.id;
                self.uuid = before.uuid;
                self.created_at = before.created_at;
                self.updated_at = Some(updated_at);
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
}
pub(crate) use record;

/// `SELECT … FROM table`.
pub(crate) fn selection<T: Record>() -> String {
    format!("SELECT id, created_at, updated_at, {} FROM {}", columns::<T>(), T::TABLE)
}

/// The insertion of a row.
pub(crate) fn insertion<T: Record>() -> String {
    format!(
        "INSERT INTO {} (created_at, {}) VALUES ({}) RETURNING id",
        T::TABLE,
        columns::<T>(),
        placeholders(T::COLUMNS.len() + 1)
    )
}

/// The row with a value in `column`.
pub(crate) fn one<T: Record>(column: &str) -> String {
    format!("{} WHERE {column} = ?1", selection::<T>())
}

fn columns<T: Record>() -> String {
    T::COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// The row that `statement` finds by `key`, when it is in `scope`.
pub(crate) fn get<T: Record>(
    session: &mut dyn Session,
    statement: &'static Statement,
    key: Param<'_>,
    (scope, seen): (&Scope, Seen),
) -> Result<Option<T>, DbError> {
    find(statement, key, (scope, seen), T::decode).run(session)
}

/// The same for any row.
pub(crate) fn find<T>(
    statement: &'static Statement,
    key: Param<'_>,
    (scope, seen): (&Scope, Seen),
    decode: fn(&Row<'_>) -> Result<T, DbError>,
) -> Find<T> {
    if *scope == Scope::All {
        return Find::fixed(statement, key, decode);
    }
    let (text, params) = restricted(statement, key, scope, seen);
    Find::built(text, params, decode)
}

/// A page of rows that are `wanted`. The marker has to be `seen`, but may have left what is wanted since.
pub(crate) fn list<T: Record + Sorted>(
    session: &mut dyn Session,
    mut seen: Conditions,
    mut wanted: Conditions,
    paging: &Paging<T>,
) -> Result<Vec<T>, DbError> {
    let column = paging.sort.column();
    if let Some(marker) = &paging.marker {
        seen.equals("uuid", Some(marker));
        let (statement, params) = seen.whole(&format!("SELECT id, {column} FROM {}", T::TABLE));
        let (id, value) =
            first(session, &statement, &params, |row| Ok((row.take::<i64>(0)?, row.cell(1)?.to_param())))?
                .ok_or_else(|| DbError::MarkerNotFound { marker: marker.clone() })?;
        wanted.after(column, paging.descending, value, id);
    }
    let (statement, params) = wanted.page(&selection::<T>(), column, paging.descending, paging.limit);
    all(session, &statement, &params, T::decode)
}

/// Inserts an item as given; its number is set.
pub(crate) fn create<T: Record + Told>(
    session: &mut dyn Session,
    insert: &'static Statement,
    mut item: T,
) -> Result<T, DbError> {
    let (created_at, _) = item.times();
    let mut params = vec![created_at.param()];
    params.extend(T::COLUMNS.iter().map(|column| (column.param)(&item)));
    let id = first(session, insert, &params, |row| row.take(0))
        .map_err(|error| error.with_value(|field| taken(&item, field)).about(T::NOUN))?
        .ok_or(DbError::Closed)?;
    drop(params);
    item.enter(id);
    tell(session, Done::Created, &item);
    Ok(item)
}

/// Writes what differs between `before` and `after`, if nobody wrote the row since `before` was read.
pub(crate) fn update<T: Record + Told>(
    session: &mut dyn Session,
    before: &T,
    mut after: T,
) -> Result<T, DbError> {
    // Later than the last write even when the clock stands or is set back: it is what the next write is checked by.
    let (created, changed) = before.times();
    let updated = Timestamp::now().max(changed.unwrap_or(created).plus(Duration::from_micros(1)));
    after.follow(before, updated);
    let mut statement = format!("UPDATE {} SET updated_at = ?1", T::TABLE);
    let mut params = vec![updated.param()];
    for column in T::COLUMNS {
        let value = (column.param)(&after);
        if value != (column.param)(before) {
            params.push(value);
            // Writing to a String does not fail.
            let _ = write!(statement, ", {} = ?{}", column.name, params.len());
        }
    }
    let key = before.key();
    params.push(key.param());
    params.push(changed.param());
    let (uuid_at, changed_at) = (params.len() - 1, params.len());
    let _ = write!(statement, " WHERE uuid = ?{uuid_at} AND updated_at IS NOT DISTINCT FROM ?{changed_at}");
    let written = session
        .execute((&statement).into(), &params)
        .map_err(|error| error.with_value(|field| taken(&after, field)).about(T::NOUN))?;
    drop(params);
    if written > 0 {
        tell(session, Done::Updated, &after);
        return Ok(after);
    }
    let what = T::NOUN;
    Err(if exists::<T>(session, &key)? {
        DbError::Conflict { what, key }
    } else {
        DbError::NotFound { what, key }
    })
}

/// Removes the row with this UUID; `found` is the item as it was.
pub(crate) fn delete<T: Record + Told>(
    session: &mut dyn Session,
    statement: &'static Statement,
    key: &str,
    found: Option<&T>,
) -> Result<(), DbError> {
    match (session.execute(statement.into(), &[crate::stored::text(key)])?, found) {
        (0, _) | (_, None) => Err(DbError::NotFound { what: T::NOUN, key: key.to_owned() }),
        (_, Some(item)) => {
            tell(session, Done::Deleted, item);
            Ok(())
        }
    }
}

/// Whether there is a row with this UUID.
pub(crate) fn exists<T: Record>(session: &mut dyn Session, key: &str) -> Result<bool, DbError> {
    let statement = format!("SELECT 1 FROM {} WHERE uuid = ?1", T::TABLE);
    Ok(first(session, &statement, &[crate::stored::text(key)], |_| Ok(()))?.is_some())
}

/// The value in a unique column that another row has already.
fn taken<T: Record>(item: &T, field: &str) -> String {
    let column = T::COLUMNS.iter().find(|column| column.name == field);
    match column.map(|column| (column.param)(item)) {
        Some(Param::Text(text)) => text.into_owned(),
        Some(Param::Int(number)) => number.to_string(),
        _ => item.key(),
    }
}

/// Why a row was not removed by a statement that spares rows in use: `error` when it is not there.
pub(crate) fn in_use_or<T: Record>(
    session: &mut dyn Session,
    key: String,
    error: DbError,
) -> Result<(), DbError> {
    let is_spared = matches!(error, DbError::NotFound { .. }) && exists::<T>(session, &key)?;
    Err(if is_spared { DbError::InUse { what: T::NOUN, key } } else { error })
}
