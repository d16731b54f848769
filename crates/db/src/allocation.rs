//! Allocations. A project sees its own.
//!
//! An allocation and its node always agree: both are written in one transaction, also where the node alone seems to
//! change. A node that loses its `allocation_uuid`, or is removed, takes the allocation along.

use model::{Allocation, AllocationState, AllocationUuid, Node, NodeUuid};

use crate::filter::Conditions;
use crate::node::columns::parse_traits;
use crate::node::write;
use crate::paging::{Paging, Sorted};
use crate::record::{self, Record as _, record};
use crate::scope::own;
use crate::session::{Session, all, first};
use crate::statement::statements;
use crate::stored::{Stored as _, text};
use crate::{DbError, Scope, Term, conductor};

/// What names one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllocationKey {
    /// Its identifier.
    Uuid(AllocationUuid),
    /// Its name.
    Name(String),
    /// The node that it has.
    Node(NodeUuid),
}

/// A page of allocations; what is `None` does not filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationQuery {
    /// Who asks.
    pub visible_to: Scope,
    /// That of this node.
    pub node: Option<NodeUuid>,
    /// Those for this class.
    pub resource_class: Option<String>,
    /// Those in the state of this name.
    pub state: Option<String>,
    /// Those of this project.
    pub owner: Option<String>,
    /// In which order, and which part.
    pub paging: Paging<Allocation>,
}

impl AllocationQuery {
    /// All of them, oldest first.
    pub fn new(visible_to: Scope) -> Self {
        let paging = Paging::default();
        Self { visible_to, node: None, resource_class: None, state: None, owner: None, paging }
    }
}

/// A node that an allocation might get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeUuid,
    /// Its name.
    pub name: Option<String>,
    /// Whether it has all the traits asked for.
    pub has_traits: bool,
}

impl Sorted for Allocation {
    const SORTED: &'static [&'static str] = &[
        "uuid",
        "name",
        "node_uuid",
        "state",
        "last_error",
        "resource_class",
        "owner",
        "created_at",
        "updated_at",
    ];
}

record! {
    Allocation, "allocation", "allocations":
        uuid name node_uuid state last_error resource_class owner traits candidate_nodes extra
}

statements! {
    INSERT = record::insertion::<Allocation>();
    BY_UUID = record::one::<Allocation>("uuid");
    BY_NAME = record::one::<Allocation>("name");
    BY_NODE = record::one::<Allocation>("node_uuid");
    DELETE_WITHOUT_NODE = "DELETE FROM allocations WHERE uuid = ?1 AND node_uuid IS NULL";
    DELETE = "DELETE FROM allocations WHERE uuid = ?1";
    // That of a conductor that is gone is nobody's.
    UNSETTLED = "SELECT uuid FROM allocations WHERE state = 'allocating' AND (conductor IS NULL OR conductor = ?1 OR NOT EXISTS \
        (SELECT 1 FROM conductors c WHERE c.hostname = allocations.conductor AND c.online = 1)) ORDER BY id";
    BEGIN = "UPDATE allocations SET conductor = ?2 WHERE uuid = ?1 AND state = 'allocating' AND (conductor IS NULL OR conductor = ?2 \
        OR NOT EXISTS (SELECT 1 FROM conductors c WHERE c.hostname = allocations.conductor AND c.online = 1))";
}

/// One allocation, when it is there and visible.
pub(crate) fn get(
    session: &mut dyn Session,
    key: &AllocationKey,
    scope: &Scope,
) -> Result<Option<Allocation>, DbError> {
    let (statement, value) = match key {
        AllocationKey::Uuid(uuid) => (&BY_UUID, uuid.param()),
        AllocationKey::Name(name) => (&BY_NAME, name.param()),
        AllocationKey::Node(node) => (&BY_NODE, node.param()),
    };
    record::get(session, statement, value, (scope, own))
}

/// A page of allocations.
pub(crate) fn list(session: &mut dyn Session, query: &AllocationQuery) -> Result<Vec<Allocation>, DbError> {
    let seen = || Conditions::seen_by(&query.visible_to, own);
    let mut wanted = seen();
    wanted.equals("node_uuid", query.node.as_ref());
    wanted.equals("resource_class", query.resource_class.as_ref());
    wanted.equals("state", query.state.as_ref());
    wanted.equals("owner", query.owner.as_ref());
    record::list(session, seen(), wanted, &query.paging)
}

/// Those that look for a node, and that no living conductor but `host` works on, oldest first.
pub(crate) fn unsettled(session: &mut dyn Session, host: &str) -> Result<Vec<AllocationUuid>, DbError> {
    all(session, &UNSETTLED, &[text(host)], |row| row.take(0))
}

/// Makes it the one that this conductor works on; `None` when it is settled, or another one that lives works on it.
pub(crate) fn begin(
    session: &mut dyn Session,
    uuid: AllocationUuid,
    by: &Term,
) -> Result<Option<Allocation>, DbError> {
    conductor::check(session, by)?;
    if session.execute((&BEGIN).into(), &[uuid.param(), text(&by.hostname)])? == 0 {
        return Ok(None);
    }
    first(session, &BY_UUID, &[uuid.param()], Allocation::decode)
}

