//! Writing nodes: insertion, compare-and-swap on the revision, deletion.

use std::fmt::Write as _;

use model::{Node, NodeUuid, Timestamp, Trait};

use super::columns::COLUMNS;
use crate::session::{Session, first};
use crate::statement::{placeholders, statements};
use crate::stored::Stored as _;
use crate::told::{Done, tell, tell_node};
use crate::{DbError, allocation};

statements! {
    INSERT = {
        let columns = COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
        format!(
            "INSERT INTO nodes (revision, created_at, {columns}) VALUES ({}) RETURNING id",
            placeholders(COLUMNS.len() + 2)
        )
    };
    EXISTS = "SELECT 1 FROM nodes WHERE uuid = ?1";
    DELETE = "DELETE FROM nodes WHERE uuid = ?1 AND revision = ?2";
}

/// Inserts a node as given; `id` and `revision` are set, traits put in order.
pub(crate) fn create(session: &mut dyn Session, mut node: Node) -> Result<Node, DbError> {
    node.revision = 1;
    node.updated_at = None;
    put_in_order(&mut node.traits);
    let mut params = vec![node.revision.param(), node.created_at.param()];
    params.extend(COLUMNS.iter().map(|column| (column.param)(&node)));
    let id = first(session, &INSERT, &params, |row| row.take(0))
        .map_err(|error| error.with_value(|field| taken(&node, field)))?
        .ok_or(DbError::Closed)?;
    node.id = id;
    tell(session, Done::Created, &node);
    Ok(node)
}

/// Writes what differs between `before` and `after`, if the row still has the revision of `before`.
///
/// `id`, `uuid`, `created_at`, `revision` and `updated_at` of `after` do not count: the first three stay as they
/// are, the others are set here.
pub(crate) fn update(session: &mut dyn Session, before: &Node, mut after: Node) -> Result<Node, DbError> {
    after.id = before.id;
    after.uuid = before.uuid;
    after.created_at = before.created_at;
    after.revision = before.revision + 1;
    after.updated_at = Some(Timestamp::now());
    put_in_order(&mut after.traits);
    let mut statement = String::from("UPDATE nodes SET revision = ?1, updated_at = ?2");
    let mut params = vec![after.revision.param(), after.updated_at.param()];
    for column in COLUMNS {
        let value = (column.param)(&after);
        if value != (column.param)(before) {
            params.push(value);
            // Writing to a String does not fail.
            let _ = write!(statement, ", {} = ?{}", column.name, params.len());
        }
    }
    params.push(before.uuid.param());
    params.push(before.revision.param());
    let _ = write!(statement, " WHERE uuid = ?{} AND revision = ?{}", params.len() - 1, params.len());
    let written = session
        .execute((&statement).into(), &params)
        .map_err(|error| error.with_value(|field| taken(&after, field)))?;
    if written == 0 {
        return Err(lost(session, before.uuid)?);
    }
    drop(params);
    allocation::follow(session, before, &after)?;
    tell_node(session, before, &after);
    Ok(after)
}

/// Removes a node and all that belongs to it, if the row still has this revision.
pub(crate) fn delete(session: &mut dyn Session, node: &Node) -> Result<(), DbError> {
    allocation::forget_of(session, node)?;
    if session.execute((&DELETE).into(), &[node.uuid.param(), node.revision.param()])? == 0 {
        return Err(lost(session, node.uuid)?);
    }
    tell(session, Done::Deleted, node);
    Ok(())
}

/// Why a compare-and-swap found no row.
fn lost(session: &mut dyn Session, uuid: NodeUuid) -> Result<DbError, DbError> {
    let (what, key) = ("node", uuid.to_string());
    let there = first(session, &EXISTS, &[uuid.param()], |_| Ok(()))?.is_some();
    Ok(if there { DbError::Conflict { what, key } } else { DbError::NotFound { what, key } })
}

/// Traits have an order, and each is there once.
fn put_in_order(traits: &mut Vec<Trait>) {
    traits.sort_unstable();
    traits.dedup();
}

fn taken(node: &Node, field: &str) -> String {
    match field {
        "name" => node.name.clone().unwrap_or_default(),
        "instance_uuid" => node.instance_uuid.clone().unwrap_or_default(),
        _ => node.uuid.to_string(),
    }
}
