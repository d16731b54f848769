//! The lights of nodes.

use api_types::write_links;
use http::StatusCode;
use model::{Indicator, IndicatorName, IndicatorState};
use serde_json::json;

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::store;

/// `GET /v1/nodes/{node_ident}/management/indicators`
pub(crate) async fn list(request: Request) -> Answer {
    let node = request.node("baremetal:node:get_indicator_state").await?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let indicators = request.state.conductors.indicators(node.uuid).await?;
    Ok(Reply::json(written(&request, &indicators)))
}

fn written(request: &Request, indicators: &[Indicator]) -> Vec<u8> {
    let ident = request.param("node_ident");
    request.written(|cx, out| {
        out.raw("{\"indicators\":[");
        for (index, indicator) in indicators.iter().enumerate() {
            out.raw(if index == 0 { "{" } else { ",{" });
            let name = indicator.name.to_string();
            out.key(true, "name");
            out.text(&name);
            out.key(false, "component");
            out.text(&indicator.name.component);
            out.key(false, "readonly");
            out.flag(indicator.readonly);
            out.key(false, "states");
            out.texts(indicator.states.iter().map(|state| state.as_str()));
            out.key(false, "links");
            write_links(out, cx.base, &["nodes", ident, "management", "indicators", &name]);
            out.raw("}");
        }
        out.raw("]}");
    })
}

/// `GET /v1/nodes/{node_ident}/management/indicators/{indicator}`
pub(crate) async fn show(request: Request) -> Answer {
    let node = request.node("baremetal:node:get_indicator_state").await?;
    let name = name(&request)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let state = request.state.conductors.indicator(node.uuid, name).await?;
    Ok(Reply::json(json!({"state": state}).to_string()))
}

/// `PUT /v1/nodes/{node_ident}/management/indicators/{indicator}`
pub(crate) async fn set(request: Request) -> Answer {
    let body = request.shaped()?;
    let state = body.get("state").and_then(|value| value.as_str()).unwrap_or_default();
    let state: IndicatorState =
        state.parse().map_err(|error| ApiError::bad_request(format!("/state: {error}")))?;
    let node = request.node("baremetal:node:set_indicator_state").await?;
    let name = name(&request)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let node = store::wait_unlocked(&request.state, node).await?;
    request.state.conductors.set_indicator(node.uuid, name, state).await?;
    Ok(Reply::no_content())
}

fn name(request: &Request) -> Result<IndicatorName, ApiError> {
    request.param("indicator").parse().map_err(|error: String| ApiError::bad_request(error))
}
