//! Chassis, and the nodes in them.

use api_types::{CHASSIS, NODE, Patch, Shape, create as set_fields};
use db::DbError;
use http::StatusCode;
use model::{Chassis, ChassisUuid, Node, Timestamp};

use crate::error::ApiError;
use crate::ident::uuid_alone;
use crate::node_filter;
use crate::node_part::missing;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;

/// `GET /v1/chassis`
pub(crate) async fn list(request: Request) -> Answer {
    answer(request, false).await
}

/// `GET /v1/chassis/detail`
pub(crate) async fn detail(request: Request) -> Answer {
    answer(request, true).await
}

async fn answer(request: Request, detail: bool) -> Answer {
    request.authorise("baremetal:chassis:get", None)?;
    let page = Page::read(&request, &CHASSIS, detail)?;
    let chassis = request.state.db.list_chassis(&page.paging()?).await?;
    let marker = chassis.last().filter(|_| chassis.len() == page.limit).map(|last| last.uuid.to_string());
    request.list((&CHASSIS, "chassis"), &page, &chassis, marker)
}

/// `GET /v1/chassis/{chassis_uuid}`
pub(crate) async fn show(request: Request) -> Answer {
    request.authorise("baremetal:chassis:get", None)?;
    let shape = page::shape(&request, Shape::Full)?;
    let chassis = find(&request).await?;
    Ok(Reply::json(request.object(&CHASSIS, &shape, &chassis)?))
}

/// The chassis that the path names.
async fn find(request: &Request) -> Result<Chassis, ApiError> {
    let ident = request.param("chassis_uuid");
    find_chassis(request, ChassisUuid::from_uuid(uuid_alone("Chassis", ident)?)).await
}

/// The chassis `uuid`.
pub(super) async fn find_chassis(request: &Request, uuid: ChassisUuid) -> Result<Chassis, ApiError> {
    request.state.db.get_chassis(uuid).await?.ok_or_else(|| missing("Chassis", &uuid.to_string()))
}

/// `POST /v1/chassis`
pub(crate) async fn create(request: Request) -> Answer {
    request.authorise("baremetal:chassis:create", None)?;
    let mut chassis = Chassis::new(Timestamp::now());
    set_fields(&CHASSIS, &mut chassis, request.shaped()?, request.version)?;
    let chassis = request.state.db.create_chassis(chassis).await?;
    let body = request.object(&CHASSIS, &Shape::Full, &chassis)?;
    Ok(Reply::created(request.url(&format!("chassis/{}", chassis.uuid)), body))
}

/// `PATCH /v1/chassis/{chassis_uuid}`
pub(crate) async fn update(request: Request) -> Answer {
    request.authorise("baremetal:chassis:update", None)?;
    let patch = Patch::parse(request.json()?)?;
    patch.check(&CHASSIS, request.version)?;
    for _ in 0..CONFLICT_TRIES {
        let mut chassis = find(&request).await?;
        let after = request.with_context(true, |cx| patch.apply(&CHASSIS, &chassis, cx))?;
        if after != chassis {
            match request.state.db.update_chassis(&chassis, after).await {
                Err(DbError::Conflict { .. }) => continue,
                done => chassis = done?,
            }
        }
        return Ok(Reply::json(request.object(&CHASSIS, &Shape::Full, &chassis)?));
    }
    Err(ApiError::conflict("The chassis is being changed by others all the time, please retry."))
}

/// `DELETE /v1/chassis/{chassis_uuid}`
pub(crate) async fn delete(request: Request) -> Answer {
    request.authorise("baremetal:chassis:delete", None)?;
    let chassis = find(&request).await?;
    request.state.db.delete_chassis(chassis.uuid).await?;
    Ok(Reply::no_content())
}

/// `GET /v1/chassis/{chassis_uuid}/nodes`
pub(crate) async fn nodes(request: Request) -> Answer {
    nodes_in(request, false).await
}

/// `GET /v1/chassis/{chassis_uuid}/nodes/detail`
pub(crate) async fn nodes_detail(request: Request) -> Answer {
    nodes_in(request, true).await
}

async fn nodes_in(request: Request, detail: bool) -> Answer {
    let (page, mut query) = node_filter::read(&request, detail)?;
    query.filter.chassis_uuid = Some(find(&request).await?.uuid);
    let nodes = request.state.db.list_nodes(&query).await?;
    let marker = nodes.last().filter(|_| nodes.len() == page.limit).map(|node| node.uuid.to_string());
    request.list((&NODE, "nodes"), &page, &nodes, marker)
}

/// The chassis that `node` names has to be there.
pub(super) async fn check_chassis(request: &Request, node: &Node) -> Result<(), ApiError> {
    let Some(uuid) = node.chassis_uuid else { return Ok(()) };
    let found = find_chassis(request, uuid).await;
    found.map(drop).map_err(|error| error.with_status(StatusCode::BAD_REQUEST))
}
