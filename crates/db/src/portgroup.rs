//! Portgroups: what can be asked of them, and the statements.

use model::{MacAddr, NodeUuid, Portgroup, PortgroupUuid, Timestamp};

use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, record};
use crate::scope::of_nodes;
use crate::session::Session;
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, Scope};

/// What names one portgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortgroupKey {
    /// Its identifier.
    Uuid(PortgroupUuid),
    /// Its logical name.
    Name(String),
}

/// Which portgroups a list has; what is `None` does not filter, an empty set has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortgroupFilter {
    /// Of this node.
    pub node: Option<NodeUuid>,
    /// With this address.
    pub address: Option<MacAddr>,
    /// Of a node in one of these shards.
    pub shards: Option<Vec<String>>,
    /// Of a node in one of these conductor groups.
    pub conductor_groups: Option<Vec<String>>,
}

/// A page of portgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortgroupQuery {
    /// Whose nodes' portgroups the caller may see.
    pub visible_to: Scope,
    /// Which of them it wants.
    pub filter: PortgroupFilter,
    /// In which order, and which part.
    pub paging: Paging<Portgroup>,
}

impl Sorted for Portgroup {
    const SORTED: &'static [&'static str] = &[
        "uuid",
        "node_uuid",
        "address",
        "name",
        "mode",
        "standalone_ports_supported",
        "physical_network",
        "category",
        "created_at",
        "updated_at",
    ];
}

record! {
    Portgroup, "portgroup", "portgroups":
        uuid node_uuid address name mode standalone_ports_supported physical_network category properties extra
        internal_info
}

statements! {
    INSERT = record::insertion::<Portgroup>();
    BY_UUID = record::one::<Portgroup>("uuid");
    BY_NAME = record::one::<Portgroup>("name");
    /// Removes a group that has no ports.
    DELETE = "DELETE FROM portgroups WHERE uuid = ?1 AND NOT EXISTS (SELECT 1 FROM ports WHERE portgroup_uuid = ?1)";
    /// The time of a port's last change never repeats nor goes back.
    SPREAD = "UPDATE ports SET physical_network = ?2, updated_at = \
        CASE WHEN COALESCE(updated_at, created_at) >= ?3 THEN COALESCE(updated_at, created_at) + 1 ELSE ?3 END \
        WHERE portgroup_uuid = ?1 AND physical_network IS DISTINCT FROM ?2";
}

/// One portgroup, when it is there and its node visible.
pub(crate) fn get(
    session: &mut dyn Session,
    key: &PortgroupKey,
    scope: &Scope,
) -> Result<Option<Portgroup>, DbError> {
    let (statement, value) = match key {
        PortgroupKey::Uuid(uuid) => (&BY_UUID, uuid.param()),
        PortgroupKey::Name(name) => (&BY_NAME, name.param()),
    };
    record::get(session, statement, value, (scope, of_nodes))
}

/// A page of portgroups.
pub(crate) fn list(session: &mut dyn Session, query: &PortgroupQuery) -> Result<Vec<Portgroup>, DbError> {
    let seen = || Conditions::seen_by(&query.visible_to, of_nodes);
    let (filter, mut wanted) = (&query.filter, seen());
    wanted.equals("node_uuid", filter.node.as_ref());
    wanted.equals("address", filter.address.as_ref());
    for (column, values) in [("shard", &filter.shards), ("conductor_group", &filter.conductor_groups)] {
        if let Some(values) = values {
            wanted.one_of_nodes(column, values)?;
        }
    }
    record::list(session, seen(), wanted, &query.paging)
}

/// Inserts a portgroup as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, portgroup: Portgroup) -> Result<Portgroup, DbError> {
    record::create(session, &INSERT, portgroup)
}

/// Writes what differs; another physical network becomes that of the ports of the group, too.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &Portgroup,
    after: Portgroup,
) -> Result<Portgroup, DbError> {
    let after = record::update(session, before, after)?;
    if after.physical_network != before.physical_network {
        let now = Timestamp::now();
        let params = [after.uuid.param(), after.physical_network.param(), now.param()];
        session.execute((&SPREAD).into(), &params)?;
    }
    Ok(after)
}

/// Removes a portgroup that has no ports.
pub(crate) fn delete(session: &mut dyn Session, uuid: PortgroupUuid) -> Result<(), DbError> {
    let key = uuid.to_string();
    let found = get(session, &PortgroupKey::Uuid(uuid), &Scope::All)?;
    record::delete(session, &DELETE, &key, found.as_ref())
        .or_else(|error| record::in_use_or::<Portgroup>(session, key, error))
}
