//! Replacement of `{inventory[cpu][count]}`, `{plugin_data[…]}`, `{node.driver_info[…]}` and `{item}` in arguments.
//!
//! What comes out is always text, written as the rules of existing sites expect it: `None`, `True`, `['a', 1]`. Text
//! whose replacement fails stays as it is.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Values under these keys are not shown to rules, unless the site says so.
const SENSITIVE: [&str; 3] = ["password", "auth_token", "bmc_password"];
/// What stands in their place.
const HIDDEN: &str = "***";
/// The most text that one replacement may make, in bytes.
const LIMIT: usize = 1 << 20;

/// What replacements can name.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) node: &'a Map<String, Value>,
    pub(super) inventory: &'a Map<String, Value>,
    pub(super) plugin_data: &'a Map<String, Value>,
    /// The item of a loop.
    pub(super) item: Option<&'a Value>,
    /// Whether secrets of the data are hidden; those of the node always are.
    pub(super) masked: bool,
}

/// Why a replacement failed.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// There is no such key.
    Missing,
    /// It cannot be read, or names what cannot be named.
    Malformed,
}

/// The argument with everything replaced. `missing_is_null` makes nothing of text that names a key that is not there.
pub(super) fn replaced(value: &Value, names: Names<'_>, missing_is_null: bool) -> Value {
    let text = |text: &str| match replaced_text(text, names) {
        Ok(text) => Value::String(text),
        Err(Failure::Missing) if missing_is_null => Value::Null,
        Err(_) => Value::String(text.to_owned()),
    };
    match value {
        // An item of a loop may itself hold something to replace.
        Value::String(outer) => match text(outer) {
            Value::String(inner) if names.item.is_some() => text(&inner),
            done => done,
        },
        Value::Array(list) => list
            .iter()
            .map(|value| match value {
                Value::String(inner) => text(inner),
                value => replaced(value, names, missing_is_null),
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let key = replaced_text(key, names).unwrap_or_else(|_| key.clone());
                (key, replaced(value, names, missing_is_null))
            })
            .collect(),
        plain => plain.clone(),
    }
}

fn replaced_text(template: &str, names: Names<'_>) -> Result<String, Failure> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
        } else if brace == "{" {
            let (field, after) = rest.split_once('}').ok_or(Failure::Malformed)?;
            write_field(field, names, &mut out)?;
            rest = after;
        } else {
            return Err(Failure::Malformed);
        }
        if out.len() > LIMIT {
            return Err(Failure::Malformed);
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Writes what `field`, as `inventory[cpu][count]`, names.
fn write_field(field: &str, names: Names<'_>, out: &mut String) -> Result<(), Failure> {
    let end = field.find(['.', '[', '!', ':']).unwrap_or(field.len());
    let (root, mut rest) = field.split_at(end);
    let masked = names.masked || root == "node";
    let (mut at, mut value) = match root {
        "node" => (Some(names.node), &Value::Null),
        "inventory" => (Some(names.inventory), &Value::Null),
        "plugin_data" => (Some(names.plugin_data), &Value::Null),
        "item" => (None, names.item.ok_or(Failure::Missing)?),
        // Text without a name, and by number, is never replaced.
        root if root.is_empty() || root.starts_with(|c: char| c.is_ascii_digit()) => {
            return Err(Failure::Malformed);
        }
        _ => return Err(Failure::Missing),
    };
    let mut first = true;
    while !rest.is_empty() {
        let key;
        if let Some(after) = rest.strip_prefix('[') {
            (key, rest) = after.split_once(']').ok_or(Failure::Malformed)?;
            if root == "node" && first {
                return Err(Failure::Malformed);
            }
        } else if let Some(after) = rest.strip_prefix('.').filter(|_| root == "node" && first) {
            let end = after.find(['.', '[', '!', ':']).unwrap_or(after.len());
            (key, rest) = after.split_at(end);
        } else {
            return Err(Failure::Malformed);
        }
        let is_hidden = if root == "node" { is_secret(key) } else { masked && SENSITIVE.contains(&key) };
        let map = at.take().or_else(|| value.as_object());
        value = match (map, value.as_array()) {
            (Some(map), _) if first && root == "node" => map.get(key).ok_or(Failure::Malformed)?,
            (Some(map), _) => map.get(key).ok_or(Failure::Missing)?,
            (None, Some(list)) => {
                let index: usize = key.parse().map_err(|_| Failure::Malformed)?;
                list.get(index).ok_or(Failure::Malformed)?
            }
            (None, None) => return Err(Failure::Malformed),
        };
        if is_hidden {
            if !rest.is_empty() {
                return Err(Failure::Malformed);
            }
            out.push_str(HIDDEN);
            return Ok(());
        }
        first = false;
    }
    let hide = |key: &str| if root == "node" { is_secret(key) } else { masked && SENSITIVE.contains(&key) };
    match at {
        Some(map) => write_map(map, &hide, out),
        None => match value {
            Value::String(text) => out.push_str(text),
            value => write_value(value, &hide, out),
        },
    }
    Ok(())
}

/// Whether a key of a node holds a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "token", "secret"].iter().any(|word| key.contains(word))
}

