//! Chassis: the statements. They belong to nobody's node, so that whether a caller may see them is policy alone.

use model::{Chassis, ChassisUuid};

use crate::DbError;
use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, Record as _, record};
use crate::session::{Session, first};
use crate::statement::statements;
use crate::stored::Stored as _;

impl Sorted for Chassis {
    const SORTED: &'static [&'static str] = &["uuid", "description", "created_at", "updated_at"];
}

record! { Chassis, "chassis", "chassis": uuid description extra }

statements! {
    INSERT = record::insertion::<Chassis>();
    BY_UUID = record::one::<Chassis>("uuid");
    /// Removes a chassis that has no nodes.
    DELETE = "DELETE FROM chassis WHERE uuid = ?1 AND NOT EXISTS (SELECT 1 FROM nodes WHERE chassis_uuid = ?1)";
}

/// One chassis, when it is there.
pub(crate) fn get(session: &mut dyn Session, uuid: ChassisUuid) -> Result<Option<Chassis>, DbError> {
    first(session, &BY_UUID, &[uuid.param()], Chassis::decode)
}

/// A page of chassis.
pub(crate) fn list(session: &mut dyn Session, paging: &Paging<Chassis>) -> Result<Vec<Chassis>, DbError> {
    record::list(session, Conditions::default(), Conditions::default(), paging)
}

/// Inserts a chassis as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, chassis: Chassis) -> Result<Chassis, DbError> {
    record::create(session, &INSERT, chassis)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &Chassis,
    after: Chassis,
) -> Result<Chassis, DbError> {
    record::update(session, before, after)
}

/// Removes a chassis that has no nodes.
pub(crate) fn delete(session: &mut dyn Session, uuid: ChassisUuid) -> Result<(), DbError> {
    let key = uuid.to_string();
    let found = get(session, uuid)?;
    record::delete(session, &DELETE, &key, found.as_ref())
        .or_else(|error| record::in_use_or::<Chassis>(session, key, error))
}
