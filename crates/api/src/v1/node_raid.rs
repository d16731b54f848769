//! The RAID that is wanted of nodes, and what can be said of it.

use conductor_api::RequestError;
use http::StatusCode;
use model::JsonObject;
use serde_json::json;

use super::drivers;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store;

/// `PUT /v1/nodes/{node_ident}/states/raid`
pub(crate) async fn set(request: Request) -> Answer {
    let wanted = request.shaped()?;
    let node = request.node("baremetal:node:set_raid_state").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let node = store::wait_unlocked(&request.state, node).await?;
    let wanted = JsonObject::from(wanted);
    request.state.conductors.set_target_raid(node.uuid, wanted).await.map_err(no_raid)?;
    Ok(Reply::no_content())
}

/// `GET /v1/drivers/{driver_name}/raid/logical_disk_properties`
pub(crate) async fn properties(request: Request) -> Answer {
    request.authorise("baremetal:driver:get_raid_logical_disk_properties", None)?;
    let driver = drivers::find(&request)?.name;
    let properties = request.state.conductors.raid_properties(driver).await.map_err(no_raid)?;
    Ok(Reply::json(json!(properties).to_string()))
}

/// A driver without RAID is told by 404, unlike those without other things.
fn no_raid(error: RequestError) -> ApiError {
    match error {
        RequestError::Unsupported(text) => ApiError::not_found(text),
        other => other.into(),
    }
}
