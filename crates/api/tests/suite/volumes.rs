//! Volume connectors and volume targets.

use std::sync::Arc;

use api::NoAuth;
use db::Scope;
use model::{Lease, Node, PowerState, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site, options};
use crate::parts;

const COLLECTIONS: [&str; 2] = ["/v1/volume/connectors", "/v1/volume/targets"];

async fn node_off(site: &Site) -> Node {
    site.node(|node| node.power_state = Some(PowerState::Off)).await
}

#[tokio::test]
async fn links_lead_to_the_collections() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("n-1".to_owned())).await;
    let href = |body: &Value, name: &str| body[name][0]["href"].as_str().unwrap().to_owned();
    let root = site.get("/v1/volume").await.json();
    assert_eq!(href(&root, "connectors"), "http://api.test:6385/v1/volume/connectors");
    assert_eq!(href(&root, "targets"), "http://api.test:6385/v1/volume/targets");
    assert_eq!(href(&root, "links"), "http://api.test:6385/v1/volume/");
    let of_node = site.get("/v1/nodes/n-1/volume").await.json();
    let base = format!("http://api.test:6385/v1/nodes/{}/volume/", node.uuid);
    assert_eq!(href(&of_node, "targets"), format!("{base}targets"));
    assert_eq!(href(&of_node, "links"), base);
    assert_eq!(site.get("/v1/nodes/none/volume").await.code(), 404);
    assert!(site.get("/v1").await.json().get("volume").is_some());
    assert!(site.call("GET", "/v1", 31, Value::Null).await.json().get("volume").is_none());
}

#[tokio::test]
async fn creation() {
    let site = Site::new().await;
    let (node, other) = (node_off(&site).await, node_off(&site).await);
    let connector = json!({"node_uuid": node.uuid, "type": "iqn", "connector_id": "iqn.1"});
    let target =
        json!({"node_uuid": node.uuid, "volume_type": "iscsi", "volume_id": "vol-1", "boot_index": 0});
    for (path, body) in COLLECTIONS.into_iter().zip([connector, target]) {
        let answer = site.call("POST", path, NEWEST, body.clone()).await;
        assert_eq!(answer.code(), 201, "{}", answer.text);
        let made = answer.json();
        let one = format!("{path}/{}", made["uuid"].as_str().unwrap());
        assert!(answer.header("location").unwrap().ends_with(&one));
        assert_eq!(site.get(&one).await.json(), made);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&made[name], value);
            let mut less = body.clone();
            less.as_object_mut().unwrap().remove(name);
            assert_eq!(site.call("POST", path, NEWEST, less).await.code(), 400, "{name}");
        }
        let mut again = body.clone();
        assert_eq!(site.call("POST", path, NEWEST, again.clone()).await.code(), 409);
        again["node_uuid"] = json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123");
        assert_eq!(site.call("POST", path, NEWEST, again.clone()).await.code(), 400);
        // A boot index is taken for one node, an address for all.
        again["node_uuid"] = json!(other.uuid);
        let expected = if path.ends_with("targets") { 201 } else { 409 };
        assert_eq!(site.call("POST", path, NEWEST, again).await.code(), expected);
        let mut odd = body.clone();
        odd["bogus"] = json!(1);
        assert_eq!(site.call("POST", path, NEWEST, odd).await.code(), 400);
    }
    let mut long = json!({"node_uuid": node.uuid, "type": "x".repeat(33), "connector_id": "i"});
    assert_eq!(site.call("POST", COLLECTIONS[0], NEWEST, long.clone()).await.code(), 400);
    long["type"] = json!("");
    assert_eq!(site.call("POST", COLLECTIONS[0], NEWEST, long).await.code(), 400);
    for index in ["first", "7"] {
        let text = json!({"node_uuid": node.uuid, "volume_type": "x", "volume_id": "v", "boot_index": index});
        assert_eq!(site.call("POST", COLLECTIONS[1], NEWEST, text).await.code(), 400, "{index}");
    }
}

#[tokio::test]
async fn lists() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("n-1".to_owned())).await;
    let other = site.node(|_| ()).await;
    for path in COLLECTIONS {
        let key = path.rsplit('/').next().unwrap();
        for holder in [&node, &node, &other] {
            parts::stored(&site, path, holder).await;
        }
        for (query, count) in [
            (path.to_owned(), 3),
            (format!("{path}?node=n-1"), 2),
            (format!("{path}?node={}", other.uuid), 1),
            (format!("{path}?detail=true&sort_key=node_uuid"), 3),
            (format!("/v1/nodes/n-1/volume/{key}"), 2),
        ] {
            let body = site.get(&query).await.json();
            assert_eq!(body[key].as_array().map(Vec::len), Some(count), "{query}");
            assert_eq!(body[key][0].get("extra").is_some(), query.contains("detail"), "{query}");
        }
        let first = site.get(&format!("{path}?limit=2")).await.json();
        let next = first["next"].as_str().unwrap().strip_prefix("http://api.test:6385").unwrap().to_owned();
        assert_eq!(site.get(&next).await.json()[key].as_array().map(Vec::len), Some(1));
        for (query, minor, status) in [
            ("node=none", NEWEST, 404),
            ("sort_key=extra", NEWEST, 400),
            ("bogus=1", NEWEST, 400),
            ("detail=1", 42, 200),
            ("fields=uuid&detail=1", NEWEST, 400),
            ("fields=uuid,node_uuid", 32, 200),
        ] {
            let answer = site.call("GET", &format!("{path}?{query}"), minor, Value::Null).await;
            assert_eq!(answer.code(), status, "{path} {query}");
        }
        assert_eq!(site.get(&format!("{path}/a-name")).await.code(), 400);
        let unknown = format!("{path}/1be26c0b-03f2-4d2e-ae87-c02d7f33c123");
        assert_eq!(site.get(&unknown).await.code(), 404);
    }
}

