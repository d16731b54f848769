//! JSON Patch (RFC 6902: add, replace and remove) with the path rules of the Bare Metal API (contract/errors.md,
//! section 7).

use microversion::Version;
use serde_json::{Map, Value};

use crate::value::{check_type, kind_of};
use crate::{BodyError, Context, Field, Invalid, Resource, Writer};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchOp {
    /// Sets a member or inserts into a list.
    Add,
    /// Sets what is there already.
    Replace,
    /// Takes away.
    Remove,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// What it does.
    pub op: PatchOp,
    /// The field.
    pub root: String,
    /// The way on from there; empty when it is about the field as a whole.
    pub rest: Vec<String>,
    /// The value of `add` and `replace`.
    pub value: Value,
}

impl Operation {
    /// The path as it was given.
    pub fn path(&self) -> String {
        std::iter::once(&self.root).chain(&self.rest).fold(String::new(), |path, part| path + "/" + part)
    }
}

/// A list of operations, well formed.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch(Vec<Operation>);

impl Patch {
    /// Reads a patch: a list of objects with `op`, `path` and `value` and nothing else.
    pub fn parse(body: Value) -> Result<Self, Invalid> {
        let Value::Array(list) = body else {
            return Err(Invalid::at(
                "body",
                format!("expected a list of operations, not {}", kind_of(&body)),
            ));
        };
        let operations = list.into_iter().enumerate().map(|(index, entry)| operation(index, entry));
        operations.collect::<Result<_, _>>().map(Self)
    }

    /// The operations in order.
    pub fn operations(&self) -> &[Operation] {
        &self.0
    }

    /// Whether an operation is about the field `root` or a part of it.
    pub fn touches(&self, root: &str) -> bool {
        self.0.iter().any(|operation| operation.root == root)
    }

    /// Checks that every field may be patched at `version`.
    pub fn check<T>(&self, resource: &Resource<T>, version: Version) -> Result<(), BodyError> {
        for operation in &self.0 {
            patchable(resource, operation, version)?;
        }
        Ok(())
    }

