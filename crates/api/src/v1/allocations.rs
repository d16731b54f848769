//! Allocations. A project sees its own; what a list shows is always everything.

use api_types::{ALLOCATION, Invalid, Patch, Shape, create as set_fields};
use db::{AllocationKey, AllocationQuery, DbError};
use http::StatusCode;
use microversion::param_gate;
use model::{Allocation, AllocationUuid, Node, Timestamp};
use policy::Kind;
use provision::allocation::{claimed, why_not_backfill};
use serde_json::{Map, Value};

use super::node_allocation::give_back;
use super::node_power::admit;
use crate::access::ALLOCATIONS;
use crate::error::ApiError;
use crate::ident::{Ident, uuid_or_name};
use crate::node_part::missing;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::{CONFLICT_TRIES, unlocked, wait_unlocked};

/// The rule for removing one.
pub(super) const DELETE: &str = "baremetal:allocation:delete";

/// `GET /v1/allocations`
pub(crate) async fn list(request: Request) -> Answer {
    let visible_to = request.listed(&ALLOCATIONS, request.query.get("owner"))?;
    let page = Page::read(&request, &ALLOCATION, false)?;
    let node = match request.query.get("node") {
        Some(ident) => {
            let node = request.find_node(ident).await;
            Some(node.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))?.uuid)
        }
        None => None,
    };
    let query = AllocationQuery {
        visible_to,
        node,
        resource_class: request.query.text("resource_class"),
        state: request.query.text("state"),
        owner: request.query.text("owner"),
        paging: page.paging()?,
    };
    let items = request.state.db.list_allocations(&query).await?;
    let marker = items.last().filter(|_| items.len() == page.limit).map(|item| item.uuid.to_string());
    request.list((&ALLOCATION, "allocations"), &page, &items, marker)
}

/// `GET /v1/allocations/{allocation_ident}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let allocation = find(&request).await?;
    Ok(Reply::json(request.object(&ALLOCATION, &shape, &allocation)?))
}

/// `POST /v1/allocations`
pub(crate) async fn create(request: Request) -> Answer {
    let is_restricted = may_create(&request)?;
    let mut body = request.json_object()?;
    let node = node_of(&request, &body).await?;
    if node.is_some() && body.get("resource_class").is_some_and(Value::is_null) {
        body.remove("resource_class");
    }
    name_candidates(&request, &mut body).await?;
    let mut allocation = Allocation::new(Timestamp::now());
    let names_uuid = body.get("uuid").is_some_and(|uuid| !uuid.is_null());
    set_fields(&ALLOCATION, &mut allocation, body, request.version)?;
    settle_owner(&request, &mut allocation, is_restricted)?;
    let allocation = match node {
        Some(node) => backfill(&request, allocation, names_uuid, node).await?,
        None if allocation.resource_class.is_none() => {
            return Err(Invalid::at("/resource_class", "a value is required unless node is given").into());
        }
        None => {
            let allocation = request.state.db.create_allocation(allocation).await?;
            request.state.conductors.allocate(allocation.uuid).await?;
            allocation
        }
    };
    let body = request.object(&ALLOCATION, &Shape::Full, &allocation)?;
    Ok(Reply::created(request.url(&format!("allocations/{}", allocation.uuid)), body))
}

/// `PATCH /v1/allocations/{allocation_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    let patch = Patch::parse(request.json()?)?;
    let mut allocation = find(&request).await?;
    authorise(&request, "baremetal:allocation:update", &allocation)?;
    patch.check(&ALLOCATION, request.version)?;
    for _ in 0..CONFLICT_TRIES {
        let after = request.with_context(true, |cx| patch.apply(&ALLOCATION, &allocation, cx))?;
        if after != allocation {
            match request.state.db.update_allocation(&allocation, after).await {
                Err(DbError::Conflict { .. }) => {
                    allocation = find(&request).await?;
                    continue;
                }
                done => allocation = done?,
            }
        }
        return Ok(Reply::json(request.object(&ALLOCATION, &Shape::Full, &allocation)?));
    }
    Err(busy(&allocation))
}

/// `DELETE /v1/allocations/{allocation_ident}`
pub(crate) async fn delete(request: Request) -> Answer {
    let allocation = find(&request).await?;
    authorise(&request, DELETE, &allocation)?;
    give_back(&request, allocation).await?;
    Ok(Reply::no_content())
}

/// The allocation that the path names, if the caller may see it.
async fn find(request: &Request) -> Result<Allocation, ApiError> {
    let ident = request.param("allocation_ident");
    let key = match uuid_or_name("Allocation", ident)? {
        Ident::Uuid(uuid) => AllocationKey::Uuid(AllocationUuid::from_uuid(uuid)),
        Ident::Name(name) => AllocationKey::Name(name),
    };
    let visible_to = request.scope_of("baremetal:allocation:get", Kind::Allocation);
    let found = request.state.db.get_allocation(&key, visible_to).await?;
    found.ok_or_else(|| missing("Allocation", ident))
}

