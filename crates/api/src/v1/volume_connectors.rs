//! Volume connectors: lists, one volume connector, creation, patching, removal.

use api_types::{Patch, Shape, VOLUME_CONNECTOR, create as set_fields};
use db::{DbError, VolumeConnectorQuery};
use model::{Node, Timestamp, VolumeConnector, VolumeConnectorUuid};

use crate::access::VOLUMES;
use crate::error::ApiError;
use crate::ident::uuid_alone;
use crate::node_part::{missing, new_node, node_of, node_of_body, require};
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;
use crate::{part_rules, store};

/// `GET /v1/volume/connectors`
pub(crate) async fn list(request: Request) -> Answer {
    let node = match request.query.get("node") {
        Some(ident) => Some(request.find_node(ident).await?),
        None => None,
    };
    answer(request, node).await
}

/// `GET /v1/nodes/{node_ident}/volume/connectors`
pub(crate) async fn list_of_node(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    answer(request, Some(node)).await
}

async fn answer(request: Request, node: Option<Node>) -> Answer {
    let visible_to = request.listed(&VOLUMES, None)?;
    let page = Page::read(&request, &VOLUME_CONNECTOR, false)?;
    let query = VolumeConnectorQuery { visible_to, node: node.map(|node| node.uuid), paging: page.paging()? };
    let items = request.state.db.list_volume_connectors(&query).await?;
    let marker = items.last().filter(|_| items.len() == page.limit).map(|last| last.uuid.to_string());
    request.list((&VOLUME_CONNECTOR, "connectors"), &page, &items, marker)
}

/// `GET /v1/volume/connectors/{uuid}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let item = find(&request).await?;
    request.authorise_part("baremetal:volume:get", item.node_uuid).await?;
    Ok(Reply::json(request.object(&VOLUME_CONNECTOR, &shape, &item)?))
}

/// The volume connector that the path names, if the caller may see it.
async fn find(request: &Request) -> Result<VolumeConnector, ApiError> {
    let ident = request.param("uuid");
    let uuid = VolumeConnectorUuid::from_uuid(uuid_alone("Volume connector", ident)?);
    let found = request.state.db.get_volume_connector(uuid, request.scope()).await?;
    found.ok_or_else(|| missing("Volume connector", ident))
}

/// `POST /v1/volume/connectors`
pub(crate) async fn create(request: Request) -> Answer {
    let body = request.json_object()?;
    let node = node_of_body(&request, &body).await?;
    request.authorise_node("baremetal:volume:create", &node)?;
    require(&body, &["type", "connector_id"])?;
    let mut item = VolumeConnector::new(node.uuid, Timestamp::now());
    set_fields(&VOLUME_CONNECTOR, &mut item, body, request.version)?;
    store::wait_unlocked(&request.state, node).await?;
    let item = request.state.db.create_volume_connector(item).await?;
    let url = request.url(&format!("volume/connectors/{}", item.uuid));
    Ok(Reply::created(url, request.object(&VOLUME_CONNECTOR, &Shape::Full, &item)?))
}

/// `PATCH /v1/volume/connectors/{uuid}`
pub(crate) async fn update(request: Request) -> Answer {
    let patch = Patch::parse(request.json()?)?;
    patch.check(&VOLUME_CONNECTOR, request.version)?;
    for _ in 0..CONFLICT_TRIES {
        let mut item = find(&request).await?;
        let node = node_of(&request, item.node_uuid).await?;
        request.authorise_node("baremetal:volume:update", &node)?;
        let after = request.with_context(true, |cx| patch.apply(&VOLUME_CONNECTOR, &item, cx))?;
        if after.node_uuid != node.uuid {
            new_node(&request, &node, after.node_uuid).await?;
        }
        if after != item {
            part_rules::may_change_volumes(&node)?;
            store::wait_unlocked(&request.state, node).await?;
            match request.state.db.update_volume_connector(&item, after).await {
                Err(DbError::Conflict { .. }) => continue,
                done => item = done?,
            }
        }
        return Ok(Reply::json(request.object(&VOLUME_CONNECTOR, &Shape::Full, &item)?));
    }
    Err(ApiError::conflict("The volume connector is being changed by others all the time, please retry."))
}

/// `DELETE /v1/volume/connectors/{uuid}`
pub(crate) async fn delete(request: Request) -> Answer {
    let item = find(&request).await?;
    let node = node_of(&request, item.node_uuid).await?;
    request.authorise_node("baremetal:volume:delete", &node)?;
    part_rules::may_delete_volumes(&node)?;
    store::wait_unlocked(&request.state, node).await?;
    request.state.db.delete_volume_connector(item.uuid).await?;
    Ok(Reply::no_content())
}
