//! Volume connectors: what can be asked of them, and the statements.

use model::{NodeUuid, VolumeConnector, VolumeConnectorUuid};

use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, record};
use crate::scope::of_nodes;
use crate::session::Session;
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, Scope};

/// A page of volume connectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeConnectorQuery {
    /// Whose nodes' volume connectors the caller may see.
    pub visible_to: Scope,
    /// Those of this node alone.
    pub node: Option<NodeUuid>,
    /// In which order, and which part.
    pub paging: Paging<VolumeConnector>,
}

impl Sorted for VolumeConnector {
    const SORTED: &'static [&'static str] =
        &["uuid", "node_uuid", "type", "connector_id", "created_at", "updated_at"];
}

record! { VolumeConnector, "volume connector", "volume_connectors": uuid node_uuid kind = "type" connector_id extra }

statements! {
    INSERT = record::insertion::<VolumeConnector>();
    BY_UUID = record::one::<VolumeConnector>("uuid");
    DELETE = "DELETE FROM volume_connectors WHERE uuid = ?1";
}

/// One volume connector, when it is there and its node visible.
pub(crate) fn get(
    session: &mut dyn Session,
    uuid: VolumeConnectorUuid,
    scope: &Scope,
) -> Result<Option<VolumeConnector>, DbError> {
    record::get(session, &BY_UUID, uuid.param(), (scope, of_nodes))
}

/// A page of volume connectors.
pub(crate) fn list(
    session: &mut dyn Session,
    query: &VolumeConnectorQuery,
) -> Result<Vec<VolumeConnector>, DbError> {
    let seen = || Conditions::seen_by(&query.visible_to, of_nodes);
    let mut wanted = seen();
    wanted.equals("node_uuid", query.node.as_ref());
    record::list(session, seen(), wanted, &query.paging)
}

/// Inserts a volume connector as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, item: VolumeConnector) -> Result<VolumeConnector, DbError> {
    record::create(session, &INSERT, item)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &VolumeConnector,
    after: VolumeConnector,
) -> Result<VolumeConnector, DbError> {
    record::update(session, before, after)
}

/// Removes a volume connector.
pub(crate) fn delete(session: &mut dyn Session, uuid: VolumeConnectorUuid) -> Result<(), DbError> {
    let found = get(session, uuid, &Scope::All)?;
    record::delete(session, &DELETE, &uuid.to_string(), found.as_ref())
}
