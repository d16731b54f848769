//! Deploy templates. Whether a caller may see them is policy alone.

use model::{DeployTemplate, DeployTemplateUuid};

use crate::filter::Conditions;
use crate::paging::{Paging, Sorted};
use crate::record::{self, Record as _, record};
use crate::session::{Session, first};
use crate::statement::statements;
use crate::stored::Stored as _;
use crate::{DbError, planned_step};

/// The table of steps.
const STEPS: &str = "deploy_template_steps";

/// What names one deploy template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployTemplateKey {
    /// Its identifier.
    Uuid(DeployTemplateUuid),
    /// Its name.
    Name(String),
}

impl Sorted for DeployTemplate {
    const SORTED: &'static [&'static str] = &["uuid", "name", "created_at", "updated_at"];
}

record! { DeployTemplate, "deploy template", "deploy_templates": uuid name extra; steps }

statements! {
    INSERT = record::insertion::<DeployTemplate>();
    BY_UUID = record::one::<DeployTemplate>("uuid");
    BY_NAME = record::one::<DeployTemplate>("name");
    DELETE = "DELETE FROM deploy_templates WHERE uuid = ?1";
}

/// One deploy template with its steps, when it is there.
pub(crate) fn get(
    session: &mut dyn Session,
    key: &DeployTemplateKey,
) -> Result<Option<DeployTemplate>, DbError> {
    let (statement, value) = match key {
        DeployTemplateKey::Uuid(uuid) => (&BY_UUID, uuid.param()),
        DeployTemplateKey::Name(name) => (&BY_NAME, name.param()),
    };
    let mut found = first(session, statement, &[value], DeployTemplate::decode)?;
    complete(session, found.as_mut_slice())?;
    Ok(found)
}

/// A page of deploy templates, with their steps.
pub(crate) fn list(
    session: &mut dyn Session,
    paging: &Paging<DeployTemplate>,
) -> Result<Vec<DeployTemplate>, DbError> {
    let mut found = record::list(session, Conditions::default(), Conditions::default(), paging)?;
    complete(session, &mut found)?;
    Ok(found)
}

/// Those of these names, oldest first, with their steps.
pub(crate) fn named(session: &mut dyn Session, names: &[String]) -> Result<Vec<DeployTemplate>, DbError> {
    let mut wanted = Conditions::default();
    wanted.one_of("name", Some(names))?;
    let mut found = record::list(session, Conditions::default(), wanted, &Paging::default())?;
    complete(session, &mut found)?;
    Ok(found)
}

/// Inserts a deploy template as given; `id` is set.
pub(crate) fn create(session: &mut dyn Session, item: DeployTemplate) -> Result<DeployTemplate, DbError> {
    let item = record::create(session, &INSERT, item)?;
    planned_step::replace(session, STEPS, item.id, &item.steps)?;
    Ok(item)
}

/// Writes what differs.
pub(crate) fn update(
    session: &mut dyn Session,
    before: &DeployTemplate,
    after: DeployTemplate,
) -> Result<DeployTemplate, DbError> {
    let after = record::update(session, before, after)?;
    if after.steps != before.steps {
        planned_step::replace(session, STEPS, after.id, &after.steps)?;
    }
    Ok(after)
}

/// Removes a deploy template with its steps.
pub(crate) fn delete(session: &mut dyn Session, uuid: DeployTemplateUuid) -> Result<(), DbError> {
    let found = get(session, &DeployTemplateKey::Uuid(uuid))?;
    record::delete(session, &DELETE, &uuid.to_string(), found.as_ref())
}

/// Reads the steps of `items`.
fn complete(session: &mut dyn Session, items: &mut [DeployTemplate]) -> Result<(), DbError> {
    let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
    let mut steps = planned_step::of(session, STEPS, &ids)?;
    for item in items {
        item.steps = steps.remove(&item.id).unwrap_or_default();
    }
    Ok(())
}
