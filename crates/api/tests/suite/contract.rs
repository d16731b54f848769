//! Every route of the contract at every version where its answer changes.

use conductor_api::RequestError;
use db::{Commit, HistoryEntry};
use model::{BiosSetting, HistoryUuid, Node, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site, address, ranges};
use crate::parts;

const OBSERVED: &str = include_str!("../../../../contract/extra/route_status_by_version.tsv");
const ROUTES: &str = include_str!("../../../../contract/api.tsv");

/// Routes that are not served yet.
const LATER: [&str; 0] = [];

fn is_later(path: &str) -> bool {
    LATER
        .iter()
        .any(|later| path.strip_prefix(later).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[tokio::test]
async fn every_route_answers_as_observed_at_the_ends_of_every_range() {
    let site = Site::new().await;
    let mut rows = 0;
    for row in OBSERVED.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        if is_later(cells[1]) {
            continue;
        }
        rows += 1;
        for (first, last, status) in ranges(cells[2]) {
            for minor in [first, last] {
                let (path, body) = request(&site, cells[0], cells[1], minor).await;
                let method = if cells[0] == "ANY" { "POST" } else { cells[0] };
                let answer = site.call(method, &path, minor, body).await;
                assert_eq!(answer.code(), status, "1.{minor} {row}: {}", answer.text);
            }
        }
    }
    assert_eq!(rows, 126);
}

#[tokio::test]
async fn every_row_is_served_or_listed_as_later() {
    let site = Site::new().await;
    for row in ROUTES.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (method, path) = (cells[0], cells[1]);
        if path == "/healthcheck" {
            assert_eq!(site.get(path).await.code(), 200);
        } else if is_later(path) {
            let method = if method == "ANY" { "GET" } else { method };
            let path = path.replace(['{', '}'], "");
            assert!(
                [404, 405].contains(&site.call(method, &path, NEWEST, Value::Null).await.code()),
                "{row}"
            );
        } else {
            assert!(OBSERVED.contains(&format!("{method}\t{path}\t")), "{row}");
        }
    }
}

/// Method and path of every route that was observed and is served.
pub(crate) fn observed() -> impl Iterator<Item = (&'static str, &'static str)> {
    let cells = OBSERVED.lines().skip(1).filter_map(|row| {
        let mut cells = row.split('\t');
        Some((cells.next()?, cells.next()?))
    });
    cells.filter(|(_, path)| !is_later(path))
}

/// A concrete path and body for a route, with what they need made beforehand.
pub(crate) async fn request(site: &Site, method: &str, route: &str, minor: u16) -> (String, Value) {
    let node = prepared(site, route).await;
    let port = site.port(&node).await;
    *site.conductors.found.lock().unwrap() = Some(node.clone());
    let mut path = crate::plans::stored(site, route, &node)
        .await
        .replace("{node_ident}", &node.uuid.to_string())
        .replace("{port_ident}", &port.uuid.to_string())
        .replace("{port_uuid}", &port.uuid.to_string())
        .replace("{driver_name}", "fake-hardware")
        .replace("{hostname}", crate::conductors::HOST)
        .replace("{trait}", "CUSTOM_A")
        .replace("{vif_id}", "vif-1")
        .replace("{setting_name}", "Boot")
        .replace("{indicator}", "led@system")
        .replace("{method}", "method");
    path = parts::in_path(site, route, &node, path).await;
    if route.ends_with("/firmware") {
        let bmc = model::FirmwareComponent::new("bmc", Some("1".to_owned()), Timestamp::now());
        site.db.note_firmware(node.uuid, vec![bmc]).await.unwrap();
    }
    if route.contains("/bios") {
        let setting = BiosSetting::new("Boot", Some("uefi".to_owned()), Timestamp::now());
        site.db.put_bios_settings(node.uuid, vec![setting]).await.unwrap();
    }
    if route.ends_with("{event_uuid}") {
        path = path.replace("{event_uuid}", &history(site, &node).await.to_string());
    }
    if route == "/v1/lookup" {
        path.push_str("?addresses=52:54:00:12:34:56");
    }
    (path, body(method, route, &node, minor))
}