/// Inserts an allocation as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, item: Allocation) -> Result<Allocation, DbError> {
    record::create(session, &INSERT, item)
}

/// Inserts an allocation together with the change of the node that it is for.
pub(crate) fn create_for(
    session: &mut dyn Session,
    mut item: Allocation,
    before: &Node,
    after: Node,
) -> Result<Allocation, DbError> {
    let node = write::update(session, before, after)?;
    item.node_uuid = Some(node.uuid);
    item.state = AllocationState::Active;
    create(session, item)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &Allocation,
    after: Allocation,
) -> Result<Allocation, DbError> {
    record::update(session, before, after)
}

/// Gives a node, changed as decided, to an allocation that still looks for one.
pub(crate) fn claim(
    session: &mut dyn Session,
    uuid: AllocationUuid,
    (before, after): (&Node, Node),
    by: &Term,
) -> Result<Allocation, DbError> {
    conductor::check(session, by)?;
    let node = write::update(session, before, after)?;
    settle(session, uuid, |allocation| {
        allocation.node_uuid = Some(node.uuid);
        allocation.state = AllocationState::Active;
        allocation.last_error = None;
    })
}

/// Notes that no node was found for an allocation that looks for one.
pub(crate) fn fail(
    session: &mut dyn Session,
    uuid: AllocationUuid,
    reason: &str,
    by: &Term,
) -> Result<Allocation, DbError> {
    conductor::check(session, by)?;
    settle(session, uuid, |allocation| {
        allocation.state = AllocationState::Error;
        allocation.last_error = Some(reason.to_owned());
    })
}

fn settle(
    session: &mut dyn Session,
    uuid: AllocationUuid,
    change: impl FnOnce(&mut Allocation),
) -> Result<Allocation, DbError> {
    let found = first(session, &BY_UUID, &[uuid.param()], Allocation::decode)?;
    let before = found.filter(|allocation| allocation.state == AllocationState::Allocating);
    let before = before.ok_or_else(|| DbError::NotFound { what: Allocation::NOUN, key: uuid.to_string() })?;
    let mut after = before.clone();
    change(&mut after);
    record::update(session, &before, after)
}

/// Removes an allocation that has no node.
pub(crate) fn delete(session: &mut dyn Session, uuid: AllocationUuid) -> Result<(), DbError> {
    let found = get(session, &AllocationKey::Uuid(uuid), &Scope::All)?;
    let key = uuid.to_string();
    record::delete(session, &DELETE_WITHOUT_NODE, &key, found.as_ref())
        .or_else(|error| record::in_use_or::<Allocation>(session, key, error))
}

/// Removes the allocation that a change of its node gives up.
pub(crate) fn follow(session: &mut dyn Session, before: &Node, after: &Node) -> Result<(), DbError> {
    if before.allocation_uuid == after.allocation_uuid { Ok(()) } else { forget_of(session, before) }
}

/// Removes the allocation that has a node, which is about to lose it.
pub(crate) fn forget_of(session: &mut dyn Session, node: &Node) -> Result<(), DbError> {
    if node.allocation_uuid.is_none() {
        return Ok(());
    }
    match get(session, &AllocationKey::Node(node.uuid), &Scope::All)? {
        Some(gone) => record::delete(session, &DELETE, &gone.uuid.to_string(), Some(&gone)),
        None => Ok(()),
    }
}

/// The nodes that are free and of the class that `wanted` asks for, lent to its owner, and among its candidates.
pub(crate) fn candidates(session: &mut dyn Session, wanted: &Allocation) -> Result<Vec<Candidate>, DbError> {
    let mut conditions = Conditions::default();
    conditions.and("instance_uuid IS NULL AND power_state IS NOT NULL AND maintenance = 0");
    conditions.equals("provision_state", Some(&model::ProvisionState::Available));
    conditions.equals("resource_class", wanted.resource_class.as_ref());
    let only = &wanted.candidate_nodes;
    conditions.one_of("uuid", (!only.is_empty()).then_some(only))?;
    if let Some(owner) = &wanted.owner {
        conditions.within(&Scope::project(owner), own);
    }
    let (statement, params) = conditions.whole("SELECT uuid, name, traits FROM nodes");
    all(session, &statement, &params, |row| {
        let traits =
            row.take::<Option<String>>(2)?.map_or_else(|| Ok(Vec::new()), |names| parse_traits(&names))?;
        let has_traits = wanted.traits.iter().all(|wanted| traits.contains(wanted));
        Ok(Candidate { node: row.take(0)?, name: row.take(1)?, has_traits })
    })
}

/// The visible nodes that have one of `idents` as UUID or name: UUID and name of each.
pub(crate) fn named(
    session: &mut dyn Session,
    idents: &[String],
    scope: &Scope,
) -> Result<Vec<(NodeUuid, Option<String>)>, DbError> {
    let mut conditions = Conditions::seen_by(scope, own);
    let uuids = conditions.membership("uuid", idents)?;
    let names = conditions.membership("name", idents)?;
    conditions.and(&format!("{uuids} OR {names}"));
    let (statement, params) = conditions.whole("SELECT uuid, name FROM nodes");
    all(session, &statement, &params, |row| Ok((row.take(0)?, row.take(1)?)))
}
