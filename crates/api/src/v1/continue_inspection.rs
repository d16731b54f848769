//! What ramdisks report of the machines that they inspect. Public, as lookup is: a report is taken only from a machine
//! that the service waits for, or discovers.

use conductor_api::InspectionReport;
use microversion::since;
use model::{JsonObject, MacAddr, NodeInventory, NodeUuid};
use serde_json::{Map, Value};

use super::ramdisk::{enabled, told};
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// Interfaces that one report may list.
const MAX_INTERFACES: usize = 1024;

/// `POST /v1/continue_inspection`
pub(crate) async fn post(request: Request) -> Answer {
    enabled(&request)?;
    request.authorise("baremetal:driver:ipa_continue_inspection", None)?;
    let is_named = request.version.at_least(const { since("continue-inspection") });
    let node_uuid = request.query.uuid("node_uuid")?.map(NodeUuid::from_uuid);
    let report = read(request.json_object()?, node_uuid, is_named)?;
    if report.addresses.is_empty() && report.bmc_addresses.is_empty() && node_uuid.is_none() {
        return Err(ApiError::bad_request("No lookup information provided"));
    }
    let found = request.state.conductors.inspected(report).await?;
    if is_named {
        return Ok(Reply::accepted_with(told(&request, &found)?));
    }
    Ok(Reply::accepted_with(format!(r#"{{"uuid":"{}"}}"#, found.node.uuid)))
}

fn read(
    mut body: Map<String, Value>,
    node_uuid: Option<NodeUuid>,
    wants_token: bool,
) -> Result<InspectionReport, ApiError> {
    let Some(Value::Object(inventory)) = body.remove("inventory") else {
        return Err(ApiError::bad_request("/inventory: expected an object"));
    };
    let mut bmc_addresses = Vec::new();
    for name in ["bmc_address", "bmc_v6address"] {
        match inventory.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(address)) if address.is_empty() => {}
            Some(Value::String(address)) => bmc_addresses.push(address.clone()),
            Some(_) => return Err(ApiError::bad_request(format!("/inventory/{name}: expected a string"))),
        }
    }
    Ok(InspectionReport {
        node_uuid,
        addresses: addresses(&inventory)?,
        bmc_addresses,
        data: NodeInventory { inventory: JsonObject::from(inventory), plugin_data: JsonObject::from(body) },
        wants_token,
    })
}

/// The addresses of the interfaces; those that are none do not count.
fn addresses(inventory: &Map<String, Value>) -> Result<Vec<MacAddr>, ApiError> {
    let list = inventory.get("interfaces").and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| {
        ApiError::bad_request("/inventory/interfaces: expected a list of at least one interface")
    })?;
    if list.len() > MAX_INTERFACES {
        let text = format!("/inventory/interfaces: at most {MAX_INTERFACES} are allowed");
        return Err(ApiError::bad_request(text));
    }
    let mut addresses = Vec::new();
    for (index, interface) in list.iter().enumerate() {
        let text = interface.get("mac_address").and_then(Value::as_str).ok_or_else(|| {
            ApiError::bad_request(format!("/inventory/interfaces/{index}/mac_address: expected a string"))
        })?;
        addresses.extend(text.parse::<MacAddr>());
    }
    Ok(addresses)
}
