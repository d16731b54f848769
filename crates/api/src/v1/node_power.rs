//! Power of nodes.

use std::time::Duration;

use http::StatusCode;
use microversion::{Gate, param_gate, value_gate};
use model::{PowerState, PowerTarget};
use provision::Asker;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::rules;

/// `PUT /v1/nodes/{node_ident}/states/power`
pub(crate) async fn set_power(request: Request) -> Answer {
    let body = request.shaped()?;
    let target = target(&request, &body)?;
    let timeout = timeout(&request, &body)?;
    let node = request.node("baremetal:node:set_power_state").await?;
    rules::may_change_power(&node, target.end() == PowerState::Off)?;
    request.conductor_of(&node, StatusCode::NOT_FOUND)?;
    let caller = request.caller();
    let asker = Asker { user: caller.user.clone(), project: caller.project.clone() };
    request.state.conductors.set_power(node.uuid, target, timeout, asker).await?;
    Ok(Reply::accepted().at(request.url(&format!("nodes/{}/states", request.param("node_ident")))))
}

fn target(request: &Request, body: &Map<String, Value>) -> Result<PowerTarget, ApiError> {
    let text = body.get("target").and_then(Value::as_str);
    let text =
        text.ok_or_else(|| ApiError::bad_request("/target: expected a power target such as 'power on'"))?;
    let target = text.parse().map_err(|error| ApiError::bad_request(format!("/target: {error}")))?;
    admit(request, value_gate("power.target", text), &format!("'{text}'"))?;
    Ok(target)
}

fn timeout(request: &Request, body: &Map<String, Value>) -> Result<Option<Duration>, ApiError> {
    let Some(value) = body.get("timeout").filter(|value| !value.is_null()) else { return Ok(None) };
    admit(request, param_gate("power", "timeout"), "'timeout'")?;
    let seconds = value.as_u64().filter(|seconds| *seconds > 0);
    let seconds =
        seconds.ok_or_else(|| ApiError::bad_request("/timeout: expected a number of seconds above 0"))?;
    Ok(Some(Duration::from_secs(seconds)))
}

/// Refuses (406) what the version of the request does not have.
pub(super) fn admit(request: &Request, gate: Gate, what: &str) -> Result<(), ApiError> {
    if gate.admits(request.version) {
        return Ok(());
    }
    let text = format!("{what} needs API version 1.{}; this request asks for {}.", gate.min, request.version);
    Err(ApiError::not_acceptable(text)
        .with_status(StatusCode::from_u16(gate.below).unwrap_or(StatusCode::NOT_ACCEPTABLE)))
}