fn body(method: &str, route: &str, node: &Node, minor: u16) -> Value {
    if let Some(body) = crate::plans::body(method, route) {
        return body;
    }
    match (method, route.rsplit('/').next().unwrap()) {
        ("POST", "nodes") => json!({"driver": "fake-hardware"}),
        ("POST", "portgroups" | "chassis" | "connectors" | "targets") => parts::body(route, node),
        ("POST", "ports") => json!({"address": address().to_string(), "node_uuid": node.uuid}),
        ("PATCH", _) => json!([{"op": "add", "path": "/extra/a", "value": 1}]),
        ("PUT", "power") => json!({"target": "power on"}),
        ("PUT", "provision") => json!({"target": "active"}),
        ("PUT", "raid") => json!({}),
        ("PUT", "boot_mode") => json!({"target": "uefi"}),
        ("PUT", "secure_boot") => json!({"target": true}),
        ("PUT", "console") => json!({"enabled": true}),
        ("PUT", "{indicator}") => json!({"state": "ON"}),
        ("POST", "vmedia") => json!({"device_type": "cdrom", "image_url": "https://192.0.2.1/a.iso"}),
        ("PUT", "boot_device") => json!({"boot_device": "pxe"}),
        ("PUT", "traits") => json!({"traits": ["CUSTOM_A"]}),
        ("POST", "vifs") => json!({"id": "vif-1"}),
        ("POST", "{node_ident}") if minor >= 36 => {
            json!({"callback_url": "https://192.0.2.1:9999", "agent_token": "t", "agent_version": "13"})
        }
        ("POST", "{node_ident}") => json!({"callback_url": "https://192.0.2.1:9999", "agent_token": "t"}),
        _ => Value::Null,
    }
}

async fn prepared(site: &Site, route: &str) -> Node {
    site.node(|node| {
        if route.ends_with("/provision") {
            node.provision_state = ProvisionState::Available;
        }
        node.traits = vec!["CUSTOM_A".parse().unwrap()];
        node.power_state = route.starts_with("/v1/volume").then_some(model::PowerState::Off);
    })
    .await
}

pub(crate) async fn history(site: &Site, node: &Node) -> HistoryUuid {
    let entry = HistoryEntry {
        uuid: HistoryUuid::random(),
        event_type: "provisioning".to_owned(),
        severity: "INFO".to_owned(),
        event: "x".repeat(300),
        conductor: Some("conductor-1".to_owned()),
        user: None,
        project: None,
        state: None,
        target: None,
        duration_seconds: None,
        created_at: Timestamp::now(),
    };
    let uuid = entry.uuid;
    let commit = Commit { history: vec![entry], ..Commit::new(node.clone(), node.clone()) };
    site.db.commit(commit).await.unwrap();
    uuid
}

#[tokio::test]
async fn history_is_cut_in_lists_and_whole_otherwise() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let uuid = history(&site, &node).await;
    let list = site.get(&format!("/v1/nodes/{}/history", node.uuid)).await.json();
    assert_eq!(list["history"][0]["event"].as_str().unwrap().len(), 254);
    assert!(list["history"][0].get("conductor").is_none());
    let one = site.get(&format!("/v1/nodes/{}/history/{uuid}", node.uuid)).await.json();
    assert_eq!((one["event"].as_str().unwrap().len(), one["conductor"].as_str()), (300, Some("conductor-1")));
    let unknown = site.get(&format!("/v1/nodes/{}/history/{}", node.uuid, HistoryUuid::random())).await;
    assert_eq!(unknown.code(), 404);
    assert_eq!(site.get(&format!("/v1/nodes/{}/history/none", node.uuid)).await.code(), 404);
}

#[tokio::test]
async fn refusals_of_conductors_have_their_statuses() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = format!("/v1/nodes/{}/states/power", node.uuid);
    let text = || "because".to_owned();
    for (refusal, status) in [
        (RequestError::NotFound(text()), 404),
        (RequestError::Locked { node: text(), holder: text(), reason: text() }, 409),
        (RequestError::Invalid(text()), 400),
        (RequestError::Conflict(text()), 409),
        (RequestError::Forbidden(text()), 403),
        (RequestError::Unsupported(text()), 400),
        (RequestError::Hardware { message: text(), transient: false }, 400),
        (RequestError::Hardware { message: text(), transient: true }, 500),
        (RequestError::Unavailable(text()), 503),
        (RequestError::Internal(text()), 500),
    ] {
        *site.conductors.refusal.lock().unwrap() = Some(refusal);
        let answer = site.call("PUT", &path, NEWEST, json!({"target": "power on"})).await;
        assert_eq!(answer.code(), status);
        assert!(answer.fault().contains("because"));
    }
}