/// The text of a value as it stands in lists and objects.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => {
            let mut out = String::new();
            write_value(value, &|_| false, &mut out);
            out
        }
    }
}

fn write_value(value: &Value, hide: &dyn Fn(&str) -> bool, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => {
            // Writing to a String does not fail.
            let _ = write!(out, "{number}");
        }
        Value::String(text) => write_quoted(text, out),
        Value::Array(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_value(item, hide, out);
            }
            out.push(']');
        }
        Value::Object(map) => write_map(map, hide, out),
    }
}

fn write_map(map: &Map<String, Value>, hide: &dyn Fn(&str) -> bool, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_quoted(key, out);
        out.push_str(": ");
        if hide(key) {
            write_quoted(HIDDEN, out);
        } else {
            write_value(value, hide, out);
        }
    }
    out.push('}');
}

fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character == quote => {
                out.push('\\');
                out.push(character);
            }
            character => out.push(character),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn text(template: &str) -> Result<String, Failure> {
        let node =
            object(&json!({"uuid": "u-1", "driver_info": {"ipmi_address": "a", "ipmi_password": "p"}}));
        let inventory = object(&json!({
            "cpu": {"count": 4, "flags": ["a", "it's"]}, "disks": [{"name": "/dev/sda"}], "none": null,
            "auth": {"password": "p", "bmc_password": {"x": 1}}, "on": true, "ratio": 0.5,
        }));
        let plugin_data = object(&json!({"a": {}}));
        let item = json!({"path": "x"});
        let (inventory, plugin_data) = (&inventory, &plugin_data);
        replaced_text(
            template,
            Names { node: &node, inventory, plugin_data, item: Some(&item), masked: true },
        )
    }

    #[test]
    fn what_can_be_named() {
        for (template, expected) in [
            ("plain", "plain"),
            ("{inventory[cpu][count]} CPUs", "4 CPUs"),
            ("{inventory[cpu][flags]}", "['a', \"it's\"]"),
            ("{inventory[disks][0][name]}", "/dev/sda"),
            ("{inventory[disks]}", "[{'name': '/dev/sda'}]"),
            ("{inventory[none]}{inventory[on]}{inventory[ratio]}", "NoneTrue0.5"),
            ("{plugin_data[a]}", "{}"),
            ("{plugin_data}", "{'a': {}}"),
            ("{node.uuid}/{node.driver_info[ipmi_address]}", "u-1/a"),
            ("{node.driver_info[ipmi_password]}", "***"),
            ("{node.driver_info}", "{'ipmi_address': 'a', 'ipmi_password': '***'}"),
            ("{inventory[auth][password]}", "***"),
            ("{inventory[auth]}", "{'bmc_password': '***', 'password': '***'}"),
            ("{item[path]}", "x"),
            ("{{literal}}", "{literal}"),
        ] {
            assert_eq!(text(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_cannot() {
        for template in ["{inventory[bogus]}", "{inventory[cpu][bogus]}", "{bogus}", "{item[bogus]}"] {
            assert_eq!(text(template), Err(Failure::Missing), "{template}");
        }
        for template in [
            "{",
            "}",
            "{}",
            "{0}",
            "{inventory[cpu}",
            "{inventory.cpu}",
            "{node.bogus}",
            "{node[uuid]}",
            "{inventory[disks][x]}",
            "{inventory[disks][9]}",
            "{inventory[cpu][count][x]}",
            "{item:>9}",
            "{item!r}",
            "{inventory[auth][bmc_password][x]}",
        ] {
            assert_eq!(text(template), Err(Failure::Malformed), "{template}");
        }
    }

    #[test]
    fn whatever_the_shape() {
        let (node, inventory, plugin_data) = (Map::new(), object(&json!({"k": "v"})), Map::new());
        let item = json!("{inventory[k]}");
        let (node, inventory, plugin_data) = (&node, &inventory, &plugin_data);
        let alone = Names { node, inventory, plugin_data, item: None, masked: true };
        let looped = Names { item: Some(&item), ..alone };
        let args = json!(["{inventory[k]}", 5, {"{inventory[k]}": ["{inventory[k]}"]}]);
        assert_eq!(replaced(&args, alone, false), json!(["v", 5, {"v": ["v"]}]));
        assert_eq!(replaced(&json!("{item}"), looped, false), json!("v"));
        assert_eq!(replaced(&json!("{item}"), alone, false), json!("{item}"));
        assert_eq!(replaced(&json!("{inventory[x]}"), alone, false), json!("{inventory[x]}"));
        assert_eq!(replaced(&json!("{inventory[x]}"), alone, true), Value::Null);
        assert_eq!(replaced(&json!("{inventory[k"), alone, true), json!("{inventory[k"));
    }
}
