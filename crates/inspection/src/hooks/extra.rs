//! What the tool `hardware-detect` of a ramdisk found: rows of four, made into objects that rules can walk.

use serde_json::{Map, Value, json};

use super::Machine;

/// A row has a group, an item, a property and its value.
const ROW: usize = 4;

/// Replaces `data` of the plug-in data by `extra`, where `data` is a list of rows. Anything else stays, and with `strict`
/// goes; `strict` also takes each row to have exactly four parts.
pub(super) fn hardware(strict: bool, machine: &mut Machine) {
    let Some(data) = machine.plugin_data.get("data") else { return };
    let is_row = |row: &Value| row.as_array().is_some_and(|row| !strict || row.len() == ROW);
    let rows = data.as_array().filter(|rows| rows.iter().all(is_row));
    let extra = rows.map(|rows| nested(rows));
    if extra.is_some() || strict {
        machine.plugin_data.remove("data");
    }
    if let Some(extra) = extra {
        machine.plugin_data.insert("extra".to_owned(), Value::Object(extra));
    }
}

/// Rows that are too short, or whose first parts name nothing, are left out.
fn nested(rows: &[Value]) -> Map<String, Value> {
    let mut groups = Map::new();
    for row in rows.iter().filter_map(Value::as_array) {
        let [group, item, property, value, ..] = row.as_slice() else { continue };
        let (Some(group), Some(item), Some(property)) = (name(group), name(item), name(property)) else {
            continue;
        };
        let items = groups.entry(group).or_insert_with(|| json!({}));
        let Some(items) = items.as_object_mut() else { continue };
        let properties = items.entry(item).or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert(property, whole(value));
        }
    }
    groups
}

fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Text that is a whole number becomes one.
fn whole(value: &Value) -> Value {
    match value.as_str().and_then(|text| text.trim().parse::<i64>().ok()) {
        Some(number) => json!(number),
        None => value.clone(),
    }
}
