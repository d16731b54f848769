//! Reading nodes.

use model::Node;

use super::columns::{decode, selection};
use crate::filter::Conditions;
use crate::record;
use crate::scope::own;
use crate::session::{Find, Session, all, first, in_chunks};
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, NodeKey, NodeQuery, Scope};

statements! {
    /// How many nodes each shard has.
    SHARDS = "SELECT shard, COUNT(*) FROM nodes GROUP BY shard ORDER BY shard NULLS FIRST";
    BY_UUID = one("uuid = ?1");
    BY_NAME = one("name = ?1");
    BY_INSTANCE = one("instance_uuid = ?1");
    BY_ADDRESS = one(OF_PORT);
}

const OF_PORT: &str = "uuid = (SELECT node_uuid FROM ports WHERE address = ?1)";

fn one(condition: &str) -> String {
    format!("{} WHERE {condition}", selection())
}

/// One node, when it is there and visible.
pub(crate) fn get(session: &mut dyn Session, key: &NodeKey, scope: &Scope) -> Result<Option<Node>, DbError> {
    find(key, scope).run(session)
}

/// What finds one node, when it is there and visible.
pub(crate) fn find(key: &NodeKey, scope: &Scope) -> Find<Node> {
    let (statement, value) = match key {
        NodeKey::Uuid(uuid) => (&BY_UUID, uuid.param()),
        NodeKey::Name(name) => (&BY_NAME, name.param()),
        NodeKey::Instance(uuid) => (&BY_INSTANCE, uuid.param()),
        NodeKey::Address(address) => (&BY_ADDRESS, address.param()),
    };
    record::find(statement, value, (scope, own), decode)
}

/// A page of nodes, handed on a few at a time.
pub(crate) fn list(
    session: &mut dyn Session,
    query: &NodeQuery,
    each: &mut dyn FnMut(&mut Vec<Node>),
) -> Result<(), DbError> {
    let column = query.sort_key.column();
    let mut conditions = filtered(query)?;
    if let Some(marker) = query.marker {
        // The marker has to be visible, but need not pass the filter any more: it may have been changed since.
        let mut one = Conditions::seen_by(&query.visible_to, own);
        one.equals("uuid", Some(&marker));
        let (statement, params) = one.whole(&format!("SELECT id, {column} FROM nodes"));
        let (id, value) =
            first(session, &statement, &params, |row| Ok((row.take::<i64>(0)?, row.cell(1)?.to_param())))?
                .ok_or_else(|| DbError::MarkerNotFound { marker: marker.to_string() })?;
        conditions.after(column, query.descending, value, id);
    }
    let (statement, params) = conditions.page(&selection(), column, query.descending, query.limit);
    in_chunks(session, &statement, &params, decode, each)
}

/// How many nodes each shard has; those without a shard are counted under `None`.
pub(crate) fn shards(session: &mut dyn Session) -> Result<Vec<(Option<String>, i64)>, DbError> {
    all(session, &SHARDS, &[], |row| Ok((row.take(0)?, row.take(1)?)))
}

fn filtered(query: &NodeQuery) -> Result<Conditions, DbError> {
    let filter = &query.filter;
    let mut conditions = Conditions::seen_by(&query.visible_to, own);
    conditions.one_of("uuid", filter.uuids.as_deref())?;
    conditions.equals("instance_uuid", filter.instance_uuid.as_ref());
    conditions.equals("instance_name", filter.instance_name.as_ref());
    conditions.equals("chassis_uuid", filter.chassis_uuid.as_ref());
    conditions.present("instance_uuid", filter.associated);
    conditions.equals("maintenance", filter.maintenance.as_ref());
    conditions.equals("console_enabled", filter.console_enabled.as_ref());
    conditions.equals("retired", filter.retired.as_ref());
    let states = &filter.provision_states;
    conditions.one_of("provision_state", (!states.is_empty()).then_some(states))?;
    conditions.equals("driver", filter.driver.as_ref());
    conditions.equals("resource_class", filter.resource_class.as_ref());
    conditions.equals("fault", filter.fault.as_ref());
    conditions.equals("conductor_group", filter.conductor_group.as_ref());
    conditions.equals("owner", filter.owner.as_ref());
    conditions.equals("lessee", filter.lessee.as_ref());
    if let Some(project) = &filter.project {
        conditions.within(&Scope::project(project), own);
    }
    conditions.contains("description", filter.description_contains.as_deref());
    conditions.one_of("shard", filter.shards.as_deref())?;
    conditions.present("shard", filter.sharded);
    if filter.parent_node.is_some() {
        conditions.equals("parent_node", filter.parent_node.as_ref());
    } else if !filter.include_children {
        conditions.and("parent_node IS NULL");
    }
    conditions.equals("lease_holder", filter.lease_holder.as_ref());
    if let Some(time) = filter.lease_expired_at {
        let place = conditions.bind(time.param());
        conditions.and(&format!("lease_expires_at <= {place}"));
    }
    Ok(conditions)
}
