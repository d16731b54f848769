//! Every field of nodes, chassis and of what nodes have, at every version where creating or patching it changes.

use model::Node;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Site, address, ranges};
use crate::parts;

const OBSERVED: &str = include_str!("../../../../contract/extra/field_write_status_by_version.tsv");

/// The resources, where they are, and the first version that has them.
const RESOURCES: [(&str, &str, u16); 6] = [
    ("node", "/v1/nodes", 1),
    ("port", "/v1/ports", 1),
    ("portgroup", "/v1/portgroups", 23),
    ("chassis", "/v1/chassis", 1),
    ("volume_connector", "/v1/volume/connectors", 32),
    ("volume_target", "/v1/volume/targets", 32),
];

fn place(resource: &str) -> Option<(&'static str, u16)> {
    RESOURCES.into_iter().find(|(name, ..)| *name == resource).map(|(_, path, first)| (path, first))
}

/// Where we answer otherwise than was observed, and why.
fn exception(resource: &str, operation: &str, field: &str) -> Option<&'static str> {
    match (resource, operation, field) {
        ("node", "create", "owner") => Some("an administrator may name the owner of a new node"),
        _ => None,
    }
}

#[tokio::test]
async fn writing_answers_as_observed_at_the_ends_of_every_range() {
    let site = Site::new().await;
    let mut rows = 0;
    for row in OBSERVED.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (resource, operation, field) = (cells[0], cells[1], cells[2]);
        if place(resource).is_none() || exception(resource, operation, field).is_some() {
            continue;
        }
        rows += 1;
        for (first, last, status) in ranges(cells[3]) {
            for minor in [first, last] {
                let answer = match operation {
                    "create" => create(&site, resource, field, minor).await,
                    _ => patch(&site, resource, field, minor).await,
                };
                assert_eq!(answer.0, status, "1.{minor} {row}: {}", answer.1);
            }
        }
    }
    assert!(rows > 160, "{rows}");
}

async fn create(site: &Site, resource: &str, field: &str, minor: u16) -> (u16, String) {
    let node = site.node(|_| ()).await;
    let path = place(resource).unwrap().0;
    let mut body = match resource {
        "node" => json!({"driver": "fake-hardware"}),
        "port" if field == "node_ident" => json!({"node_ident": node.uuid, "address": address().to_string()}),
        "port" => json!({"node_uuid": node.uuid, "address": address().to_string()}),
        _ => parts::body(path, &node),
    };
    if field == "retired_reason" {
        body["retired"] = json!(true);
    }
    if body.get(field).is_none() {
        body[field] = value(site, resource, field, &node).await;
    }
    let answer = site.call("POST", path, minor, body).await;
    (answer.code(), answer.text)
}

async fn patch(site: &Site, resource: &str, field: &str, minor: u16) -> (u16, String) {
    let node = site
        .node(|node| {
            if field.starts_with("protected") {
                node.provision_state = model::ProvisionState::Active;
            }
            node.protected = field == "protected_reason";
            node.retired = field == "retired_reason";
            node.power_state = Some(model::PowerState::Off);
        })
        .await;
    let path = one(site, resource, &node).await;
    let value = value(site, resource, field, &node).await;
    let body = json!([{"op": "replace", "path": format!("/{field}"), "value": value}]);
    let answer = site.call("PATCH", &path, minor, body).await;
    (answer.code(), answer.text)
}

/// The path of a stored object that belongs to `node`.
async fn one(site: &Site, resource: &str, node: &Node) -> String {
    match resource {
        "node" => format!("/v1/nodes/{}", node.uuid),
        "port" => format!("/v1/ports/{}", site.port(node).await.uuid),
        _ => parts::stored(site, place(resource).unwrap().0, node).await,
    }
}

async fn value(site: &Site, resource: &str, field: &str, node: &Node) -> Value {
    match field {
        "chassis_uuid" => uuid_of(&parts::stored(site, "/v1/chassis", node).await),
        "portgroup_uuid" => uuid_of(&parts::stored(site, "/v1/portgroups", node).await),
        "boot_index" => json!(7),
        "driver" => json!("fake-hardware"),
        "parent_node" | "node_uuid" => json!(site.node(|_| ()).await.uuid),
        "uuid" | "instance_uuid" | "connector_id" => json!(Uuid::new_v4()),
        "name" => json!(format!("n-{}", &Uuid::new_v4().to_string()[..8])),
        "address" => json!(address().to_string()),
        "boot_mode" => json!("uefi"),
        "retired" if resource == "node" => json!(true),
        "automated_clean"
        | "console_enabled"
        | "disable_power_off"
        | "maintenance"
        | "protected"
        | "secure_boot"
        | "pxe_enabled"
        | "standalone_ports_supported"
        | "dynamic_portgroup"
        | "available_for_dynamic_portgroup" => json!(true),
        "is_smartnic" => json!(false),
        "driver_info"
        | "extra"
        | "instance_info"
        | "properties"
        | "network_data"
        | "local_link_connection"
        | "clean_step" => json!({}),
        "traits" => json!([]),
        field if field.ends_with("_interface") => json!("other"),
        _ => json!("value"),
    }
}

/// The last part of a path.
fn uuid_of(path: &str) -> Value {
    json!(path.rsplit('/').next())
}
