//! Methods of vendors, of nodes and of drivers: passed on as they come.

use conductor_api::{VendorCall, VendorReply};
use http::StatusCode;
use model::JsonObject;
use serde_json::{Map, Value, json};

use super::drivers;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// The last word of the paths that list the methods.
const LISTED: &str = "methods";

/// `GET /v1/nodes/{node_ident}/vendor_passthru/methods`
pub(crate) async fn methods(request: Request) -> Answer {
    request.no_query()?;
    let node = request.node("baremetal:node:vendor_passthru").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let methods = request.state.conductors.vendor_methods(node.uuid).await?;
    Ok(Reply::json(json!(methods).to_string()))
}

/// Any method of `/v1/nodes/{node_ident}/vendor_passthru/{method}` and `…/vendor_passthru?method=…`
pub(crate) async fn call(request: Request) -> Answer {
    let node = request.node("baremetal:node:vendor_passthru").await?;
    let call = read(&request)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    request.state.conductors.vendor_call(node.uuid, call).await.map(reply).map_err(ApiError::from)
}

/// `GET /v1/drivers/{driver_name}/vendor_passthru/methods`
pub(crate) async fn driver_methods(request: Request) -> Answer {
    request.no_query()?;
    request.authorise("baremetal:driver:vendor_passthru", None)?;
    let driver = drivers::find(&request)?.name;
    let methods = request.state.conductors.driver_methods(driver).await?;
    Ok(Reply::json(json!(methods).to_string()))
}

/// Any method of `/v1/drivers/{driver_name}/vendor_passthru/{method}` and `…/vendor_passthru?method=…`
pub(crate) async fn driver_call(request: Request) -> Answer {
    request.authorise("baremetal:driver:vendor_passthru", None)?;
    let driver = drivers::find(&request)?.name;
    let call = read(&request)?;
    request.state.conductors.driver_call(driver, call).await.map(reply).map_err(ApiError::from)
}

/// The call that a request is. The method's name is in the path, or in the query where the path has none.
fn read(request: &Request) -> Result<VendorCall, ApiError> {
    // What lists the methods stands where a method would: asked in another way, it is one that no vendor has.
    let in_path = if request.row.path.ends_with(LISTED) { LISTED } else { request.param("method") };
    let method = if in_path.is_empty() {
        request.query.check("vendor", &["method"], request.version)?;
        request.query.text("method").unwrap_or_default()
    } else {
        request.no_query()?;
        in_path.to_owned()
    };
    if method.is_empty() {
        return Err(ApiError::bad_request(
            "Expected the name of a vendor's method in the path, or as 'method'.",
        ));
    }
    let args = if request.body.is_empty() { Map::new() } else { request.json_object()? };
    Ok(VendorCall {
        method,
        http_method: request.row.method.as_str().to_owned(),
        args: JsonObject::from(args),
    })
}

fn reply(reply: VendorReply) -> Reply {
    match (reply.is_async, reply.attach, reply.value) {
        (true, ..) => Reply::accepted(),
        (false, true, Value::String(file)) => Reply::file(file),
        (false, _, value) => Reply::json(value.to_string()),
    }
}
