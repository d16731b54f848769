//! Firmware of the parts of nodes, as it was read last.

use api_types::{FIRMWARE_COMPONENT, Shape};
use http::StatusCode;

use super::node_bios::with_times;
use crate::page::{self, Page};
use crate::reply::Answer;
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/firmware`
pub(crate) async fn list(request: Request) -> Answer {
    let page = Page::whole(with_times(page::shape(&request, Shape::Short)?));
    let node = request.node("baremetal:node:firmware:get").await?;
    let components = request.state.db.firmware_components(node.uuid).await?;
    // Fields that are too new are as wrong here as those that never were.
    request
        .list((&FIRMWARE_COMPONENT, "firmware"), &page, &components, None)
        .map_err(|error| error.with_status(StatusCode::BAD_REQUEST))
}