/// The node that the body names by `node`, for an allocation that is made afterwards.
async fn node_of(request: &Request, body: &Map<String, Value>) -> Result<Option<Node>, ApiError> {
    let Some(ident) = body.get("node") else { return Ok(None) };
    admit(request, param_gate("allocation", "node"), "'node'")?;
    match ident {
        Value::Null => Ok(None),
        Value::String(ident) => {
            let node = request.find_node(ident).await;
            node.map(Some).map_err(|error| error.with_status(StatusCode::BAD_REQUEST))
        }
        _ => Err(Invalid::at("/node", "expected a string").into()),
    }
}

/// Puts UUIDs in the place of the names in `candidate_nodes`; each has to be a node that the caller may see.
async fn name_candidates(request: &Request, body: &mut Map<String, Value>) -> Result<(), ApiError> {
    let Some(Value::Array(list)) = body.get_mut("candidate_nodes") else { return Ok(()) };
    let idents: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    let Some(idents) = idents else {
        return Err(Invalid::at("/candidate_nodes", "expected a list of strings").into());
    };
    let found = request.state.db.nodes_called(idents.clone(), request.scope()).await?;
    let known: std::collections::HashMap<String, String> = found
        .into_iter()
        .flat_map(|(uuid, name)| {
            let uuid = uuid.to_string();
            name.map(|name| (name, uuid.clone())).into_iter().chain([(uuid.clone(), uuid)])
        })
        .collect();
    for (item, ident) in list.iter_mut().zip(idents) {
        let missing = || missing("Node", &ident).with_status(StatusCode::BAD_REQUEST);
        *item = Value::from(known.get(&ident).ok_or_else(missing)?.clone());
    }
    Ok(())
}

/// Whether the caller may make allocations for its own project alone; refused when it may make none.
fn may_create(request: &Request) -> Result<bool, ApiError> {
    let Err(refusal) = request.authorise("baremetal:allocation:create", None) else { return Ok(false) };
    request.authorise("baremetal:allocation:create_restricted", None).map(|()| true).map_err(|_| refusal)
}

/// An allocation of somebody who acts for a project belongs to that project, unless the caller may choose.
fn settle_owner(request: &Request, allocation: &mut Allocation, is_restricted: bool) -> Result<(), ApiError> {
    let own = &request.caller().project;
    if is_restricted {
        allocation.owner.clone_from(own);
        return Ok(());
    }
    let Some(own) = own.as_ref().filter(|_| !request.caller().system) else { return Ok(()) };
    match &allocation.owner {
        None => allocation.owner = Some(own.clone()),
        Some(owner) if owner != own => request.authorise("baremetal:allocation:create_restricted", None)?,
        Some(_) => {}
    }
    Ok(())
}

/// Refuses (403) what `rule` does not allow the caller to do to an allocation that it may read.
pub(super) fn authorise(
    request: &Request,
    rule: &'static str,
    allocation: &Allocation,
) -> Result<(), ApiError> {
    request.authorise_owned(rule, Kind::Allocation, allocation.owner.as_deref())
}

/// Makes an allocation for a node that somebody uses already.
async fn backfill(
    request: &Request,
    mut allocation: Allocation,
    names_uuid: bool,
    mut node: Node,
) -> Result<Allocation, ApiError> {
    if !names_uuid && let Some(uuid) = node.instance_uuid.as_ref().and_then(|text| text.parse().ok()) {
        allocation.uuid = uuid;
    }
    for _ in 0..CONFLICT_TRIES {
        let mut allocation = allocation.clone();
        if allocation.resource_class.is_none() {
            allocation.resource_class.clone_from(&node.resource_class);
        }
        node = wait_unlocked(&request.state, node).await?;
        check_backfill(&node, &allocation)?;
        let after = claimed(node.clone(), &allocation);
        match request.state.db.create_allocation_for(allocation, &node, after).await {
            Err(DbError::Conflict { .. }) => node = request.find_node(&node.uuid.to_string()).await?,
            done => return Ok(done?),
        }
    }
    unlocked(&node)?;
    Err(busy(&allocation))
}

fn check_backfill(node: &Node, allocation: &Allocation) -> Result<(), ApiError> {
    let uuid = allocation.uuid.to_string();
    if let Some(instance) = node.instance_uuid.as_ref().filter(|instance| **instance != uuid) {
        let text = format!("Node {} is associated with instance {instance}.", node.uuid);
        return Err(ApiError::conflict(text));
    }
    match why_not_backfill(node, allocation) {
        Some(reasons) => Err(ApiError::bad_request(format!(
            "Cannot make an allocation for node {}: {reasons}.",
            node.uuid
        ))),
        None => Ok(()),
    }
}

pub(super) fn busy(allocation: &Allocation) -> ApiError {
    let text = format!("Allocation {} is being changed by others, please retry.", allocation.uuid);
    ApiError::conflict(text)
}
