//! Deploy templates.

use api_types::{DEPLOY_TEMPLATE, Invalid, Patch, Shape, create as set_fields};
use db::{DbError, DeployTemplateKey};
use http::StatusCode;
use model::{DeployTemplate, DeployTemplateUuid, Timestamp};

use crate::error::ApiError;
use crate::ident::{Ident, uuid_or_name};
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;

/// `GET /v1/deploy_templates`
pub(crate) async fn list(request: Request) -> Answer {
    request.authorise("baremetal:deploy_template:get", None)?;
    let page = Page::read(&request, &DEPLOY_TEMPLATE, false)?;
    // Templates are looked up by their markers, and no template has one that is no UUID.
    page.uuid_marker().map_err(|error| error.with_status(StatusCode::NOT_FOUND))?;
    let items = request.state.db.list_deploy_templates(&page.paging()?).await?;
    let marker = items.last().filter(|_| items.len() == page.limit).map(|item| item.uuid.to_string());
    request.list((&DEPLOY_TEMPLATE, "deploy_templates"), &page, &items, marker)
}

/// `GET /v1/deploy_templates/{template_ident}`
pub(crate) async fn show(request: Request) -> Answer {
    request.authorise("baremetal:deploy_template:get", None)?;
    let shape = page::shape(&request, Shape::Full)?;
    let template = find(&request).await?;
    Ok(Reply::json(request.object(&DEPLOY_TEMPLATE, &shape, &template)?))
}

/// `POST /v1/deploy_templates`
pub(crate) async fn create(request: Request) -> Answer {
    request.authorise("baremetal:deploy_template:create", None)?;
    let mut template = DeployTemplate::new("", Timestamp::now());
    let body = request.json_object()?;
    if let Some(missing) = ["name", "steps"].into_iter().find(|name| !body.contains_key(*name)) {
        return Err(Invalid::at(format!("/{missing}"), "a value is required").into());
    }
    set_fields(&DEPLOY_TEMPLATE, &mut template, body, request.version)?;
    let template = request.state.db.create_deploy_template(template).await?;
    let body = request.object(&DEPLOY_TEMPLATE, &Shape::Full, &template)?;
    Ok(Reply::created(request.url(&format!("deploy_templates/{}", template.uuid)), body))
}

/// `PATCH /v1/deploy_templates/{template_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    request.authorise("baremetal:deploy_template:update", None)?;
    let patch = Patch::parse(request.json()?)?;
    patch.check(&DEPLOY_TEMPLATE, request.version)?;
    let mut template = find(&request).await?;
    for _ in 0..CONFLICT_TRIES {
        let after = request.with_context(true, |cx| patch.apply(&DEPLOY_TEMPLATE, &template, cx))?;
        if after != template {
            match request.state.db.update_deploy_template(&template, after).await {
                Err(DbError::Conflict { .. }) => {
                    template = find(&request).await?;
                    continue;
                }
                done => template = done?,
            }
        }
        return Ok(Reply::json(request.object(&DEPLOY_TEMPLATE, &Shape::Full, &template)?));
    }
    Err(ApiError::conflict(format!(
        "Deploy template {} is being changed by others, please retry.",
        template.uuid
    )))
}

/// `DELETE /v1/deploy_templates/{template_ident}`
pub(crate) async fn delete(request: Request) -> Answer {
    request.authorise("baremetal:deploy_template:delete", None)?;
    let template = find(&request).await?;
    request.state.db.delete_deploy_template(template.uuid).await?;
    Ok(Reply::no_content())
}

async fn find(request: &Request) -> Result<DeployTemplate, ApiError> {
    let ident = request.param("template_ident");
    let key = match uuid_or_name("Deploy template", ident)? {
        Ident::Uuid(uuid) => DeployTemplateKey::Uuid(DeployTemplateUuid::from_uuid(uuid)),
        Ident::Name(name) => DeployTemplateKey::Name(name),
    };
    let found = request.state.db.get_deploy_template(&key).await?;
    found.ok_or_else(|| ApiError::not_found(format!("Deploy template {ident} could not be found.")))
}
