//! Every field of nodes and ports at every version where reading, creating or patching it changes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{NEWEST, Site, address, ranges};

const OBSERVED: &str = include_str!("../../../../contract/extra/field_write_status_by_version.tsv");
const FIELDS: &str = include_str!("../../../../contract/fields.tsv");

/// Where we answer otherwise than was observed, and why.
fn exception(resource: &str, operation: &str, field: &str) -> Option<&'static str> {
    match (resource, operation, field) {
        ("node", "create", "owner") => Some("an administrator may name the owner of a new node"),
        ("node", _, "chassis_uuid") => Some("there are no chassis yet, so none can be named"),
        ("port", _, "portgroup_uuid") => Some("there are no portgroups yet, so none can be named"),
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
        if !["node", "port"].contains(&resource) || exception(resource, operation, field).is_some() {
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
    assert!(rows > 100, "{rows}");
}

async fn create(site: &Site, resource: &str, field: &str, minor: u16) -> (u16, String) {
    let mut body = json!({});
    if resource == "node" {
        body["driver"] = json!("fake-hardware");
    } else {
        let holder = if field == "node_ident" { "node_ident" } else { "node_uuid" };
        body[holder] = json!(site.node(|_| ()).await.uuid);
        body["address"] = json!(address().to_string());
    }
    if field == "retired_reason" {
        body["retired"] = json!(true);
    }
    if body.get(field).is_none() {
        body[field] = value(site, resource, field).await;
    }
    let answer = site.call("POST", &format!("/v1/{resource}s"), minor, body).await;
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
        })
        .await;
    let path = match resource {
        "node" => format!("/v1/nodes/{}", node.uuid),
        _ => format!("/v1/ports/{}", site.port(&node).await.uuid),
    };
    let value = value(site, resource, field).await;
    let body = json!([{"op": "replace", "path": format!("/{field}"), "value": value}]);
    let answer = site.call("PATCH", &path, minor, body).await;
    (answer.code(), answer.text)
}

async fn value(site: &Site, resource: &str, field: &str) -> Value {
    match field {
        "driver" => json!("fake-hardware"),
        "parent_node" | "node_uuid" => json!(site.node(|_| ()).await.uuid),
        "uuid" | "instance_uuid" => json!(Uuid::new_v4()),
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

#[tokio::test]
async fn reading_shows_each_field_from_its_version_on() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let port = site.port(&node).await;
    for row in FIELDS.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let path = match cells[0] {
            "node" => format!("/v1/nodes/{}", node.uuid),
            "port" => format!("/v1/ports/{}", port.uuid),
            _ => continue,
        };
        let Some(min) = cells[3].strip_prefix("1.").map(|minor| minor.parse::<u16>().unwrap()) else {
            continue;
        };
        let shows =
            async |minor| site.call("GET", &path, minor, Value::Null).await.json().get(cells[1]).is_some();
        assert!(shows(min).await && shows(NEWEST).await, "{row}");
        let named = format!("{path}?fields={}", cells[1]);
        assert_eq!(site.call("GET", &named, min.max(8), Value::Null).await.code(), 200, "{row}");
        if min > 1 {
            assert!(!shows(min - 1).await, "{row}");
            assert_eq!(site.call("GET", &named, min - 1, Value::Null).await.code(), 406, "{row}");
        }
    }
}
