//! What nodes boot from and how: boot device, boot mode, secure boot.

use api_types::flag;
use http::StatusCode;
use model::{BootDevice, BootMode};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{rules, store};

/// `GET /v1/nodes/{node_ident}/management/boot_device`
pub(crate) async fn boot_device(request: Request) -> Answer {
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
    let node = store::wait_unlocked(&request.state, node).await?;
    request.state.conductors.set_boot_device(node.uuid, device, persistent).await?;
    Ok(Reply::no_content())
}

/// `GET /v1/nodes/{node_ident}/management/boot_device/supported`
pub(crate) async fn supported_boot_devices(request: Request) -> Answer {
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

/// A member that is one of a few words.
fn named<T: std::str::FromStr<Err = String>>(value: Option<&Value>, name: &str) -> Result<T, ApiError> {
    let text = value.and_then(Value::as_str);
    let text = text.ok_or_else(|| ApiError::bad_request(format!("/{name}: expected a string")))?;
    text.parse().map_err(|error| ApiError::bad_request(format!("/{name}: {error}")))
}
