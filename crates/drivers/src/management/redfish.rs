//! Management by Redfish.

use std::sync::Arc;
use std::time::Duration;

use driver::{Answer, DriverError, Management, Retry};
use model::{BootDevice, BootMode, Node, PowerState};
use provision::{ErrorCode, Observed};
use redfish::{BootMode as RedfishMode, BootTarget, Override, ResetType, ServiceRoot, System};
use serde_json::{Map, Value};

use crate::boot::mode::wanted_boot_mode;
use crate::redfish_access::{RedfishAccess, failed, parse};

/// Management by the `ComputerSystem` resource.
#[derive(Debug)]
pub struct RedfishManagement {
    pub(super) access: Arc<RedfishAccess>,
    pub(super) options: RedfishOptions,
}

/// What the site says about BMCs with Redfish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedfishOptions {
    /// Whether the BMC's clock is looked at, and set if wrong, before a node is managed.
    pub enable_verify_bmc_clock: bool,
    /// Between two looks at an update of firmware; at least a second.
    pub firmware_update_status_interval: Duration,
    /// After which an update of one firmware is given up.
    pub firmware_update_overall_timeout: Duration,
}

impl Default for RedfishOptions {
    fn default() -> Self {
        Self {
            enable_verify_bmc_clock: false,
            firmware_update_status_interval: Duration::from_mins(1),
            firmware_update_overall_timeout: Duration::from_hours(2),
        }
    }
}

impl RedfishManagement {
    /// Over the shared access to BMCs.
    pub fn new(access: Arc<RedfishAccess>, options: RedfishOptions) -> Self {
        Self { access, options }
    }
}

/// Our devices and Redfish's (schema `ComputerSystem`, `BootSource`), those that can be set.
const DEVICES: [(BootDevice, BootTarget); 6] = [
    (BootDevice::Pxe, BootTarget::Pxe),
    (BootDevice::Disk, BootTarget::Hdd),
    (BootDevice::Cdrom, BootTarget::Cd),
    (BootDevice::Bios, BootTarget::BiosSetup),
    (BootDevice::Floppy, BootTarget::Floppy),
    (BootDevice::Uefihttp, BootTarget::UefiHttp),
];

fn theirs(mode: BootMode) -> RedfishMode {
    match mode {
        BootMode::Uefi => RedfishMode::Uefi,
        BootMode::Bios => RedfishMode::Legacy,
    }
}

/// The firmware mode in the words of the nodes.
pub(crate) fn ours(mode: RedfishMode) -> BootMode {
    match mode {
        RedfishMode::Uefi => BootMode::Uefi,
        RedfishMode::Legacy => BootMode::Bios,
    }
}

/// What is told of a machine: its maker's words into `properties` where the operator gave none, all of it beside.
fn observed(root: &ServiceRoot, system: &System) -> Observed {
    let object = |pairs: &[(&str, &Option<String>)]| -> Map<String, Value> {
        let known = pairs.iter().filter_map(|(key, value)| Some((*key, (*value).clone()?)));
        known.map(|(key, value)| (key.to_owned(), Value::String(value))).collect()
    };
    let bmc = object(&[
        ("manufacturer", &system.manufacturer),
        ("model", &system.model),
        ("serial_number", &system.serial_number),
        ("sku", &system.sku),
        ("system_uuid", &system.uuid),
        ("bios_version", &system.bios_version),
        ("health", &system.health),
        ("vendor", &root.vendor),
        ("product", &root.product),
        ("redfish_version", &root.redfish_version),
    ]);
    let vendor = system.manufacturer.clone().or_else(|| root.vendor.clone());
    Observed {
        power: system.power.map(|state| if state.is_powered() { PowerState::On } else { PowerState::Off }),
        boot_mode: system.boot.as_ref().and_then(|boot| boot.mode).map(ours),
        internal: Map::from_iter([("bmc".to_owned(), Value::Object(bmc))]),
        properties: object(&[
            ("vendor", &vendor),
            ("model", &system.model),
            ("serial_number", &system.serial_number),
        ]),
        ..Observed::default()
    }
}

impl Management for RedfishManagement {
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        parse(node).map(drop)
    }

    fn supported_boot_devices(&self, _node: &Node) -> Vec<BootDevice> {
        DEVICES.iter().map(|(device, _)| *device).collect()
    }

    fn boot_device<'a>(&'a self, node: &'a Node) -> Answer<'a, (Option<BootDevice>, Option<bool>)> {
        Box::pin(async move {
            let boot = self.access.client(node)?.boot().await.map_err(|error| failed(&error))?;
            let Some(boot) = boot.filter(|boot| boot.enabled != Some(Override::Disabled)) else {
                return Ok((None, None));
            };
            let device =
                DEVICES.iter().find(|(_, theirs)| Some(*theirs) == boot.target).map(|(ours, _)| *ours);
            let persistent = boot.enabled.map(|enabled| enabled == Override::Continuous);
            Ok((device, device.and(persistent)))
        })
    }

    fn set_boot_device<'a>(&'a self, node: &'a Node, device: BootDevice, persistent: bool) -> Answer<'a, ()> {
        Box::pin(async move {
            let client = self.access.client(node)?;
            let Some((_, target)) = DEVICES.iter().find(|(ours, _)| *ours == device) else {
                return Err(DriverError::new(
                    ErrorCode::DriverInfo,
                    Retry::Permanent,
                    format!("Redfish has no boot device {device}."),
                ));
            };
            let enabled = if persistent { Override::Continuous } else { Override::Once };
            let mode = theirs(wanted_boot_mode(node));
            client.set_boot(*target, enabled, Some(mode)).await.map(drop).map_err(|error| failed(&error))
        })
    }

    fn set_boot_mode<'a>(&'a self, node: &'a Node, mode: BootMode) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async move {
            let client = self.access.client(node)?;
            client.set_boot_mode(theirs(mode)).await.map_err(|error| failed(&error))
        }))
    }

    fn set_secure_boot<'a>(&'a self, node: &'a Node, on: bool) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async move {
            let client = self.access.client(node)?;
            client.set_secure_boot(on).await.map_err(|error| failed(&error))
        }))
    }

    fn inject_nmi<'a>(&'a self, node: &'a Node) -> Option<Answer<'a, ()>> {
        Some(Box::pin(async move {
            let client = self.access.client(node)?;
            client.reset(ResetType::Nmi).await.map_err(|error| failed(&error))
        }))
    }

    fn facts<'a>(&'a self, node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(async move {
            let facts = self.access.client(node)?.facts().await;
            let (root, system) = facts.map_err(|error| failed(&error))?;
            Ok(observed(&root, &system))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_go_where_they_are_looked_for() {
        let root = ServiceRoot::from_value(&json!({"Vendor": "Dell", "RedfishVersion": "1.11.0"}));
        let system = System::from_value(&json!({
            "PowerState": "PoweringOff", "Manufacturer": "Dell Inc.", "SerialNumber": "S1", "Status": {"Health": "OK"},
            "Boot": {"BootSourceOverrideMode": "Legacy"}
        }))
        .unwrap();
        let observed = observed(&root, &system);
        assert_eq!(observed.power, Some(PowerState::On));
        assert_eq!(observed.boot_mode, Some(BootMode::Bios));
        assert_eq!(Value::Object(observed.properties), json!({"vendor": "Dell Inc.", "serial_number": "S1"}));
        assert_eq!(observed.internal["bmc"]["health"], "OK");
        assert_eq!(observed.internal["bmc"].get("model"), None);
    }
}
