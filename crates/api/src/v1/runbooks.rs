//! Runbooks. A project sees its own and those that are public.

use api_types::{Invalid, Patch, RUNBOOK, Shape, create as set_fields};
use db::{DbError, RunbookKey, RunbookQuery};
use microversion::since;
use model::{Runbook, RunbookUuid, Timestamp};
use policy::Kind;

use crate::access::RUNBOOKS;
use crate::error::ApiError;
use crate::ident::{Ident, uuid_or_name};
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;

/// The rule for changes that have no rule of their own.
pub(super) const UPDATE: &str = "baremetal:runbook:update";

/// `GET /v1/runbooks`
pub(crate) async fn list(request: Request) -> Answer {
    let visible_to = request.listed(&RUNBOOKS, request.query.get("project"))?;
    let page = Page::read(&request, &RUNBOOK, false)?;
    let query = RunbookQuery { visible_to, project: request.query.text("project"), paging: page.paging()? };
    let items = request.state.db.list_runbooks(&query).await?;
    let marker = items.last().filter(|_| items.len() == page.limit).map(|item| item.uuid.to_string());
    request.list((&RUNBOOK, "runbooks"), &page, &items, marker)
}

/// `GET /v1/runbooks/{runbook_ident}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let runbook = find_readable(&request).await?;
    Ok(Reply::json(request.object(&RUNBOOK, &shape, &runbook)?))
}

/// `POST /v1/runbooks`
pub(crate) async fn create(request: Request) -> Answer {
    request.authorise("baremetal:runbook:create", None)?;
    let mut runbook = Runbook::new("", Timestamp::now());
    let body = request.json_object()?;
    if let Some(missing) = ["name", "steps"].into_iter().find(|name| !body.contains_key(*name)) {
        return Err(Invalid::at(format!("/{missing}"), "a value is required").into());
    }
    check_description(&request, body.contains_key("description"))?;
    let names_owner = body.contains_key("owner");
    set_fields(&RUNBOOK, &mut runbook, body, request.version)?;
    settle_owner(&request, &mut runbook, names_owner)?;
    check_owner(&runbook)?;
    let runbook = request.state.db.create_runbook(runbook).await?;
    let body = request.object(&RUNBOOK, &Shape::Full, &runbook)?;
    Ok(Reply::created(request.url(&format!("runbooks/{}", runbook.uuid)), body))
}

/// `PATCH /v1/runbooks/{runbook_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    let patch = Patch::parse(request.json()?)?;
    check_description(&request, patch.touches("description"))?;
    patch.check(&RUNBOOK, request.version)?;
    let runbook = change(&request, &rules_of(&patch), |before| {
        let mut after = request.with_context(true, |cx| patch.apply(&RUNBOOK, before, cx))?;
        if after.public && !before.public && after.owner == before.owner {
            after.owner = None;
        }
        check_owner(&after)?;
        Ok(after)
    })
    .await?;
    Ok(Reply::json(request.object(&RUNBOOK, &Shape::Full, &runbook)?))
}

/// `DELETE /v1/runbooks/{runbook_ident}`
pub(crate) async fn delete(request: Request) -> Answer {
    let runbook = find_readable(&request).await?;
    authorise(&request, "baremetal:runbook:delete", &runbook)?;
    request.state.db.delete_runbook(runbook.uuid).await?;
    Ok(Reply::no_content())
}

/// Changes the runbook that the path names as `decide` says, if all of `rules` allow it; again on the fresh one when
/// somebody else was faster.
pub(super) async fn change(
    request: &Request,
    rules: &[&'static str],
    decide: impl Fn(&Runbook) -> Result<Runbook, ApiError> + Send,
) -> Result<Runbook, ApiError> {
    let mut runbook = find_readable(request).await?;
    for _ in 0..CONFLICT_TRIES {
        for rule in rules {
            authorise(request, rule, &runbook)?;
        }
        let after = decide(&runbook)?;
        if after == runbook {
            return Ok(runbook);
        }
        match request.state.db.update_runbook(&runbook, after).await {
            Err(DbError::Conflict { .. }) => runbook = find_readable(request).await?,
            done => return Ok(done?),
        }
    }
    Err(ApiError::conflict(format!("Runbook {} is being changed by others, please retry.", runbook.uuid)))
}

/// The runbook that the path names, if the caller may read it; everybody may read public ones.
pub(super) async fn find_readable(request: &Request) -> Result<Runbook, ApiError> {
    find_named(request, request.param("runbook_ident")).await
}

/// The runbook of this UUID or name, if the caller may read it.
pub(super) async fn find_named(request: &Request, ident: &str) -> Result<Runbook, ApiError> {
    let key = match uuid_or_name("Runbook", ident)? {
        Ident::Uuid(uuid) => RunbookKey::Uuid(RunbookUuid::from_uuid(uuid)),
        Ident::Name(name) => RunbookKey::Name(name),
    };
    let visible_to = request.scope_of("baremetal:runbook:get", Kind::Runbook);
    let found = request.state.db.get_runbook(&key, visible_to).await?;
    found.ok_or_else(|| ApiError::not_found(format!("Runbook {ident} could not be found.")))
}

/// Whether `rule` allows the caller to do something with `runbook`.
pub(super) fn authorise(request: &Request, rule: &'static str, runbook: &Runbook) -> Result<(), ApiError> {
    request.authorise_owned(rule, Kind::Runbook, runbook.owner.as_deref())
}

/// The rules that a patch needs.
fn rules_of(patch: &Patch) -> Vec<&'static str> {
    let rule_of = |root: &str| match root {
        "owner" => "baremetal:runbook:update:owner",
        "public" => "baremetal:runbook:update:public",
        _ => UPDATE,
    };
    let mut rules: Vec<_> = patch.operations().iter().map(|operation| rule_of(&operation.root)).collect();
    if rules.is_empty() {
        rules.push(UPDATE);
    }
    rules
}

/// Whose a new runbook is. Those who act for a project make what is the project's own, and nothing public.
fn settle_owner(request: &Request, runbook: &mut Runbook, is_named: bool) -> Result<(), ApiError> {
    if request.caller().system {
        return Ok(());
    }
    let own = &request.caller().project;
    if is_named && runbook.owner.is_some() && runbook.owner != *own {
        let text =
            "Cannot create a runbook as a project scoped admin with an owner other than your own project.";
        return Err(ApiError::bad_request(text));
    }
    if runbook.public && own.is_some() {
        return Err(ApiError::bad_request("Cannot create a public runbook as a project scoped admin."));
    }
    runbook.owner.clone_from(own);
    Ok(())
}

/// What is public belongs to nobody.
fn check_owner(runbook: &Runbook) -> Result<(), ApiError> {
    if runbook.public && runbook.owner.is_some() {
        return Err(Invalid::at("/owner", "a public runbook cannot have an owner").into());
    }
    Ok(())
}

/// Unlike other fields, a description in a version without it is told as an unknown member (400).
fn check_description(request: &Request, given: bool) -> Result<(), ApiError> {
    if given && !request.version.at_least(const { since("runbook-traits") }) {
        return Err(Invalid::at("/description", "a runbook has no such field in this API version").into());
    }
    Ok(())
}
