//! Volume targets: lists, one volume target, creation, patching, removal.

use api_types::{Patch, Shape, VOLUME_TARGET, create as set_fields};
use db::{DbError, VolumeTargetQuery};
use model::{JsonObject, Node, Timestamp, VolumeTarget, VolumeTargetUuid};

use crate::access::VOLUMES;
use crate::error::ApiError;
use crate::ident::uuid_alone;
use crate::node_part::{missing, new_node, node_of, node_of_body, require};
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store::CONFLICT_TRIES;
use crate::{part_rules, store};

/// The rule for who sees the properties, which tell how to reach the volume.
const VIEW_PROPERTIES: &str = "baremetal:volume:view_target_properties";

/// `GET /v1/volume/targets`
pub(crate) async fn list(request: Request) -> Answer {
    let node = match request.query.get("node") {
        Some(ident) => Some(request.find_node(ident).await?),
        None => None,
    };
    answer(request, node).await
}

/// `GET /v1/nodes/{node_ident}/volume/targets`
pub(crate) async fn list_of_node(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    answer(request, Some(node)).await
}

async fn answer(request: Request, node: Option<Node>) -> Answer {
    let visible_to = request.listed(&VOLUMES, None)?;
    let page = Page::read(&request, &VOLUME_TARGET, false)?;
    let query = VolumeTargetQuery { visible_to, node: node.map(|node| node.uuid), paging: page.paging()? };
    let mut items = request.state.db.list_volume_targets(&query).await?;
    for item in &mut items {
        redact(&request, item);
    }
    let marker = items.last().filter(|_| items.len() == page.limit).map(|last| last.uuid.to_string());
    request.list((&VOLUME_TARGET, "targets"), &page, &items, marker)
}

/// `GET /v1/volume/targets/{uuid}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let item = find(&request).await?;
    request.authorise_part("baremetal:volume:get", item.node_uuid).await?;
    reply(&request, &shape, item)
}

/// The volume target that the path names, if the caller may see it.
async fn find(request: &Request) -> Result<VolumeTarget, ApiError> {
    let ident = request.param("uuid");
    let uuid = VolumeTargetUuid::from_uuid(uuid_alone("Volume target", ident)?);
    let found = request.state.db.get_volume_target(uuid, request.scope()).await?;
    found.ok_or_else(|| missing("Volume target", ident))
}

fn reply(request: &Request, shape: &Shape, mut item: VolumeTarget) -> Answer {
    redact(request, &mut item);
    Ok(Reply::json(request.object(&VOLUME_TARGET, shape, &item)?))
}

/// Takes the properties out of a reply to who may not see them.
fn redact(request: &Request, item: &mut VolumeTarget) {
    if !item.properties.is_empty() && !request.may(VIEW_PROPERTIES, None) {
        item.properties = JsonObject::default();
        item.properties.set("redacted", format!("this needs {VIEW_PROPERTIES}").into());
    }
}

/// `POST /v1/volume/targets`
pub(crate) async fn create(request: Request) -> Answer {
    let body = request.json_object()?;
    let node = node_of_body(&request, &body).await?;
    request.authorise_node("baremetal:volume:create", &node)?;
    require(&body, &["volume_type", "volume_id", "boot_index"])?;
    let mut item = VolumeTarget::new(node.uuid, Timestamp::now());
    set_fields(&VOLUME_TARGET, &mut item, body, request.version)?;
    store::wait_unlocked(&request.state, node).await?;
    let mut item = request.state.db.create_volume_target(item).await?;
    redact(&request, &mut item);
    let url = request.url(&format!("volume/targets/{}", item.uuid));
    Ok(Reply::created(url, request.object(&VOLUME_TARGET, &Shape::Full, &item)?))
}

/// `PATCH /v1/volume/targets/{uuid}`
pub(crate) async fn update(request: Request) -> Answer {
    let patch = Patch::parse(request.json()?)?;
    patch.check(&VOLUME_TARGET, request.version)?;
    for _ in 0..CONFLICT_TRIES {
        let mut item = find(&request).await?;
        let node = node_of(&request, item.node_uuid).await?;
        request.authorise_node("baremetal:volume:update", &node)?;
        let after = request.with_context(true, |cx| patch.apply(&VOLUME_TARGET, &item, cx))?;
        if after.node_uuid != node.uuid {
            new_node(&request, &node, after.node_uuid).await?;
        }
        if after != item {
            part_rules::may_change_volumes(&node)?;
            store::wait_unlocked(&request.state, node).await?;
            match request.state.db.update_volume_target(&item, after).await {
                Err(DbError::Conflict { .. }) => continue,
                done => item = done?,
            }
        }
        return reply(&request, &Shape::Full, item);
    }
    Err(ApiError::conflict("The volume target is being changed by others all the time, please retry."))
}

/// `DELETE /v1/volume/targets/{uuid}`
pub(crate) async fn delete(request: Request) -> Answer {
    let item = find(&request).await?;
    let node = node_of(&request, item.node_uuid).await?;
    request.authorise_node("baremetal:volume:delete", &node)?;
    part_rules::may_delete_volumes(&node)?;
    store::wait_unlocked(&request.state, node).await?;
    request.state.db.delete_volume_target(item.uuid).await?;
    Ok(Reply::no_content())
}
