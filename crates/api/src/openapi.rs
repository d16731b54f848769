//! The API as a document in the form of `OpenAPI` 3.1, made of the rows that requests are checked by.

use std::sync::LazyLock;

use api_types::{Row, Schema};
use http::Method;
use microversion::{Gate, Version, param_gate, route_gate};
use serde_json::{Map, Value, json};

use crate::operation::Operation;
use crate::params::{Kind, Param};
use crate::path;
use crate::routes::{ROUTES, Route};

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// The document for the newest version of the API. Fields, parameters and operations that older versions lack say
/// since when they are there (`x-since`).
pub fn text() -> &'static str {
    &TEXT
}

fn document() -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for route in ROUTES {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_lowercase()] = operation(route);
        let operation = route.operation.iter();
        let shapes = operation.flat_map(|operation| [operation.body, operation.reply]).flatten();
        schemas.extend(shapes.flat_map(|shape| shape.components()));
    }
    schemas.insert("error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wrought: Bare Metal API",
            "version": Version::MAX.to_string(),
            "description": "Version 1 of OpenStack's Bare Metal API. A request names its microversion in a header; \
                            without it, it is 1.1. This is what the newest one takes and gives.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": {"microversion": microversion()},
            "responses": {"error": {
                "description": "The request failed",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}},
            }},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
    })
}

fn microversion() -> Value {
    json!({
        "name": "X-OpenStack-Ironic-API-Version",
        "in": "header",
        "description": "The microversion of the request: `1.N`, or `latest`.",
        "schema": {"type": "string", "enum": ["latest", Version::MAX.to_string()], "default": "latest"},
    })
}

/// What failures look like: a string that holds JSON again, as the clients of this API expect.
fn error() -> Value {
    json!({"anyOf": [
        {
            "type": "object",
            "properties": {"error_message": {"type": "string", "contentMediaType": "application/json"}},
            "required": ["error_message"],
            "additionalProperties": false,
        },
        {
            "type": "object",
            "description": "About the size or depth of a body.",
            "properties": {"faultcode": {"type": "string"}, "faultstring": {"type": "string"}},
            "required": ["faultcode", "faultstring"],
            "additionalProperties": false,
        },
        {
            "type": "object",
            "description": "Who calls is not known.",
            "properties": {"error": {"type": "object"}},
            "required": ["error"],
            "additionalProperties": false,
        },
    ]})
}

fn operation(route: &Route) -> Value {
    let gate = route_gate(route.method.as_str(), route.path);
    let mut parameters = vec![json!({"$ref": "#/components/parameters/microversion"})];
    parameters.extend(
        open_parts(route.path)
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})),
    );
    let mut entry = json!({
        "operationId": operation_id(&route.method, route.path),
        "tags": [tag(route.path)],
        "x-since": since(gate),
    });
    if path::is_public(route.path) {
        entry["security"] = json!([]);
    }
    let mut responses = json!({"default": {"$ref": "#/components/responses/error"}});
    match &route.operation {
        Some(operation) => {
            parameters.extend(operation.params().map(|param| parameter(operation, param)));
            if let Some(body) = &operation.body {
                entry["requestBody"] = request_body(body);
            }
            responses[operation.status.to_string()] = reply(operation);
        }
        None => responses["2XX"] = json!({"description": "Done"}),
    }
    entry["parameters"] = json!(parameters);
    entry["responses"] = responses;
    entry
}

fn parameter(operation: &Operation, param: &Param) -> Value {
    let rows = shown(operation);
    let fields: Vec<&str> = rows.iter().filter(|row| row.read.is_some()).map(|row| row.name).collect();
    let mut entry = json!({
        "name": param.name,
        "in": "query",
        "schema": param.kind.document(&fields),
        "x-since": since(param_gate(operation.at, param.name)),
    });
    if matches!(param.kind, Kind::Texts | Kind::Fields) {
        entry["explode"] = json!(false);
    }
    entry
}

/// The fields that the reply of `operation` may show.
fn shown(operation: &Operation) -> Vec<Row> {
    match operation.reply {
        Some(Schema::Shown(table) | Schema::Page(_, table)) => table.rows(),
        _ => Vec::new(),
    }
}

fn request_body(body: &Schema) -> Value {
    let is_empty_enough = body.check(&json!({}), "").is_ok() && matches!(body, Schema::Members(_));
    json!({"required": !is_empty_enough, "content": {"application/json": {"schema": body.document()}}})
}

fn reply(operation: &Operation) -> Value {
    let description = match operation.status {
        201 => "Made",
        202 => "Begun",
        204 => "Done",
        _ => "Found",
    };
    match &operation.reply {
        Some(reply) => {
            json!({"description": description, "content": {"application/json": {"schema": reply.document()}}})
        }
        None if operation.status == 200 => {
            let events = json!({"text/event-stream": {"schema": {"type": "string"}}});
            json!({"description": "What happens, until the caller goes away", "content": events})
        }
        None => json!({"description": description}),
    }
}

fn since(gate: Gate) -> String {
    format!("1.{}", gate.min)
}

/// The names of the parts that a path leaves open.
fn open_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// `get_nodes_node_ident_states` and the like.
fn operation_id(method: &Method, path: &str) -> String {
    let path = path.strip_prefix("/v1/").unwrap_or(path);
    let words = path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty()).map(str::to_owned);
    std::iter::once(method.as_str().to_lowercase()).chain(words).collect::<Vec<_>>().join("_")
}

/// The collection that a path is about.
fn tag(path: &str) -> &str {
    path.split('/').find(|word| !word.is_empty() && *word != "v1").unwrap_or("discovery")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_names_are_unique() {
        let document: Value = serde_json::from_str(text()).unwrap();
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            }
        }
        let mut references = 0;
        let whole = text();
        for reference in whole.split("\"$ref\": \"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            references += 1;
        }
        assert!(references > 200 && ids.len() > 100, "{references} {}", ids.len());
    }

    #[test]
    fn gates_are_told() {
        let document: Value = serde_json::from_str(text()).unwrap();
        let boot_mode = &document["paths"]["/v1/nodes/{node_ident}/states/boot_mode"]["put"];
        assert_eq!(boot_mode["x-since"], "1.76");
        assert_eq!(boot_mode["responses"]["202"]["description"], "Begun");
        let nodes = document["paths"]["/v1/nodes"]["get"]["parameters"].as_array().unwrap();
        let shard = nodes.iter().find(|param| param["name"] == "shard").unwrap();
        assert_eq!((&shard["x-since"], &shard["explode"]), (&json!("1.82"), &json!(false)));
    }
}
