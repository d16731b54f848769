//! Choosing the interface implementations of a node among those its hardware type offers.

use conductor_api::Conductors;
use model::{HardwareType, InterfaceKind, Node};

use crate::error::ApiError;

/// The hardware type `driver`, as conductors offer it; 400 when none does.
pub(crate) fn hardware_type(conductors: &dyn Conductors, driver: &str) -> Result<HardwareType, ApiError> {
    let types = conductors.hardware_types();
    types.iter().find(|hardware| hardware.name == driver).cloned().ok_or_else(|| {
        let names: Vec<&str> = types.iter().map(|hardware| hardware.name.as_str()).collect();
        let shown: String = driver.chars().take(64).collect();
        ApiError::bad_request(format!(
            "No valid host was found. Reason: no conductor supports driver '{shown}'; there are: {}.",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
    })
}

/// Fills in the interfaces that the node does not name, and refuses those that its hardware type does not offer.
pub(crate) fn complete(node: &mut Node, hardware: &HardwareType) -> Result<(), ApiError> {
    for kind in InterfaceKind::ALL {
        match node.interfaces.get(kind) {
            None => {
                let default = hardware.default_interface(kind).map(str::to_owned);
                node.interfaces.set(kind, default);
            }
            Some(name) if !hardware.supports(kind, name) => {
                let offered = hardware.interfaces.get(&kind).map_or(String::new(), |names| names.join(", "));
                let shown: String = name.chars().take(64).collect();
                return Err(ApiError::bad_request(format!(
                    "/{kind}_interface: driver '{}' has no {kind} interface '{shown}'; there are: {offered}",
                    hardware.name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
