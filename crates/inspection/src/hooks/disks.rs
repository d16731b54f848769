//! Disks of the inventory: which is the root disk, and how large it is.

use std::collections::BTreeSet;

use model::root_device::{Attribute, Disk, Hints};
use serde_json::{Map, Value, json};

use super::{HookError, Machine};

const GIB: u64 = 1 << 30;

/// A disk as an inventory lists it.
struct Listed<'a>(&'a Map<String, Value>);

impl Disk for Listed<'_> {
    fn text(&self, attribute: Attribute) -> Option<&str> {
        self.0.get(attribute.name())?.as_str()
    }

    fn size(&self) -> u64 {
        self.0.get("size").and_then(Value::as_u64).unwrap_or_default()
    }

    fn rotational(&self) -> bool {
        self.0.get("rotational").and_then(Value::as_bool).unwrap_or_default()
    }
}

fn listed(inventory: &Map<String, Value>) -> impl Iterator<Item = Listed<'_>> {
    let disks = inventory.get("disks").and_then(Value::as_array);
    disks.into_iter().flatten().filter_map(Value::as_object).map(Listed)
}

/// Keeps the disk that the node's hints name as `root_disk` of the plug-in data (without hints, the one that the ramdisk
/// named), and its size in GiB as `local_gb`; `spacing` leaves one of them out. A machine without a disk has none.
///
/// # Errors
/// Hints that are wrong, or that no disk satisfies.
pub(super) fn root_device(spacing: bool, machine: &mut Machine) -> Result<(), HookError> {
    let hints = machine.node.properties.get("root_device").unwrap_or_default();
    let hints = Hints::parse(&hints).map_err(|error| HookError::RootDevice(error.to_string()))?;
    if !hints.is_empty() {
        let skipped = skipped(machine)?;
        let mut left = listed(&machine.inventory)
            .filter(|disk| !disk.text(Attribute::Name).is_some_and(|name| skipped.contains(name)));
        let chosen = left.find(|disk| hints.accepts(disk)).map(|disk| Value::Object(disk.0.clone()));
        let chosen = chosen
            .ok_or_else(|| HookError::RootDevice(format!("no disk satisfies root device hints {hints}")))?;
        machine.plugin_data.insert("root_disk".to_owned(), chosen);
    }
    let root = machine.plugin_data.get("root_disk").and_then(Value::as_object).map(Listed);
    let gib = root.map_or(0, |disk| disk.size() / GIB);
    let gib = json!(if spacing { gib.saturating_sub(1) } else { gib });
    machine.plugin_data.insert("local_gb".to_owned(), gib.clone());
    machine.node.properties.set("local_gb", gib);
    Ok(())
}

/// Names of the disks that `properties.skip_block_devices`, a list of hints, keeps out of everything.
fn skipped(machine: &Machine) -> Result<BTreeSet<String>, HookError> {
    let skip = machine.node.properties.get("skip_block_devices").unwrap_or_default();
    let mut names = BTreeSet::new();
    for hints in skip.as_array().into_iter().flatten() {
        let hints = Hints::parse(hints)
            .map_err(|error| HookError::RootDevice(format!("skip_block_devices: {error}")))?;
        let meant = listed(&machine.inventory).filter(|disk| !hints.is_empty() && hints.accepts(disk));
        names.extend(meant.filter_map(|disk| disk.text(Attribute::Name).map(str::to_owned)));
    }
    Ok(names)
}

/// Takes the one disk that was not there at the inspection before as the root disk, by its serial number: how a machine
/// shows which volume its RAID controller has just made. Hints that are there stay.
pub(super) fn raid_device(machine: &mut Machine) {
    if machine.node.properties.get("root_device").is_some() {
        return;
    }
    let Some(previous) = &machine.previous else { return };
    let known: BTreeSet<&str> = serials(previous).collect();
    let mut fresh = serials(&machine.inventory).filter(|serial| !known.contains(serial));
    let (Some(serial), None) = (fresh.next(), fresh.next()) else {
        return;
    };
    let hints = json!({ "serial": serial });
    machine.node.properties.set("root_device", hints);
}

fn serials(inventory: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let disks = inventory.get("disks").and_then(Value::as_array);
    let serials = disks.into_iter().flatten().filter_map(|disk| disk.get("serial")?.as_str());
    serials.filter(|serial| !serial.is_empty())
}
