//! Writing nodes: insertion, compare-and-swap on the revision, deletion.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use model::{Node, NodeUuid, Timestamp, Trait};

use super::columns::COLUMNS;
use crate::filter::Conditions;
use crate::session::{Param, Session, first};
use crate::statement::{insert_rows, placeholders, statements};
use crate::stored::{Stored as _, text};
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
    let mut params = vec![node.revision.param(), node.created_at.param()];
    params.extend(COLUMNS.iter().map(|column| (column.param)(&node)));
    let id = first(session, &INSERT, &params, |row| row.take(0))
        .map_err(|error| error.with_value(|field| taken(&node, field)))?
        .ok_or(DbError::Closed)?;
    node.id = id;
    node.traits = change_traits(session, id, &BTreeSet::new(), &node.traits)?;
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
    let had: BTreeSet<&Trait> = before.traits.iter().collect();
    after.traits = change_traits(session, before.id, &had, &after.traits)?;
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

/// Makes the stored traits `wanted`; returns them in order, each once.
fn change_traits(
    session: &mut dyn Session,
    id: i64,
    had: &BTreeSet<&Trait>,
    wanted: &[Trait],
) -> Result<Vec<Trait>, DbError> {
    let wanted: BTreeSet<&Trait> = wanted.iter().collect();
    let gone: Vec<String> = had.difference(&wanted).map(ToString::to_string).collect();
    if !gone.is_empty() {
        let mut conditions = Conditions::default();
        conditions.equals("node_id", Some(&id));
        conditions.one_of("trait", Some(&gone))?;
        let (statement, params) = conditions.whole("DELETE FROM node_traits");
        session.execute((&statement).into(), &params)?;
    }
    let new = wanted.difference(had).map(|new| vec![Param::Int(id), text(new.as_str())]);
    insert_rows(session, "node_traits", &["node_id", "trait"], new)?;
    Ok(wanted.into_iter().cloned().collect())
}

fn taken(node: &Node, field: &str) -> String {
    match field {
        "name" => node.name.clone().unwrap_or_default(),
        "instance_uuid" => node.instance_uuid.clone().unwrap_or_default(),
        _ => node.uuid.to_string(),
    }
}
