//! Portgroups, volume connectors, volume targets and chassis, made by way of the API.

use model::Node;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{NEWEST, Site};

/// The smallest body that makes an object of the collection at `path`.
pub(crate) fn body(path: &str, node: &Node) -> Value {
    let unique = Uuid::new_v4();
    match path {
        "/v1/portgroups" => json!({"node_uuid": node.uuid}),
        "/v1/chassis" => json!({}),
        "/v1/volume/connectors" => json!({"node_uuid": node.uuid, "type": "iqn", "connector_id": unique}),
        "/v1/volume/targets" => json!({"node_uuid": node.uuid, "volume_type": "iscsi", "volume_id": unique,
            "boot_index": unique.as_fields().0}),
        _ => panic!("{path}"),
    }
}

/// Makes such an object; its path.
pub(crate) async fn stored(site: &Site, path: &str, node: &Node) -> String {
    let answer = site.call("POST", path, NEWEST, body(path, node)).await;
    assert_eq!(answer.code(), 201, "{path}: {}", answer.text);
    format!("{path}/{}", answer.json()["uuid"].as_str().unwrap())
}

/// Puts a fresh object in the open part of `path`, which is `route` filled in so far.
pub(crate) async fn in_path(site: &Site, route: &str, node: &Node, path: String) -> String {
    for collection in ["/v1/portgroups", "/v1/chassis", "/v1/volume/connectors", "/v1/volume/targets"] {
        let rest = route.strip_prefix(collection).and_then(|rest| rest.strip_prefix("/{"));
        if let Some((_, rest)) = rest.and_then(|rest| rest.split_once('}')) {
            return stored(site, collection, node).await + rest;
        }
    }
    path
}