    /// Applies the operations in order to a copy of `item`.
    ///
    /// `cx` must reveal secrets, for parts of objects are edited in place.
    pub fn apply<T: Clone>(
        &self,
        resource: &Resource<T>,
        item: &T,
        cx: &Context<'_>,
    ) -> Result<T, BodyError> {
        let mut touched: Vec<(&'static Field<T>, Value)> = Vec::new();
        for operation in &self.0 {
            let (field, _) = patchable(resource, operation, cx.version)?;
            let index = touched.iter().position(|(row, _)| row.name == field.name).unwrap_or_else(|| {
                touched.push((field, current(field, item, cx)));
                touched.len() - 1
            });
            edit(&mut touched[index].1, operation)?;
        }
        let mut after = item.clone();
        for (field, value) in touched {
            if value.is_null() && field.default.starts_with("required") {
                return Err(
                    Invalid::at(format!("/{}", field.name), "it is required and cannot be removed").into()
                );
            }
            check_type(field, &value)?;
            if let Some(set) = field.set {
                set(&mut after, value, cx.version)?;
            }
        }
        Ok(after)
    }
}

fn operation(index: usize, entry: Value) -> Result<Operation, Invalid> {
    let at = |key: &str| format!("/{index}/{key}");
    let Value::Object(mut entry) = entry else {
        return Err(Invalid::at(format!("/{index}"), format!("expected an object, not {}", kind_of(&entry))));
    };
    let op = match entry.remove("op").as_ref().and_then(Value::as_str) {
        Some("add") => PatchOp::Add,
        Some("replace") => PatchOp::Replace,
        Some("remove") => PatchOp::Remove,
        _ => return Err(Invalid::at(at("op"), "expected add, replace or remove")),
    };
    let Some(Value::String(path)) = entry.remove("path") else {
        return Err(Invalid::at(at("path"), "expected a string such as /properties/cpus"));
    };
    let value = entry.remove("value");
    if let Some(key) = entry.keys().next() {
        return Err(Invalid::at(at(key), "expected op, path and value alone"));
    }
    if value.is_none() && op != PatchOp::Remove {
        return Err(Invalid::at(at("value"), "add and replace need a value"));
    }
    let (root, rest) = split(&path).ok_or_else(|| {
        Invalid::at(
            at("path"),
            format!(
                "'{}' is not a path: expected /name or /name/key …, of letters, digits, - and _ \
                 (for keys with other characters replace the object that holds them)",
                path.chars().take(128).collect::<String>()
            ),
        )
    })?;
    Ok(Operation { op, root, rest, value: value.unwrap_or(Value::Null) })
}

/// The parts of a path that matches `^(/[\w-]+)+$`.
fn split(path: &str) -> Option<(String, Vec<String>)> {
    let word =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let mut parts = path.strip_prefix('/')?.split('/');
    if !parts.clone().all(word) {
        return None;
    }
    Some((parts.next()?.to_owned(), parts.map(str::to_owned).collect()))
}

/// The row of the field that `operation` is about, if it may be patched at `version`.
fn patchable<T>(
    resource: &Resource<T>,
    operation: &Operation,
    version: Version,
) -> Result<(&'static Field<T>, u16), BodyError> {
    let name = &operation.root;
    let row = resource.field(name);
    let Some((field, min)) = row.and_then(|field| Some((field, field.patch?))) else {
        let problem = match row {
            Some(_) => format!("this field of a {} cannot be patched", resource.name),
            None => format!("a {} has no such field", resource.name),
        };
        return Err(Invalid::at(format!("/{}", name.chars().take(64).collect::<String>()), problem).into());
    };
    if !version.at_least(min) {
        return Err(BodyError::too_new(name, min, version));
    }
    Ok((field, min))
}

/// The present value of a field.
fn current<T>(field: &Field<T>, item: &T, cx: &Context<'_>) -> Value {
    let mut out = Writer::default();
    (field.write)(item, cx, &mut out);
    serde_json::from_slice(out.as_bytes()).unwrap_or_default()
}

/// Carries out one operation on the value of its field.
fn edit(value: &mut Value, operation: &Operation) -> Result<(), Invalid> {
    let Some((last, way)) = operation.rest.split_last() else {
        *value = if operation.op == PatchOp::Remove { Value::Null } else { operation.value.clone() };
        return Ok(());
    };
    let missing = || Invalid::at(operation.path(), "there is nothing at this path");
    let mut holder = value;
    for part in way {
        holder = match holder {
            Value::Object(map) => map.get_mut(part),
            Value::Array(list) => part.parse::<usize>().ok().and_then(|index| list.get_mut(index)),
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    let done = match holder {
        Value::Object(map) => edit_object(map, last, operation),
        Value::Array(list) => edit_list(list, last, operation),
        _ => None,
    };
    done.ok_or_else(missing)
}

fn edit_object(map: &mut Map<String, Value>, key: &str, operation: &Operation) -> Option<()> {
    match operation.op {
        PatchOp::Add => {
            map.insert(key.to_owned(), operation.value.clone());
            Some(())
        }
        PatchOp::Replace => map.get_mut(key).map(|value| *value = operation.value.clone()),
        PatchOp::Remove => map.remove(key).map(drop),
    }
}

fn edit_list(list: &mut Vec<Value>, key: &str, operation: &Operation) -> Option<()> {
    let index = match key {
        "-" if operation.op == PatchOp::Add => list.len(),
        _ => key.parse::<usize>().ok()?,
    };
    match operation.op {
        PatchOp::Add if index <= list.len() => {
            list.insert(index, operation.value.clone());
            Some(())
        }
        PatchOp::Replace => list.get_mut(index).map(|value| *value = operation.value.clone()),
        PatchOp::Remove if index < list.len() => {
            list.remove(index);
            Some(())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use model::{Node, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::{NODE, Shown};

    fn apply(node: &Node, body: Value) -> Result<Node, BodyError> {
        let nobody = |_: &Node| None;
        let now = Timestamp::from_micros(0);
        let cx = Context {
            base: "",
            version: Version::MAX,
            now,
            reveal: true,
            shown: &Shown::default(),
            conductor_of: &nobody,
            alive_since: now,
        };
        Patch::parse(body)?.apply(&NODE, node, &cx)
    }

    fn node() -> Node {
        let mut node = Node::new("ipmi", Timestamp::from_micros(0));
        node.extra.set("list", json!([1, 2]));
        node.extra.set("deep", json!({"a": {"b": 1}}));
        node.driver_info.set("ipmi_password", json!("secret"));
        node
    }

    #[test]
    fn members_and_lists() {
        let after = apply(
            &node(),
            json!([
                {"op": "add", "path": "/extra/list/-", "value": 3},
                {"op": "add", "path": "/extra/list/0", "value": 0},
                {"op": "remove", "path": "/extra/list/1"},
                {"op": "replace", "path": "/extra/deep/a/b", "value": "x"},
                {"op": "add", "path": "/extra/new", "value": null},
                {"op": "add", "path": "/driver_info/ipmi_username", "value": "admin"},
                {"op": "replace", "path": "/name", "value": "node-1"},
            ]),
        )
        .unwrap();
        assert_eq!(
            Value::Object(after.extra.to_map()),
            json!({"list": [0, 2, 3], "deep": {"a": {"b": "x"}}, "new": null})
        );
        assert_eq!(
            Value::Object(after.driver_info.to_map()),
            json!({"ipmi_password": "secret", "ipmi_username": "admin"})
        );
        assert_eq!(after.name.as_deref(), Some("node-1"));
    }

    #[test]
    fn removal_of_a_field_restores_its_default() {
        let mut before = node();
        before.maintenance = true;
        before.owner = Some("p".to_owned());
        let after = apply(
            &before,
            json!([{"op": "remove", "path": "/maintenance"}, {"op": "remove", "path": "/owner"}, {"op": "remove", "path": "/extra"}]),
        )
        .unwrap();
        assert!(!after.maintenance && after.owner.is_none() && after.extra.is_empty());
    }

    #[test]
    fn refusals() {
        for bad in [
            json!({}),
            json!(["x"]),
            json!([{"op": "test", "path": "/extra/a", "value": 1}]),
            json!([{"op": "add", "path": "/extra/a"}]),
            json!([{"op": "add", "path": "/extra/a", "value": 1, "from": "/x"}]),
            json!([{"op": "add", "path": "/extra/a.b", "value": 1}]),
            json!([{"op": "add", "path": "/extra/a~1b", "value": 1}]),
            json!([{"op": "add", "path": "extra", "value": {}}]),
            json!([{"op": "add", "path": "/extra/", "value": {}}]),
            json!([{"op": "add", "path": "/bogus", "value": 1}]),
            json!([{"op": "replace", "path": "/provision_state", "value": "active"}]),
            json!([{"op": "remove", "path": "/extra/none"}]),
            json!([{"op": "replace", "path": "/extra/none", "value": 1}]),
            json!([{"op": "add", "path": "/extra/none/deeper", "value": 1}]),
            json!([{"op": "add", "path": "/extra/list/9", "value": 1}]),
            json!([{"op": "add", "path": "/name/x", "value": 1}]),
            json!([{"op": "remove", "path": "/driver"}]),
            json!([{"op": "replace", "path": "/extra", "value": "text"}]),
            json!([{"op": "replace", "path": "/maintenance", "value": "perhaps"}]),
            json!([{"op": "replace", "path": "/owner", "value": "x".repeat(256)}]),
        ] {
            assert!(matches!(apply(&node(), bad.clone()), Err(BodyError::Invalid(_))), "{bad}");
        }
        let node = node();
        assert_eq!(apply(&node, json!([])).unwrap(), node);
    }

    #[test]
    fn older_versions_lack_fields() {
        let patch = Patch::parse(json!([{"op": "add", "path": "/shard", "value": "s"}])).unwrap();
        assert!(matches!(
            patch.check(&NODE, Version::new(81).unwrap()),
            Err(BodyError::TooNew { min: 82, .. })
        ));
        assert_eq!(patch.check(&NODE, Version::new(82).unwrap()), Ok(()));
    }
}
