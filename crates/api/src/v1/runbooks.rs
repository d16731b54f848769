//! Runbooks. A project sees its own and those that are public.

use api_types::{Invalid, Patch, RUNBOOK, Shape, create as set_fields};
use db::{DbError, RunbookKey, RunbookQuery};
use microversion::since;
use model::{Runbook, RunbookUuid, Timestamp};

use crate::error::ApiError;
use crate::ident::{Ident, uuid_or_name};
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;

/// `GET /v1/runbooks`
pub(crate) async fn list(request: Request) -> Answer {
    request.authorise("baremetal:runbook:list", None)?;
    let page = Page::read(&request, &RUNBOOK, false)?;
    let query = RunbookQuery {
        visible_to: request.scope(),
        project: request.query.text("project"),
        paging: page.paging()?,
    };
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
    request.no_query()?;
    let mut runbook = Runbook::new("", Timestamp::now());
    let body = request.json_object()?;
    if let Some(missing) = ["name", "steps"].into_iter().find(|name| !body.contains_key(*name)) {
        return Err(Invalid::at(format!("/{missing}"), "a value is required").into());
    }
    check_description(&request, body.contains_key("description"))?;
    let names_owner = body.contains_key("owner");
    set_fields(&RUNBOOK, &mut runbook, body, request.version)?;
    if !names_owner && !runbook.public {
        runbook.owner.clone_from(&request.caller.project);
    }
    check_owner(&runbook)?;
    let runbook = request.state.db.create_runbook(runbook).await?;
    let body = request.object(&RUNBOOK, &Shape::Full, &runbook)?;
    Ok(Reply::created(request.url(&format!("runbooks/{}", runbook.uuid)), body))
}

/// `PATCH /v1/runbooks/{runbook_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    request.no_query()?;
    let patch = Patch::parse(request.json()?)?;
    check_description(&request, patch.touches("description"))?;
    patch.check(&RUNBOOK, request.version)?;
    for (field, rule) in
        [("owner", "baremetal:runbook:update:owner"), ("public", "baremetal:runbook:update:public")]
    {
        if patch.touches(field) {
            request.authorise(rule, None)?;
        }
    }
    let runbook = change(&request, |before| {
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
    request.no_query()?;
    let runbook = find_readable(&request).await?;
    request.authorise("baremetal:runbook:delete", None)?;
    request.state.db.delete_runbook(runbook.uuid).await?;
    Ok(Reply::no_content())
}

/// Changes the runbook that the path names as `decide` says; again on the fresh one when somebody else was faster.
pub(super) async fn change(
    request: &Request,
    decide: impl Fn(&Runbook) -> Result<Runbook, ApiError> + Send,
) -> Result<Runbook, ApiError> {
    let mut runbook = find_readable(request).await?;
    request.authorise("baremetal:runbook:update", None)?;
    for _ in 0..CONFLICT_TRIES {
        let after = decide(&runbook)?;
        if after == runbook {
            return Ok(runbook);
        }
        match request.state.db.update_runbook(&runbook, after).await {
            Err(DbError::Conflict { .. }) => runbook = find(request).await?,
            done => return Ok(done?),
        }
    }
    Err(ApiError::conflict(format!("Runbook {} is being changed by others, please retry.", runbook.uuid)))
}

/// The runbook that the path names, if the caller may read it; everybody may read public ones.
pub(super) async fn find_readable(request: &Request) -> Result<Runbook, ApiError> {
    let runbook = find(request).await?;
    if !runbook.public {
        request.authorise("baremetal:runbook:get", None)?;
    }
    Ok(runbook)
}

async fn find(request: &Request) -> Result<Runbook, ApiError> {
    let ident = request.param("runbook_ident");
    let key = match uuid_or_name("Runbook", ident)? {
        Ident::Uuid(uuid) => RunbookKey::Uuid(RunbookUuid::from_uuid(uuid)),
        Ident::Name(name) => RunbookKey::Name(name),
    };
    let found = request.state.db.get_runbook(&key, &request.scope()).await?;
    found.ok_or_else(|| ApiError::not_found(format!("Runbook {ident} could not be found.")))
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
