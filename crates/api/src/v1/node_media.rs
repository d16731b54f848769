//! Images that are shown to nodes as disks.

use http::StatusCode;
use model::{MediaDevice, MediaImage, MediaSource};
use serde_json::{Map, Value, json};
use url::Url;

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store;

/// How images can be fetched.
const SCHEMES: [&str; 5] = ["http", "https", "nfs", "cifs", "smb"];
/// The longest address of an image, in bytes.
const MAX_URL: usize = 4096;

/// `GET /v1/nodes/{node_ident}/vmedia`
pub(crate) async fn list(request: Request) -> Answer {
    let node = request.node("baremetal:node:vmedia:get").await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    let drives = request.state.conductors.media(node.uuid).await?;
    Ok(Reply::json(json!(drives).to_string()))
}

/// `POST /v1/nodes/{node_ident}/vmedia`
pub(crate) async fn attach(request: Request) -> Answer {
    let image = image(&request.shaped()?)?;
    let node = request.node("baremetal:node:vmedia:attach").await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    let node = store::wait_unlocked(&request.state, node).await?;
    request.state.conductors.attach_media(node.uuid, image).await?;
    Ok(Reply::no_content())
}

/// `DELETE /v1/nodes/{node_ident}/vmedia`
pub(crate) async fn detach(request: Request) -> Answer {
    let devices = request.query.list("device_types").unwrap_or_default();
    let devices: Result<Vec<MediaDevice>, String> = devices.iter().map(|word| word.parse()).collect();
    let devices = devices.map_err(|error| ApiError::bad_request(format!("device_types: {error}")))?;
    let node = request.node("baremetal:node:vmedia:detach").await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    let node = store::wait_unlocked(&request.state, node).await?;
    request.state.conductors.detach_media(node.uuid, devices).await?;
    Ok(Reply::no_content())
}

/// Reads the body of a request to attach.
fn image(body: &Map<String, Value>) -> Result<MediaImage, ApiError> {
    // That they are there was checked by the route's row.
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let wrong = |name: &'static str| move |error| ApiError::bad_request(format!("/{name}: {error}"));
    let device = text("device_type").unwrap_or_default();
    let device: MediaDevice = device.parse().map_err(wrong("device_type"))?;
    let source = match text("image_download_source") {
        Some(word) => word.parse().map_err(wrong("image_download_source"))?,
        None => MediaSource::default(),
    };
    let url = text("image_url").unwrap_or_default();
    let scheme = Url::parse(url).ok().filter(|_| url.len() <= MAX_URL);
    if !scheme.is_some_and(|url| SCHEMES.contains(&url.scheme())) {
        return Err(ApiError::bad_request(format!(
            "/image_url: expected a URL that begins with one of {}",
            SCHEMES.join(", ")
        )));
    }
    Ok(MediaImage { device, url: url.to_owned(), source })
}
