//! Volume targets: what can be asked of them, and the statements.

use model::{NodeUuid, VolumeTarget, VolumeTargetUuid};

use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, record};
use crate::scope::of_nodes;
use crate::session::Session;
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, Scope};

/// A page of volume targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeTargetQuery {
    /// Whose nodes' volume targets the caller may see.
    pub visible_to: Scope,
    /// Those of this node alone.
    pub node: Option<NodeUuid>,
    /// In which order, and which part.
    pub paging: Paging<VolumeTarget>,
}

impl Sorted for VolumeTarget {
    const SORTED: &'static [&'static str] =
        &["uuid", "node_uuid", "volume_type", "volume_id", "boot_index", "created_at", "updated_at"];
}

record! { VolumeTarget, "volume target", "volume_targets": uuid node_uuid volume_type volume_id boot_index properties extra }

statements! {
    INSERT = record::insertion::<VolumeTarget>();
    BY_UUID = record::one::<VolumeTarget>("uuid");
    DELETE = "DELETE FROM volume_targets WHERE uuid = ?1";
}

/// One volume target, when it is there and its node visible.
pub(crate) fn get(
    session: &mut dyn Session,
    uuid: VolumeTargetUuid,
    scope: &Scope,
) -> Result<Option<VolumeTarget>, DbError> {
    record::get(session, &BY_UUID, uuid.param(), (scope, of_nodes))
}

/// A page of volume targets.
pub(crate) fn list(
    session: &mut dyn Session,
    query: &VolumeTargetQuery,
) -> Result<Vec<VolumeTarget>, DbError> {
    let seen = || Conditions::seen_by(&query.visible_to, of_nodes);
    let mut wanted = seen();
    wanted.equals("node_uuid", query.node.as_ref());
    record::list(session, seen(), wanted, &query.paging)
}

/// Inserts a volume target as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, item: VolumeTarget) -> Result<VolumeTarget, DbError> {
    record::create(session, &INSERT, item)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &VolumeTarget,
    after: VolumeTarget,
) -> Result<VolumeTarget, DbError> {
    record::update(session, before, after)
}

/// Removes a volume target.
pub(crate) fn delete(session: &mut dyn Session, uuid: VolumeTargetUuid) -> Result<(), DbError> {
    let found = get(session, uuid, &Scope::All)?;
    record::delete(session, &DELETE, &uuid.to_string(), found.as_ref())
}
