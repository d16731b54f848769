//! Properties and capabilities of a node, from its inventory.

use std::collections::BTreeMap;

use model::Capabilities;
use serde_json::{Value, json};

use super::{HookError, Machine};

fn inventory<'m>(machine: &'m Machine, group: &str, key: &str) -> Option<&'m Value> {
    machine.inventory.get(group)?.get(key).filter(|value| !value.is_null())
}

pub(super) fn architecture(machine: &mut Machine) -> Result<(), HookError> {
    let name =
        inventory(machine, "cpu", "architecture").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or(HookError::Inventory("it does not tell the architecture of the processor"))?;
    let name = json!(name);
    machine.node.properties.set("cpu_arch", name);
    Ok(())
}

pub(super) fn cpus(machine: &mut Machine) {
    if let Some(count) = inventory(machine, "cpu", "count").and_then(Value::as_u64).filter(|count| *count > 0)
    {
        machine.node.properties.set("cpus", json!(count));
    }
}

pub(super) fn memory(machine: &mut Machine) -> Result<(), HookError> {
    let amount = inventory(machine, "memory", "physical_mb").and_then(Value::as_u64);
    let amount = amount.ok_or(HookError::Inventory("it does not tell how much memory there is"))?;
    machine.node.properties.set("memory_mb", json!(amount));
    Ok(())
}

pub(super) fn boot_mode(machine: &mut Machine) {
    let mode = inventory(machine, "boot", "current_boot_mode").and_then(Value::as_str).map(str::to_owned);
    if let Some(mode) = mode {
        set_capabilities(machine, [("boot_mode".to_owned(), mode)].into());
    }
}

pub(super) fn cpu_capabilities(names: &BTreeMap<String, String>, machine: &mut Machine) {
    let flags = inventory(machine, "cpu", "flags").and_then(Value::as_array);
    let Some(flags) = flags.filter(|flags| !flags.is_empty()) else { return };
    let found = flags
        .iter()
        .filter_map(|flag| names.get(flag.as_str()?))
        .map(|name| (name.clone(), "true".to_owned()))
        .collect();
    set_capabilities(machine, found);
}

/// Sets capabilities; those that are there with another name stay.
pub(super) fn set_capabilities(machine: &mut Machine, new: BTreeMap<String, String>) {
    let properties = &mut machine.node.properties;
    let mut capabilities =
        properties.get("capabilities").as_ref().map(Capabilities::parse).unwrap_or_default();
    for (name, value) in new {
        capabilities.set(&name, &value);
    }
    properties.set("capabilities", Value::String(capabilities.to_string()));
}
