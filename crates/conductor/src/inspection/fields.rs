//! Nodes and ports as rules see them, and what rules changed: by the tables of the API, so that a rule can change what a
//! caller could, and nothing else.

use api_types::{Context, NODE, PORT, Patch, Resource, Selection, Shape, Shown, Writer};
use inspection::hooks::Machine;
use inspection::rules::Subject;
use microversion::Version;
use model::{Node, Timestamp};
use serde_json::{Map, Value, json};

/// What rules work on.
pub(super) fn subject(machine: &Machine) -> Subject {
    Subject {
        node: fields(&NODE, &machine.node),
        traits: machine.node.traits.iter().cloned().collect(),
        ports: machine.ports.iter().map(|port| fields(&PORT, port)).collect(),
        inventory: machine.inventory.clone(),
        plugin_data: machine.plugin_data.clone(),
    }
}

/// Takes over what rules changed.
pub(super) fn take_over(machine: &mut Machine, before: &Subject, after: Subject) -> Result<(), String> {
    machine.node = changed(&NODE, &machine.node, &before.node, &after.node)?;
    machine.node.traits = after.traits.into_iter().collect();
    for (port, (before, after)) in machine.ports.iter_mut().zip(before.ports.iter().zip(&after.ports)) {
        *port = changed(&PORT, port, before, after)?;
    }
    machine.plugin_data = after.plugin_data;
    Ok(())
}

fn fields<T>(resource: &Resource<T>, item: &T) -> Map<String, Value> {
    let Ok(selection) = Selection::new(resource, &Shape::Full, Version::MAX) else { return Map::new() };
    with_context(|cx| {
        let mut out = Writer::default();
        selection.write(item, cx, &mut out);
        serde_json::from_slice(out.as_bytes()).unwrap_or_default()
    })
}

fn changed<T: Clone>(
    resource: &Resource<T>,
    item: &T,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Result<T, String> {
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let set = set.map(|(key, value)| json!({"op": "add", "path": format!("/{key}"), "value": value}));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| json!({"op": "remove", "path": format!("/{key}")}));
    let operations: Vec<Value> = set.chain(gone).collect();
    if operations.is_empty() {
        return Ok(item.clone());
    }
    let refused = |problem: String| format!("an inspection rule changes what it must not: {problem}");
    let patch = Patch::parse(Value::Array(operations)).map_err(|error| refused(error.to_string()))?;
    patch.check(resource, Version::MAX).map_err(|error| refused(error.to_string()))?;
    with_context(|cx| patch.apply(resource, item, cx)).map_err(|error| refused(error.to_string()))
}

fn with_context<R>(work: impl FnOnce(&Context<'_>) -> R) -> R {
    let nobody = |_: &Node| None;
    let now = Timestamp::now();
    work(&Context {
        base: "",
        version: Version::MAX,
        now,
        reveal: true,
        shown: &Shown::default(),
        conductor_of: &nobody,
        alive_since: now,
    })
}
