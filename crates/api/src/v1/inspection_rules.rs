//! Inspection rules.

use api_types::{INSPECTION_RULE, Invalid, Patch, Shape, create as set_fields};
use db::DbError;
use model::{InspectionRule, InspectionRuleUuid, Timestamp};

use crate::error::ApiError;
use crate::ident::uuid_alone;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;

/// `GET /v1/inspection_rules`; there is one phase, so the parameter `phase` says nothing.
pub(crate) async fn list(request: Request) -> Answer {
    // Whoever may list them all may list them.
    if !request.may("baremetal:inspection_rule:list_all", None) {
        request.authorise("baremetal:inspection_rule:get", None)?;
    }
    let page = Page::read(&request, &INSPECTION_RULE, false)?;
    let items = request.state.db.list_inspection_rules(&page.paging()?).await?;
    let marker = items.last().filter(|_| items.len() == page.limit).map(|item| item.uuid.to_string());
    request.list((&INSPECTION_RULE, "inspection_rules"), &page, &items, marker)
}

/// `GET /v1/inspection_rules/{uuid}`
pub(crate) async fn show(request: Request) -> Answer {
    request.authorise("baremetal:inspection_rule:get", None)?;
    let shape = page::shape(&request, Shape::Full)?;
    let rule = find(&request).await?;
    Ok(Reply::json(request.object(&INSPECTION_RULE, &shape, &rule)?))
}

/// `POST /v1/inspection_rules`
pub(crate) async fn create(request: Request) -> Answer {
    request.authorise("baremetal:inspection_rule:create", None)?;
    let mut rule = InspectionRule::new(Timestamp::now());
    let body = request.json_object()?;
    if !body.contains_key("actions") {
        return Err(Invalid::at("/actions", "a value is required").into());
    }
    set_fields(&INSPECTION_RULE, &mut rule, body, request.version)?;
    let rule = request.state.db.create_inspection_rule(rule).await?;
    let body = request.object(&INSPECTION_RULE, &Shape::Full, &rule)?;
    Ok(Reply::created(request.url(&format!("inspection_rules/{}", rule.uuid)), body))
}

/// `PATCH /v1/inspection_rules/{uuid}`
pub(crate) async fn update(request: Request) -> Answer {
    request.authorise("baremetal:inspection_rule:update", None)?;
    let patch = Patch::parse(request.json()?)?;
    patch.check(&INSPECTION_RULE, request.version)?;
    let mut rule = find(&request).await?;
    for _ in 0..CONFLICT_TRIES {
        let after = request.with_context(true, |cx| patch.apply(&INSPECTION_RULE, &rule, cx))?;
        if rule.sensitive && !after.sensitive {
            return Err(Invalid::at("/sensitive", "a sensitive rule stays one").into());
        }
        if after != rule {
            match request.state.db.update_inspection_rule(&rule, after).await {
                Err(DbError::Conflict { .. }) => {
                    rule = find(&request).await?;
                    continue;
                }
                done => rule = done?,
            }
        }
        return Ok(Reply::json(request.object(&INSPECTION_RULE, &Shape::Full, &rule)?));
    }
    Err(ApiError::conflict(format!(
        "Inspection rule {} is being changed by others, please retry.",
        rule.uuid
    )))
}

/// `DELETE /v1/inspection_rules/{uuid}`
pub(crate) async fn delete(request: Request) -> Answer {
    request.authorise("baremetal:inspection_rule:delete", None)?;
    let rule = find(&request).await?;
    request.state.db.delete_inspection_rule(rule.uuid).await?;
    Ok(Reply::no_content())
}

async fn find(request: &Request) -> Result<InspectionRule, ApiError> {
    let uuid = uuid_alone("Inspection rule", request.param("uuid"))?;
    let found = request.state.db.get_inspection_rule(InspectionRuleUuid::from_uuid(uuid)).await?;
    found.ok_or_else(|| ApiError::not_found(format!("Inspection rule {uuid} could not be found.")))
}
