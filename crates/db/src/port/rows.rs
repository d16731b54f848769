//! Ports: reading and writing.
//!
//! A port has no revision. Its `updated_at`, which never repeats, is what a write is checked against.

use std::fmt::Write as _;
use std::time::Duration;

use model::{Port, PortUuid, Timestamp};

use crate::filter::Conditions;
use crate::record;
use crate::scope::of_nodes;
use crate::session::{Cells, Find, Param, Row, Session, first, in_chunks};
use crate::statement::{placeholders, statements};
use crate::stored::Stored as _;
use crate::told::{Done, tell};
use crate::{DbError, PortKey, PortQuery, Scope};

struct Column {
    name: &'static str,
    param: fn(&Port) -> Param<'_>,
}

macro_rules! port_columns {
    ($($field:ident)*) => {
        /// Every column but `id`, `created_at` and `updated_at`, in the order of the selection.
        static COLUMNS: &[Column] =
            &[$(Column { name: stringify!($field), param: |port| port.$field.param() },)*];

        fn decode(row: &Row<'_>) -> Result<Port, DbError> {
            let mut cells = Cells::new(row);
            // In the order of the selection.
            Ok(Port {
                id: cells.take()?,
                created_at: cells.take()?,
                updated_at: cells.take()?,
                $($field: cells.take()?,)*
            })
        }
    };
}

port_columns! {
    uuid node_uuid address name pxe_enabled local_link_connection portgroup_uuid physical_network is_smartnic
    available_for_dynamic_portgroup description vendor category extra internal_info
}

statements! {
    INSERT = {
        let columns = COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
        format!(
            "INSERT INTO ports (created_at, {columns}) VALUES ({}) RETURNING id",
            placeholders(COLUMNS.len() + 1)
        )
    };
    BY_UUID = one("uuid");
    BY_NAME = one("name");
    BY_ADDRESS = one("address");
    EXISTS = "SELECT 1 FROM ports WHERE uuid = ?1";
    DELETE = "DELETE FROM ports WHERE uuid = ?1";
}

/// What finds one port, when it is there and its node visible.
pub(crate) fn find(key: &PortKey, scope: &Scope) -> Find<Port> {
    let (statement, value) = match key {
        PortKey::Uuid(uuid) => (&BY_UUID, uuid.param()),
        PortKey::Name(name) => (&BY_NAME, name.param()),
        PortKey::Address(address) => (&BY_ADDRESS, address.param()),
    };
    record::find(statement, value, (scope, of_nodes), decode)
}

/// A page of ports, handed on a few at a time.
pub(crate) fn list(
    session: &mut dyn Session,
    query: &PortQuery,
    each: &mut dyn FnMut(&mut Vec<Port>),
) -> Result<(), DbError> {
    let column = query.sort_key.column();
    let mut conditions = filtered(query)?;
    if let Some(marker) = query.marker {
        let mut one = Conditions::seen_by(&query.visible_to, of_nodes);
        one.equals("uuid", Some(&marker));
        let (statement, params) = one.whole(&format!("SELECT id, {column} FROM ports"));
        let (id, value) =
            first(session, &statement, &params, |row| Ok((row.take::<i64>(0)?, row.cell(1)?.to_param())))?
                .ok_or_else(|| DbError::MarkerNotFound { marker: marker.to_string() })?;
        conditions.after(column, query.descending, value, id);
    }
    let (statement, params) = conditions.page(&selection(), column, query.descending, query.limit);
    in_chunks(session, &statement, &params, decode, each)
}

/// Inserts a port as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, mut port: Port) -> Result<Port, DbError> {
    port.updated_at = None;
    let mut params = vec![port.created_at.param()];
    params.extend(COLUMNS.iter().map(|column| (column.param)(&port)));
    let id = first(session, &INSERT, &params, |row| row.take(0))
        .map_err(|error| error.with_value(|field| taken(&port, field)).about("port"))?
        .ok_or(DbError::Closed)?;
    port.id = id;
    tell(session, Done::Created, &port);
    Ok(port)
}

/// Writes what differs between `before` and `after`, if nobody wrote the row since `before` was read.
pub(crate) fn update(session: &mut dyn Session, before: &Port, mut after: Port) -> Result<Port, DbError> {
    after.id = before.id;
    after.uuid = before.uuid;
    after.created_at = before.created_at;
    // Later than the last write even when the clock stands or is set back: it is what the next write is checked by.
    let last = before.updated_at.unwrap_or(before.created_at).plus(Duration::from_micros(1));
    after.updated_at = Some(Timestamp::now().max(last));
    let mut statement = String::from("UPDATE ports SET updated_at = ?1");
    let mut params = vec![after.updated_at.param()];
    for column in COLUMNS {
        let value = (column.param)(&after);
        if value != (column.param)(before) {
            params.push(value);
            // Writing to a String does not fail.
            let _ = write!(statement, ", {} = ?{}", column.name, params.len());
        }
    }
    params.push(before.uuid.param());
    params.push(before.updated_at.param());
    let _ = write!(
        statement,
        " WHERE uuid = ?{} AND updated_at IS NOT DISTINCT FROM ?{}",
        params.len() - 1,
        params.len()
    );
    let written = session
        .execute((&statement).into(), &params)
        .map_err(|error| error.with_value(|field| taken(&after, field)).about("port"))?;
    drop(params);
    if written == 0 {
        let (what, key) = ("port", before.uuid.to_string());
        let there = first(session, &EXISTS, &[before.uuid.param()], |_| Ok(()))?.is_some();
        return Err(if there { DbError::Conflict { what, key } } else { DbError::NotFound { what, key } });
    }
    tell(session, Done::Updated, &after);
    Ok(after)
}

/// Removes a port.
pub(crate) fn delete(session: &mut dyn Session, uuid: PortUuid) -> Result<(), DbError> {
    let found = find(&PortKey::Uuid(uuid), &Scope::All).run(session)?;
    match (session.execute((&DELETE).into(), &[uuid.param()])?, found) {
        (0, _) | (_, None) => Err(DbError::NotFound { what: "port", key: uuid.to_string() }),
        (_, Some(port)) => {
            tell(session, Done::Deleted, &port);
            Ok(())
        }
    }
}

fn one(column: &str) -> String {
    format!("{} WHERE {column} = ?1", selection())
}

fn selection() -> String {
    let columns = COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    format!("SELECT id, created_at, updated_at, {columns} FROM ports")
}

fn filtered(query: &PortQuery) -> Result<Conditions, DbError> {
    let filter = &query.filter;
    let mut conditions = Conditions::seen_by(&query.visible_to, of_nodes);
    conditions.one_of("node_uuid", filter.nodes.as_deref())?;
    conditions.one_of("address", filter.addresses.as_deref())?;
    conditions.equals("portgroup_uuid", filter.portgroup_uuid.as_ref());
    conditions.contains("description", filter.description_contains.as_deref());
    for (column, values) in [("shard", &filter.shards), ("conductor_group", &filter.conductor_groups)] {
        if let Some(values) = values {
            conditions.one_of_nodes(column, values)?;
        }
    }
    Ok(conditions)
}

fn taken(port: &Port, field: &str) -> String {
    match field {
        "name" => port.name.clone().unwrap_or_default(),
        "address" => port.address.to_string(),
        _ => port.uuid.to_string(),
    }
}
