//! Portgroups: creation, lists, patching, removal, and the ports in them.

use model::{Node, Port, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site, address};
use crate::parts;

fn set(path: &str, value: impl serde::Serialize) -> Value {
    json!([{"op": "replace", "path": path, "value": value}])
}

async fn bond(site: &Site, node: &Node) -> (String, String) {
    let path = parts::stored(site, "/v1/portgroups", node).await;
    let uuid = path.rsplit('/').next().unwrap().to_owned();
    (path, uuid)
}

#[tokio::test]
async fn creation() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let mac = address().to_string();
    let body = json!({"node_uuid": node.uuid, "address": mac.to_uppercase(), "name": "bond-1", "mode": null,
        "properties": {"miimon": "100"}});
    let answer = site.call("POST", "/v1/portgroups", NEWEST, body).await;
    assert_eq!(answer.code(), 201, "{}", answer.text);
    let made = answer.json();
    assert_eq!((&made["address"], &made["node_uuid"]), (&json!(mac), &json!(node.uuid)));
    assert_eq!((&made["mode"], &made["standalone_ports_supported"]), (&json!("active-backup"), &json!(true)));
    assert!(made["ports"][0]["href"].as_str().unwrap().ends_with("/ports"));
    assert!(answer.header("location").unwrap().ends_with(made["uuid"].as_str().unwrap()));
    assert_eq!(site.get("/v1/portgroups/bond-1").await.json(), made);
    let uuid = made["uuid"].as_str().unwrap();
    assert_eq!(site.get(&format!("/v1/portgroups/{}", uuid.to_uppercase())).await.code(), 404);
    assert_eq!(site.get("/v1/portgroups/a%20b").await.code(), 400);
    assert_eq!(site.get("/v1/portgroups/none").await.code(), 404);
    let with = |key: &str, value: Value| {
        let mut body = json!({"node_uuid": node.uuid});
        body[key] = value;
        body
    };
    for (body, status) in [
        (json!({}), 400),
        (json!({"node_uuid": "n-1"}), 400),
        (json!({"node_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}), 400),
        (with("address", json!(mac)), 409),
        (with("address", json!("x")), 400),
        (with("name", json!("bond-1")), 409),
        (with("name", json!("a b")), 400),
        (with("uuid", json!(uuid)), 409),
        (with("category", json!("x".repeat(81))), 400),
        (with("physical_network", json!("x".repeat(65))), 400),
        (with("internal_info", json!({})), 400),
        (with("dynamic_portgroup", json!(true)), 400),
        (with("bogus", json!(1)), 400),
    ] {
        let answer = site.call("POST", "/v1/portgroups", NEWEST, body.clone()).await;
        assert_eq!(answer.code(), status, "{body}: {}", answer.text);
    }
}

#[tokio::test]
async fn lists() {
    let site = Site::new().await;
    let node = site.node(|node| {
        node.name = Some("n-1".to_owned());
        node.shard = Some("a".to_owned());
        node.conductor_group = "blue".to_owned();
    });
    let (node, other) = (node.await, site.node(|_| ()).await);
    let body = json!({"node_uuid": node.uuid, "address": "52:54:00:aa:00:01"});
    assert_eq!(site.call("POST", "/v1/portgroups", NEWEST, body).await.code(), 201);
    let (_, second) = bond(&site, &node).await;
    bond(&site, &other).await;
    for (query, count) in [
        ("/v1/portgroups", 3),
        ("/v1/portgroups?limit=2", 2),
        ("/v1/portgroups?node=n-1", 2),
        ("/v1/portgroups?address=52:54:00:AA:00:01", 1),
        ("/v1/portgroups?shard=a,b", 2),
        ("/v1/portgroups?conductor_groups=Blue", 2),
        ("/v1/portgroups/detail", 3),
        ("/v1/nodes/n-1/portgroups", 2),
        ("/v1/nodes/n-1/portgroups/detail?sort_key=mode", 2),
    ] {
        let body = site.get(query).await.json();
        assert_eq!(body["portgroups"].as_array().map(Vec::len), Some(count), "{query}");
        let is_long = query.contains("detail");
        assert_eq!(body["portgroups"][0].get("extra").is_some(), is_long, "{query}");
        assert_eq!(body.get("next").is_some(), query.contains("limit"), "{query}");
    }
    let next = site.get("/v1/portgroups?limit=2").await.json()["next"].as_str().unwrap().to_owned();
    assert!(next.contains(&format!("marker={second}")), "{next}");
    for (query, status) in [
        ("node=n-1&shard=a", 400),
        ("address=52:54:00:aa:00:01&conductor_groups=x", 400),
        ("node=none", 404),
        ("address=x", 400),
        ("sort_key=properties", 400),
        ("bogus=1", 400),
    ] {
        assert_eq!(site.get(&format!("/v1/portgroups?{query}")).await.code(), status, "{query}");
    }
    let old = async |query: &str, minor| {
        site.call("GET", &format!("/v1/portgroups?{query}"), minor, Value::Null).await.code()
    };
    assert_eq!((old("shard=a", 105).await, old("shard=a", 106).await), (406, 200));
    assert_eq!((old("detail=1", 42).await, old("detail=1", 43).await), (400, 200));
    assert_eq!((old("sort_key=mode", 25).await, old("sort_key=mode", 26).await), (406, 200));
    assert_eq!(site.get("/v1/nodes/n-1/portgroups?node=n-1").await.code(), 400);
}

#[tokio::test]
async fn patching_follows_the_node() {
    let site = Site::new().await;
    let other = site.node(|_| ()).await;
    let foreign = site.node(|node| node.owner = Some("o".to_owned())).await;
    let moved = || set("/node_uuid", json!(other.uuid));
    for (state, maintenance, minor, body, status) in [
        (ProvisionState::Active, false, 115, set("/extra", json!({"a": 1})), 200),
        (ProvisionState::Inspecting, false, 115, set("/extra", json!({"a": 1})), 409),
        (ProvisionState::Inspecting, false, 38, set("/extra", json!({"a": 1})), 200),
        (ProvisionState::Enroll, false, 115, moved(), 200),
        (ProvisionState::Available, false, 115, moved(), 409),
        (ProvisionState::Available, true, 115, moved(), 200),
        (ProvisionState::Enroll, false, 115, set("/node_uuid", json!(foreign.uuid)), 400),
        (ProvisionState::Enroll, false, 115, json!([{"op": "remove", "path": "/mode"}]), 400),
        (ProvisionState::Enroll, false, 115, json!([{"op": "remove", "path": "/node_uuid"}]), 400),
        (ProvisionState::Enroll, false, 115, json!([{"op": "remove", "path": "/address"}]), 200),
        (ProvisionState::Enroll, false, 115, set("/mode", json!("802.3ad")), 200),
        (ProvisionState::Enroll, false, 115, json!([]), 200),
    ] {
        let node = site.node(|node| {
            node.provision_state = state;
            node.maintenance = maintenance;
        });
        let (path, _) = bond(&site, &node.await).await;
        let answer = site.call("PATCH", &path, minor, body.clone()).await;
        assert_eq!(answer.code(), status, "{state} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn ports_join_and_leave() {
    let site = Site::new().await;
    let (node, other) = (site.node(|_| ()).await, site.node(|_| ()).await);
    let (path, uuid) = bond(&site, &node).await;
    let (elsewhere, foreign) = bond(&site, &other).await;
    let port = site.port(&node).await;
    let port = format!("/v1/ports/{}", port.uuid);
    assert_eq!(site.patch(&port, set("/portgroup_uuid", json!(foreign))).await.code(), 400);
    let joined = site.patch(&port, set("/portgroup_uuid", json!(uuid))).await;
    assert_eq!(joined.json()["portgroup_uuid"], json!(uuid));
    for list in
        [format!("/v1/ports?portgroup={uuid}"), format!("{path}/ports"), format!("{path}/ports/detail")]
    {
        assert_eq!(site.get(&list).await.json()["ports"].as_array().map(Vec::len), Some(1), "{list}");
    }
    assert_eq!(site.get(&format!("{elsewhere}/ports")).await.json(), json!({"ports": []}));
    assert_eq!(site.get(&format!("{path}/ports?node={}", node.uuid)).await.code(), 403);
    assert_eq!(site.get("/v1/ports?portgroup=none").await.code(), 404);

    // The physical network is that of the portgroup from 1.102 on.
    let network = |name: &str| set("/physical_network", json!(name));
    assert_eq!(site.patch(&path, network("one")).await.code(), 200);
    assert_eq!(site.get(&port).await.json()["physical_network"], json!("one"));
    assert_eq!(site.patch(&port, network("two")).await.code(), 400);
    assert_eq!(site.call("PATCH", &port, 101, network("two")).await.code(), 200);
    let mut body = json!({"node_uuid": node.uuid, "address": address().to_string(), "portgroup_uuid": uuid});
    assert_eq!(site.call("POST", "/v1/ports", NEWEST, body.clone()).await.code(), 409);
    body["physical_network"] = json!("two");
    assert_eq!(site.call("POST", "/v1/ports", NEWEST, body.clone()).await.code(), 201);

    // A new port that is to boot the machine is used alone.
    assert_eq!(site.patch(&path, set("/standalone_ports_supported", json!(false))).await.code(), 200);
    for (boots, status) in [(Some(true), 409), (Some(false), 201), (None, 201)] {
        body["address"] = json!(address().to_string());
        match boots {
            Some(boots) => body["pxe_enabled"] = json!(boots),
            None => drop(body.as_object_mut().unwrap().remove("pxe_enabled")),
        }
        let answer = site.call("POST", "/v1/ports", NEWEST, body.clone()).await;
        assert_eq!(answer.code(), status, "{boots:?}: {}", answer.text);
    }

    assert_eq!(site.patch(&path, set("/node_uuid", json!(other.uuid))).await.code(), 400);
    assert_eq!(site.patch(&port, set("/node_uuid", json!(other.uuid))).await.code(), 400);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 400);
    for member in site.get(&format!("{path}/ports")).await.json()["ports"].as_array().unwrap() {
        let member = format!("/v1/ports/{}", member["uuid"].as_str().unwrap());
        let left = site.patch(&member, json!([{"op": "remove", "path": "/portgroup_uuid"}])).await;
        assert_eq!(left.json()["portgroup_uuid"], Value::Null);
    }
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 204);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 404);
}

#[tokio::test]
async fn membership_is_wiring() {
    let site = Site::new().await;
    let node = site.node_in(ProvisionState::Available).await;
    let (_, uuid) = bond(&site, &node).await;
    let port = Port::new(node.uuid, address(), Timestamp::now());
    let port = site.db.create_port(port).await.unwrap();
    let answer = site.patch(&format!("/v1/ports/{}", port.uuid), set("/portgroup_uuid", json!(uuid))).await;
    assert_eq!(answer.code(), 409, "{}", answer.text);
}
