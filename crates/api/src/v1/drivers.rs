//! Drivers, that is the hardware types that conductors offer.

use api_types::{DRIVER, DriverRow, Shape};
use model::HardwareType;
use serde_json::json;

use crate::error::ApiError;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/drivers`
pub(crate) async fn list(request: Request) -> Answer {
    request.authorise("baremetal:driver:get", None)?;
    let is_dynamic = request.query.parsed("type", "classic or dynamic", |text| match text {
        "classic" => Some(false),
        "dynamic" => Some(true),
        _ => None,
    })?;
    let page = Page::whole(page::shape(&request, Shape::Short)?);
    let types = request.state.conductors.hardware_types();
    let offered = types.iter().filter(|_| is_dynamic.unwrap_or(true));
    let rows: Vec<DriverRow> = offered.map(|hardware| row(&request, hardware)).collect();
    request.list((&DRIVER, "drivers"), &page, &rows, None)
}

/// `GET /v1/drivers/{driver_name}`
pub(crate) async fn show(request: Request) -> Answer {
    request.authorise("baremetal:driver:get", None)?;
    let shape = page::shape(&request, Shape::Full)?;
    let row = row(&request, &find(&request)?);
    Ok(Reply::json(request.object(&DRIVER, &shape, &row)?))
}

/// `GET /v1/drivers/{driver_name}/properties`
pub(crate) async fn properties(request: Request) -> Answer {
    request.authorise("baremetal:driver:get_properties", None)?;
    Ok(Reply::json(json!(find(&request)?.properties).to_string()))
}

/// The hardware type that the path names; 404 when no conductor offers it.
pub(crate) fn find(request: &Request) -> Result<HardwareType, ApiError> {
    let name = request.param("driver_name");
    let types = request.state.conductors.hardware_types();
    types.iter().find(|hardware| hardware.name == name).cloned().ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        ApiError::not_found(format!("Could not find the following driver(s) or hardware type(s): {shown}."))
    })
}

fn row(request: &Request, hardware: &HardwareType) -> DriverRow {
    DriverRow { hosts: request.state.conductors.hosts_of(&hardware.name), hardware: hardware.clone() }
}