#[tokio::test]
async fn changes_need_a_node_that_is_off() {
    let site = Site::new().await;
    let extra = || json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    for path in COLLECTIONS {
        for (state, power, patch, delete) in [
            (ProvisionState::Active, Some(PowerState::On), 400, 400),
            (ProvisionState::Active, None, 400, 400),
            (ProvisionState::Active, Some(PowerState::Off), 200, 204),
            (ProvisionState::Enroll, Some(PowerState::On), 400, 204),
            (ProvisionState::Manageable, Some(PowerState::On), 400, 204),
            (ProvisionState::AdoptFailed, Some(PowerState::On), 400, 204),
        ] {
            let node = site.node(|node| {
                node.provision_state = state;
                node.power_state = power;
            });
            let one = parts::stored(&site, path, &node.await).await;
            assert_eq!(site.patch(&one, extra()).await.code(), patch, "{path} {state} {power:?}");
            assert_eq!(site.patch(&one, json!([])).await.code(), 200);
            let gone = site.call("DELETE", &one, NEWEST, Value::Null).await;
            assert_eq!(gone.code(), delete, "{path} {state} {power:?}");
        }
        let (from, to) = (node_off(&site).await, node_off(&site).await);
        let one = parts::stored(&site, path, &from).await;
        let moved = json!([{"op": "replace", "path": "/node_uuid", "value": to.uuid}]);
        assert_eq!(site.patch(&one, moved).await.json()["node_uuid"], json!(to.uuid));
        let nowhere = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
        let moved = json!([{"op": "replace", "path": "/node_uuid", "value": nowhere}]);
        assert_eq!(site.patch(&one, moved).await.code(), 400);
        let removed = json!([{"op": "remove", "path": "/node_uuid"}]);
        assert_eq!(site.patch(&one, removed).await.code(), 400);
    }
    let locked = site.node(|node| {
        node.lease = Some(Lease {
            holder: "conductor-1".to_owned(),
            expires_at: Timestamp::from_micros(Timestamp::now().as_micros() + 60_000_000),
            reason: "power".to_owned(),
        });
    });
    let locked = locked.await;
    for path in COLLECTIONS.into_iter().chain(["/v1/portgroups"]) {
        let answer = site.call("POST", path, NEWEST, parts::body(path, &locked)).await;
        assert_eq!(answer.code(), 409, "{path}");
    }
}

/// Everything but the properties of targets.
const NO_PROPERTIES: &str = "baremetal:volume:view_target_properties: '!'";

#[tokio::test]
async fn properties_are_masked_or_taken_out() {
    for is_open in [true, false] {
        let site = if is_open {
            Site::new().await
        } else {
            Site::assemble(options(), |_| Arc::new(NoAuth), NO_PROPERTIES).await
        };
        let node = node_off(&site).await;
        let mut body = parts::body(COLLECTIONS[1], &node);
        body["properties"] = json!({"target_portal": "portal-1", "auth_password": "hunter2"});
        let made = site.call("POST", COLLECTIONS[1], NEWEST, body).await;
        let one = format!("{}/{}", COLLECTIONS[1], made.json()["uuid"].as_str().unwrap());
        let patched =
            site.patch(&one, json!([{"op": "add", "path": "/properties/target_lun", "value": 1}])).await;
        let list = site.get(&format!("{}?detail=true", COLLECTIONS[1])).await;
        for answer in [made, patched, site.get(&one).await, list] {
            assert!(answer.status.is_success(), "{}", answer.text);
            assert!(!answer.text.contains("hunter2"), "{}", answer.text);
            assert_eq!(answer.text.contains("portal-1"), is_open, "{}", answer.text);
        }
        let uuid = one.rsplit('/').next().unwrap().parse().unwrap();
        let stored = site.db.get_volume_target(uuid, &Scope::All).await.unwrap().unwrap();
        assert_eq!(stored.properties.get_str("auth_password").as_deref(), Some("hunter2"));
        assert_eq!(stored.properties.get("target_lun"), Some(json!(1)));
    }
}
