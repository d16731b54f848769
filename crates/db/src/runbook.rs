//! Runbooks. A project sees its own and those that are public.

use model::{Runbook, RunbookUuid, Stake};

use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, record};
use crate::session::Session;
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, Scope, planned_step};

/// The table of steps.
const STEPS: &str = "runbook_steps";

/// What names one runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunbookKey {
    /// Its identifier.
    Uuid(RunbookUuid),
    /// Its name.
    Name(String),
}

/// A page of runbooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunbookQuery {
    /// Who asks.
    pub visible_to: Scope,
    /// Only those of this project and public ones.
    pub project: Option<String>,
    /// Which part.
    pub paging: Paging<Runbook>,
}

impl Sorted for Runbook {
    const SORTED: &'static [&'static str] =
        &["uuid", "name", "description", "disable_ramdisk", "public", "owner", "created_at", "updated_at"];
}

record! { Runbook, "runbook", "runbooks": uuid name description disable_ramdisk public owner traits extra; steps }

statements! {
    INSERT = record::insertion::<Runbook>();
    BY_UUID = record::one::<Runbook>("uuid");
    BY_NAME = record::one::<Runbook>("name");
    DELETE = "DELETE FROM runbooks WHERE uuid = ?1";
}

/// One runbook with its steps, when it is there and visible.
pub(crate) fn get(
    session: &mut dyn Session,
    key: &RunbookKey,
    scope: &Scope,
) -> Result<Option<Runbook>, DbError> {
    let (statement, value) = match key {
        RunbookKey::Uuid(uuid) => (&BY_UUID, uuid.param()),
        RunbookKey::Name(name) => (&BY_NAME, name.param()),
    };
    let mut found = record::get(session, statement, value, (scope, or_public))?;
    complete(session, found.as_mut_slice())?;
    Ok(found)
}

/// A page of runbooks, with their steps.
pub(crate) fn list(session: &mut dyn Session, query: &RunbookQuery) -> Result<Vec<Runbook>, DbError> {
    let seen = || Conditions::seen_by(&query.visible_to, or_public);
    let mut wanted = seen();
    if let Some(project) = &query.project {
        wanted.within(&Scope::Has(Stake::Owner, project.clone()), or_public);
    }
    let mut found = record::list(session, seen(), wanted, &query.paging)?;
    complete(session, &mut found)?;
    Ok(found)
}

/// Inserts a runbook as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, item: Runbook) -> Result<Runbook, DbError> {
    let item = record::create(session, &INSERT, item)?;
    planned_step::replace(session, STEPS, item.id, &item.steps)?;
    Ok(item)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &Runbook,
    after: Runbook,
) -> Result<Runbook, DbError> {
    let after = record::update(session, before, after)?;
    if after.steps != before.steps {
        planned_step::replace(session, STEPS, after.id, &after.steps)?;
    }
    Ok(after)
}

/// Removes a runbook with its steps.
pub(crate) fn delete(session: &mut dyn Session, uuid: RunbookUuid) -> Result<(), DbError> {
    let found = get(session, &RunbookKey::Uuid(uuid), &Scope::All)?;
    record::delete(session, &DELETE, &uuid.to_string(), found.as_ref())
}

/// Reads the steps of `items`.
fn complete(session: &mut dyn Session, items: &mut [Runbook]) -> Result<(), DbError> {
    let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
    let mut steps = planned_step::of(session, STEPS, &ids)?;
    for item in items {
        item.steps = steps.remove(&item.id).unwrap_or_default();
    }
    Ok(())
}

/// Public runbooks are seen by everybody; runbooks are not lent.
fn or_public(condition: &str) -> String {
    let condition = condition.replace("lessee", "NULL");
    format!("public = 1 OR ({condition})")
}
