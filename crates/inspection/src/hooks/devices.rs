//! PCI devices that the ramdisk found: counted as capabilities, listed as accelerators.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Accelerator, Machine, PciAlias, PciDevice, properties};

impl PciDevice {
    fn is(&self, device: &Value) -> bool {
        let same = |key: &str, wanted: &str| device.get(key).and_then(Value::as_str) == Some(wanted);
        same("vendor_id", &self.vendor_id) && same("product_id", &self.product_id)
    }
}

/// Capabilities that say how many there are of the devices that have an alias.
pub(super) fn count(aliases: &[PciAlias], machine: &mut Machine) {
    let devices = machine.plugin_data.get("pci_devices").and_then(Value::as_array);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for device in devices.into_iter().flatten() {
        if let Some(alias) = aliases.iter().find(|alias| alias.device.is(device)) {
            *counts.entry(alias.name.clone()).or_default() += 1;
        }
    }
    let counts: BTreeMap<String, String> =
        counts.into_iter().map(|(name, count)| (name, count.to_string())).collect();
    if !counts.is_empty() {
        properties::set_capabilities(machine, counts);
    }
}

/// `properties.accelerators`: those of the devices that are known, with their addresses. A ramdisk that lists no devices
/// leaves the property as it is.
pub(super) fn accelerators(known: &[Accelerator], machine: &mut Machine) {
    let list =
        |value: Option<&Value>| value.and_then(Value::as_array).filter(|list| !list.is_empty()).cloned();
    // In-band inspection has them beside the inventory, a BMC in it.
    let devices =
        list(machine.plugin_data.get("pci_devices")).or_else(|| list(machine.inventory.get("pci_devices")));
    let Some(devices) = devices else { return };
    let found: Vec<Value> = devices
        .iter()
        .filter_map(|device| {
            let accelerator = known.iter().find(|accelerator| accelerator.device.is(device))?;
            Some(json!({
                "vendor_id": accelerator.device.vendor_id,
                "device_id": accelerator.device.product_id,
                "type": accelerator.kind,
                "device_info": accelerator.info,
                "pci_address": device.get("bus").and_then(Value::as_str),
            }))
        })
        .collect();
    machine.node.properties.set("accelerators", Value::Array(found));
}
