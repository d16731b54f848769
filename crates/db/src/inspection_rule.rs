//! Inspection rules. Whether a caller may see them is policy alone.

use model::{InspectionRule, InspectionRuleUuid};

use crate::DbError;
use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, Record as _, record};
use crate::session::{Session, first};
use crate::statement::statements;
use crate::stored::Stored as _;

impl Sorted for InspectionRule {
    const SORTED: &'static [&'static str] =
        &["uuid", "description", "phase", "priority", "sensitive", "created_at", "updated_at"];
}

record! {
    InspectionRule, "inspection rule", "inspection_rules":
        uuid description phase priority sensitive conditions actions
}

statements! {
    INSERT = record::insertion::<InspectionRule>();
    BY_UUID = record::one::<InspectionRule>("uuid");
    DELETE = "DELETE FROM inspection_rules WHERE uuid = ?1";
}

/// One rule, when it is there.
pub(crate) fn get(
    session: &mut dyn Session,
    uuid: InspectionRuleUuid,
) -> Result<Option<InspectionRule>, DbError> {
    first(session, &BY_UUID, &[uuid.param()], InspectionRule::decode)
}

/// A page of rules.
pub(crate) fn list(
    session: &mut dyn Session,
    paging: &Paging<InspectionRule>,
) -> Result<Vec<InspectionRule>, DbError> {
    record::list(session, Conditions::default(), Conditions::default(), paging)
}

/// Inserts a rule as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, rule: InspectionRule) -> Result<InspectionRule, DbError> {
    record::create(session, &INSERT, rule)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &InspectionRule,
    after: InspectionRule,
) -> Result<InspectionRule, DbError> {
    record::update(session, before, after)
}

/// Removes a rule.
pub(crate) fn delete(session: &mut dyn Session, uuid: InspectionRuleUuid) -> Result<(), DbError> {
    let found = get(session, uuid)?;
    record::delete(session, &DELETE, &uuid.to_string(), found.as_ref())
}
