//! Shapes of bodies and replies as values: checked against JSON, and told as JSON Schema (draft 2020-12).

use serde_json::{Map, Value, json};

use crate::value::{fits, kind_of};
use crate::{Invalid, Json, Row, Table, Type};

/// The shape of a JSON value.
#[derive(Clone, Copy)]
pub enum Schema {
    /// Anything.
    Any,
    /// A value of a type that fields have, too.
    Plain(Type),
    /// One of a few words.
    Word(fn() -> Vec<&'static str>),
    /// An object with these members and no others.
    Members(&'static [Member]),
    /// An object with these members, and others that are somebody else's.
    Open(&'static [Member]),
    /// A list.
    ListOf(&'static Schema),
    /// An object whose members all have one shape.
    MapOf(&'static Schema),
    /// An object of a resource, as replies show it: all of its fields, or those asked for.
    Shown(&'static dyn Table),
    /// These fields of an object of a resource.
    Part(&'static dyn Table, &'static [&'static str]),
    /// What an object of a resource is made of.
    New(&'static dyn Table),
    /// A JSON Patch of an object of a resource.
    Changes(&'static dyn Table),
    /// A page of a list of objects of a resource, under this name.
    Page(&'static str, &'static dyn Table),
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub schema: Schema,
    /// Whether it has to be there.
    pub required: bool,
}

impl Member {
    /// A member that has to be there.
    pub const fn needed(name: &'static str, schema: Schema) -> Self {
        Self { name, schema, required: true }
    }

    /// A member that may be left out, or null.
    pub const fn optional(name: &'static str, schema: Schema) -> Self {
        Self { name, schema, required: false }
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schema({})", self.document())
    }
}

impl Schema {
    /// Any string.
    pub const TEXT: Self = Self::Plain(Json::Text.only());
    /// Any string, or null.
    pub const TEXT_OR_NULL: Self = Self::Plain(Json::Text.or_null());
    /// A boolean.
    pub const FLAG: Self = Self::Plain(Json::Flag.only());
    /// An object of any kind.
    pub const OBJECT: Self = Self::Plain(Json::Object.only());
    /// A list of strings.
    pub const TEXTS: Self = Self::Plain(Json::Texts.only());

    /// Checks `value`, which stands at `path`. Objects of resources are checked where they are made, by the same rows.
    pub fn check(&self, value: &Value, path: &str) -> Result<(), Invalid> {
        match self {
            Self::Any
            | Self::Shown(_)
            | Self::Part(..)
            | Self::New(_)
            | Self::Changes(_)
            | Self::Page(..) => Ok(()),
            Self::Plain(ty) => check_plain(*ty, value, path),
            Self::Word(words) => check_word(&words(), value, path),
            Self::Members(members) => check_members(members, true, value, path),
            Self::Open(members) => check_members(members, false, value, path),
            Self::ListOf(item) => {
                let list = value.as_array().ok_or_else(|| expected("a list", value, path))?;
                let mut items = list.iter().enumerate();
                items.try_for_each(|(index, value)| item.check(value, &format!("{path}/{index}")))
            }
            Self::MapOf(item) => {
                let map = value.as_object().ok_or_else(|| expected("an object", value, path))?;
                map.iter().try_for_each(|(key, value)| item.check(value, &format!("{path}/{}", cut(key))))
            }
        }
    }

    /// The same as JSON Schema. Resources are references to [`Schema::components`].
    pub fn document(&self) -> Value {
        let reference = |prefix: &str, table: &dyn Table| json!({"$ref": format!("#/components/schemas/{prefix}{}", table.name())});
        match self {
            Self::Any => json!({}),
            Self::Plain(ty) => ty.document(),
            Self::Word(words) => json!({"type": "string", "enum": words()}),
            Self::Members(members) => members_document(members, true),
            Self::Open(members) => members_document(members, false),
            Self::ListOf(item) => json!({"type": "array", "items": item.document()}),
            Self::MapOf(item) => json!({"type": "object", "additionalProperties": item.document()}),
            Self::Shown(table) => reference("", *table),
            Self::Part(table, names) => fields_document(&part(*table, names), |row| row.read, false),
            Self::New(table) => reference("new_", *table),
            Self::Changes(table) => reference("patch_of_", *table),
            Self::Page(key, table) => page_document(key, &reference("", *table)),
        }
    }

    /// The schemas that [`Schema::document`] refers to, by name.
    pub fn components(&self) -> Vec<(String, Value)> {
        match self {
            Self::Members(members) | Self::Open(members) => {
                members.iter().flat_map(|member| member.schema.components()).collect()
            }
            Self::ListOf(item) | Self::MapOf(item) => item.components(),
            Self::Shown(table) | Self::Page(_, table) => {
                vec![(table.name().to_owned(), fields_document(&table.rows(), |row| row.read, false))]
            }
            Self::New(table) => {
                let document = fields_document(&table.rows(), |row| row.create, true);
                vec![(format!("new_{}", table.name()), document)]
            }
            Self::Changes(table) => {
                vec![(format!("patch_of_{}", table.name()), patch_document(&table.rows()))]
            }
            Self::Any | Self::Plain(_) | Self::Word(_) | Self::Part(..) => Vec::new(),
        }
    }
}

fn part(table: &dyn Table, names: &[&str]) -> Vec<Row> {
    table.rows().into_iter().filter(|row| names.contains(&row.name)).collect()
}

fn expected(what: &str, value: &Value, path: &str) -> Invalid {
    let path = if path.is_empty() { "body" } else { path };
    Invalid::at(path, format!("expected {what}, not {}", kind_of(value)))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

fn check_plain(ty: Type, value: &Value, path: &str) -> Result<(), Invalid> {
    let (fits, what) = fits(ty.json, value);
    if fits || ty.nullable && value.is_null() { Ok(()) } else { Err(expected(what, value, path)) }
}

fn check_word(words: &[&str], value: &Value, path: &str) -> Result<(), Invalid> {
    let text = value.as_str().ok_or_else(|| expected("a string", value, path))?;
    if words.contains(&text) {
        return Ok(());
    }
    Err(Invalid::at(path, format!("'{}' is not one of: {}", cut(text), words.join(", "))))
}

fn check_members(members: &[Member], closed: bool, value: &Value, path: &str) -> Result<(), Invalid> {
    let map = value.as_object().ok_or_else(|| expected("an object", value, path))?;
    if closed && let Some(key) = map.keys().find(|key| !members.iter().any(|member| member.name == *key)) {
        let names: Vec<&str> = members.iter().map(|member| member.name).collect();
        return Err(Invalid::at(
            format!("{path}/{}", cut(key)),
            format!("expected {} alone", names.join(", ")),
        ));
    }
    for Member { name, schema, required } in members {
        let path = format!("{path}/{name}");
        match map.get(*name) {
            None if *required => return Err(Invalid::at(path, "a value is required")),
            Some(Value::Null) if !required => {}
            None => {}
            Some(value) => schema.check(value, &path)?,
        }
    }
    Ok(())
}

fn members_document(members: &[Member], closed: bool) -> Value {
    let mut properties = Map::new();
    for Member { name, schema, required } in members {
        let document = schema.document();
        let document = if *required { document } else { or_null(document) };
        properties.insert((*name).to_owned(), document);
    }
    let required: Vec<&str> =
        members.iter().filter(|member| member.required).map(|member| member.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": !closed})
}

/// The same, or null.
fn or_null(document: Value) -> Value {
    match document.get("type").and_then(Value::as_str) {
        Some(ty) if document.get("enum").is_none() => {
            let types = json!([ty, "null"]);
            let mut document = document;
            document["type"] = types;
            document
        }
        _ if document
            .as_object()
            .is_some_and(|map| map.is_empty() || map.get("type").is_some_and(Value::is_array)) =>
        {
            document
        }
        _ => json!({"anyOf": [document, {"type": "null"}]}),
    }
}

/// An object of the fields that `since` has a version for. At creation what has a default may be null.
fn fields_document(rows: &[Row], since: fn(&Row) -> Option<u16>, creation: bool) -> Value {
    let mut properties = Map::new();
    for row in rows {
        let Some(min) = since(row) else { continue };
        let needed = row.default == "required";
        let mut document = row.ty.document();
        if creation && !needed {
            document = or_null(document);
        }
        document["x-since"] = json!(format!("1.{min}"));
        properties.insert(row.name.to_owned(), document);
    }
    let required: Vec<&str> = rows
        .iter()
        .filter(|row| creation && since(row).is_some() && row.default == "required")
        .map(|row| row.name)
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn page_document(key: &str, item: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {key: {"type": "array", "items": item}, "next": {"type": "string", "format": "uri"}},
        "required": [key],
        "additionalProperties": false,
    })
}

/// A JSON Patch whose paths begin with a field that may be patched.
fn patch_document(rows: &[Row]) -> Value {
    let names: Vec<&str> = rows.iter().filter(|row| row.patch.is_some()).map(|row| row.name).collect();
    let path = json!({"type": "string", "pattern": format!("^/({})(/[A-Za-z0-9_-]+)*$", names.join("|"))});
    let operation = |ops: Value, needs_value: bool| {
        let required = if needs_value { json!(["op", "path", "value"]) } else { json!(["op", "path"]) };
        json!({
            "type": "object",
            "properties": {"op": {"enum": ops}, "path": path, "value": {}},
            "required": required,
            "additionalProperties": false,
        })
    };
    let items =
        json!({"anyOf": [operation(json!(["add", "replace"]), true), operation(json!(["remove"]), false)]});
    json!({"type": "array", "items": items})
}

impl Type {
    /// The type as JSON Schema.
    pub fn document(self) -> Value {
        let document = match self.json {
            Json::Text => json!({"type": "string"}),
            Json::Uuid => json!({"type": "string", "format": "uuid"}),
            Json::Time => json!({"type": "string", "format": "date-time"}),
            Json::Mac => json!({"type": "string", "pattern": "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"}),
            Json::Flag => json!({"type": "boolean"}),
            Json::Integer => json!({"type": "integer"}),
            Json::Object => json!({"type": "object"}),
            Json::Links => json!({"type": "array", "items": link()}),
            Json::LinkLists => json!({"type": "array", "items": {"type": "array", "items": link()}}),
            Json::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Json::List(members) => json!({"type": "array", "items": list_item(members)}),
        };
        if self.nullable { or_null(document) } else { document }
    }
}

fn link() -> Value {
    json!({
        "type": "object",
        "properties": {"href": {"type": "string"}, "rel": {"type": "string"}},
        "required": ["href", "rel"],
    })
}

/// An object with members as the contract writes them: `{op,args,loop?}`.
fn list_item(members: &str) -> Value {
    let names: Vec<&str> = members.trim_matches(['{', '}']).split(',').collect();
    let properties: Map<String, Value> =
        names.iter().map(|name| (name.trim_end_matches('?').to_owned(), json!({}))).collect();
    let required: Vec<&&str> = names.iter().filter(|name| !name.ends_with('?')).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NODE;

    const BODY: Schema = Schema::Members(&[
        Member::needed("target", Schema::Word(|| vec!["on", "off"])),
        Member::optional("force", Schema::FLAG),
        Member::optional("steps", Schema::ListOf(&Schema::Open(&[Member::needed("step", Schema::TEXT)]))),
    ]);

    #[test]
    fn bodies_are_checked() {
        let problem = |value: Value| BODY.check(&value, "").map_err(|error| error.to_string());
        for good in [
            json!({"target": "on"}),
            json!({"target": "off", "force": "yes", "steps": null}),
            json!({"target": "on", "steps": [{"step": "a", "more": 1}]}),
        ] {
            assert_eq!(problem(good), Ok(()));
        }
        for (bad, text) in [
            (json!([]), "body: expected an object, not a list"),
            (json!({}), "/target: a value is required"),
            (json!({"target": null}), "/target: expected a string, not null"),
            (json!({"target": "up"}), "/target: 'up' is not one of: on, off"),
            (json!({"target": "on", "x": 1}), "/x: expected target, force, steps alone"),
            (json!({"target": "on", "force": []}), "/force: expected true or false, not a list"),
            (json!({"target": "on", "steps": [{}]}), "/steps/0/step: a value is required"),
        ] {
            assert_eq!(problem(bad), Err(text.to_owned()));
        }
    }

    #[test]
    fn documents_say_what_the_rows_say() {
        let document = BODY.document();
        assert_eq!(document["required"], json!(["target"]));
        assert_eq!(document["properties"]["force"]["type"], json!(["boolean", "null"]));
        let components = Schema::New(&NODE).components();
        let (name, node) = &components[0];
        assert_eq!((name.as_str(), &node["required"]), ("new_node", &json!(["driver"])));
        assert_eq!(node["properties"]["owner"]["x-since"], "1.50");
        assert!(node["properties"].get("power_state").is_none());
        let patch = &Schema::Changes(&NODE).components()[0].1;
        let pattern = patch["items"]["anyOf"][0]["properties"]["path"]["pattern"].as_str().unwrap();
        assert!(pattern.contains("|extra|") && !pattern.contains("provision_state"), "{pattern}");
    }
}
