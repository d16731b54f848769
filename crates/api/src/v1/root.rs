//! Discovery.

use api_types::{root_document, v1_document};

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /`
pub(crate) async fn root(request: Request) -> Answer {
    Ok(Reply::json(root_document(&request.base, request.state.options.max_version)))
}

/// `GET /v1`
pub(crate) async fn v1(request: Request) -> Answer {
    let max = request.state.options.max_version;
    Ok(Reply::json(v1_document(&request.base, request.version, max)))
}
