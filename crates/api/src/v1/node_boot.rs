//! What nodes boot from and how: boot device, boot mode, secure boot; and the RAID wanted.

use api_types::flag;
use http::StatusCode;
use model::{BootDevice, BootMode, InterfaceKind, JsonObject};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::rules;

/// `GET /v1/nodes/{node_ident}/management/boot_device`
pub(crate) async fn boot_device(request: Request) -> Answer {
    request.no_query()?;
    let node = request.node("baremetal:node:get_boot_device").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let current = request.state.conductors.boot_device(node.uuid).await?;
    Ok(Reply::json(json!(current).to_string()))
}

/// `PUT /v1/nodes/{node_ident}/management/boot_device`
pub(crate) async fn set_boot_device(request: Request) -> Answer {
    let body = request.shaped()?;
    let device: BootDevice = named(body.get("boot_device"), "boot_device")?;
    let persistent = body.get("persistent").and_then(flag).unwrap_or_default();
    let node = request.node("baremetal:node:set_boot_device").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.set_boot_device(node.uuid, device, persistent).await?;
    Ok(Reply::no_content())
}

/// `GET /v1/nodes/{node_ident}/management/boot_device/supported`
pub(crate) async fn supported_boot_devices(request: Request) -> Answer {
    request.no_query()?;
    let node = request.node("baremetal:node:get_boot_device").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let devices = request.state.conductors.supported_boot_devices(node.uuid).await?;
    Ok(Reply::json(json!({"supported_boot_devices": devices}).to_string()))
}

/// `PUT /v1/nodes/{node_ident}/states/boot_mode`
pub(crate) async fn set_boot_mode(request: Request) -> Answer {
    let mode: BootMode = named(request.shaped()?.get("target"), "target")?;
    let node = request.node("baremetal:node:set_boot_mode").await?;
    rules::may_change_boot_mode(&node)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.set_boot_mode(node.uuid, mode).await?;
    Ok(Reply::accepted().at(request.url(&format!("nodes/{}/states", request.param("node_ident")))))
}

/// `PUT /v1/nodes/{node_ident}/states/secure_boot`
pub(crate) async fn set_secure_boot(request: Request) -> Answer {
    let on = request.shaped()?.get("target").and_then(flag).unwrap_or_default();
    let node = request.node("baremetal:node:set_secure_boot").await?;
    rules::may_change_boot_mode(&node)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.set_secure_boot(node.uuid, on).await?;
    Ok(Reply::accepted().at(request.url(&format!("nodes/{}/states", request.param("node_ident")))))
}

/// `PUT /v1/nodes/{node_ident}/states/raid`
pub(crate) async fn set_raid(request: Request) -> Answer {
    let wanted = request.shaped()?;
    if !wanted.is_empty() && wanted.get("logical_disks").is_none_or(Value::is_null) {
        return Err(ApiError::bad_request("/logical_disks: expected a list of objects"));
    }
    let wanted = JsonObject::from(wanted);
    let node = request.node("baremetal:node:set_raid_state").await?;
    if matches!(node.interfaces.get(InterfaceKind::Raid), None | Some("no-raid")) {
        return Err(ApiError::not_found(format!(
            "Driver {} does not support raid (disabled or not implemented).",
            node.driver
        )));
    }
    let change = |before: &model::Node| {
        let mut after = before.clone();
        after.target_raid_config = wanted.clone();
        Ok(after)
    };
    request.change_node(node, change).await?;
    Ok(Reply::no_content())
}

/// A member that is one of a few words.
fn named<T: std::str::FromStr<Err = String>>(value: Option<&Value>, name: &str) -> Result<T, ApiError> {
    let text = value.and_then(Value::as_str);
    let text = text.ok_or_else(|| ApiError::bad_request(format!("/{name}: expected a string")))?;
    text.parse().map_err(|error| ApiError::bad_request(format!("/{name}: {error}")))
}
