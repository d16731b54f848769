//! The API's own description. Public, as discovery is.

use crate::openapi;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/openapi.json`
pub(crate) async fn show(_: Request) -> Answer {
    Ok(Reply::json(openapi::text()))
}
