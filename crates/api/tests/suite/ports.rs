//! Ports: creation, patching, removal.

use model::{Lease, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site, address};

#[tokio::test]
async fn creation() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("n-1".to_owned())).await;
    let mac = address().to_string();
    let body = json!({"node_ident": "n-1", "address": mac.to_uppercase(), "name": "p-1", "extra": {"a": 1},
        "local_link_connection": {"port_id": "Eth1", "switch_id": "52:54:00:00:00:01"}});
    let answer = site.call("POST", "/v1/ports", NEWEST, body).await;
    assert_eq!(answer.code(), 201, "{}", answer.text);
    let port = answer.json();
    assert_eq!((&port["address"], &port["node_uuid"]), (&json!(mac), &json!(node.uuid)));
    assert_eq!((&port["pxe_enabled"], &port["is_smartnic"]), (&json!(true), &json!(false)));
    assert!(answer.header("location").unwrap().ends_with(port["uuid"].as_str().unwrap()));
    assert_eq!(site.get("/v1/ports/p-1").await.json(), port);
    assert_eq!(site.call("GET", "/v1/ports/p-1", 87, Value::Null).await.code(), 404);
    assert_eq!(site.get(&format!("/v1/ports/{mac}")).await.code(), 400);
    let with = |key: &str, value: Value| {
        let mut body = json!({"node_uuid": node.uuid, "address": address().to_string()});
        body[key] = value;
        body
    };
    for (body, minor, status) in [
        (json!({"node_uuid": node.uuid}), 115, 400),
        (json!({"address": address().to_string()}), 115, 400),
        (with("node_ident", json!("n-1")), 115, 400),
        (json!({"node_ident": "n-1", "address": address().to_string()}), 93, 406),
        (with("node_uuid", json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")), 115, 400),
        (with("node_uuid", json!("n-1")), 115, 400),
        (with("address", json!(mac)), 115, 409),
        (with("address", json!("x")), 115, 400),
        (with("address", json!(null)), 115, 400),
        (with("name", json!("p-1")), 115, 409),
        (with("name", json!("a b")), 115, 201),
        (with("name", json!("x".repeat(256))), 115, 400),
        (with("physical_network", json!("")), 115, 400),
        (with("physical_network", json!("x".repeat(65))), 115, 400),
        (with("is_smartnic", json!(true)), 115, 400),
        (with("local_link_connection", json!({"port_id": "x"})), 115, 400),
        (with("local_link_connection", json!({"network_type": "unmanaged"})), 63, 406),
        (with("portgroup_uuid", json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")), 115, 400),
        (with("internal_info", json!({})), 115, 400),
        (with("bogus", json!(1)), 115, 400),
    ] {
        let answer = site.call("POST", "/v1/ports", minor, body.clone()).await;
        assert_eq!(answer.code(), status, "1.{minor} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn patching_follows_the_node() {
    let site = Site::new().await;
    let set = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    let at = async |state: ProvisionState, maintenance: bool, minor: u16, body: Value| {
        let node = site.node(|node| {
            node.provision_state = state;
            node.maintenance = maintenance;
        });
        let port = site.port(&node.await).await;
        site.call("PATCH", &format!("/v1/ports/{}", port.uuid), minor, body).await.code()
    };
    for (state, maintenance, minor, body, status) in [
        (ProvisionState::Enroll, false, 115, set("/pxe_enabled", json!(false)), 200),
        (ProvisionState::Available, false, 115, set("/pxe_enabled", json!(false)), 409),
        (ProvisionState::Available, false, 115, set("/pxe_enabled", json!(true)), 200),
        (ProvisionState::Available, true, 115, set("/pxe_enabled", json!(false)), 200),
        (ProvisionState::Available, false, 115, set("/physical_network", json!("net")), 409),
        (ProvisionState::Active, false, 115, set("/extra", json!({"a": 1})), 200),
        (ProvisionState::Active, false, 115, set("/address", json!(address().to_string())), 409),
        (ProvisionState::Active, true, 115, set("/address", json!(address().to_string())), 200),
        (ProvisionState::Inspecting, false, 115, set("/extra", json!({"a": 1})), 409),
        (ProvisionState::Inspecting, false, 38, set("/extra", json!({"a": 1})), 200),
        (ProvisionState::Enroll, false, 115, set("/uuid", json!("x")), 400),
        (ProvisionState::Enroll, false, 115, json!([{"op": "remove", "path": "/address"}]), 400),
        (
            ProvisionState::Enroll,
            false,
            115,
            set("/node_uuid", json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")),
            400,
        ),
        (ProvisionState::Enroll, false, 115, json!([]), 200),
    ] {
        assert_eq!(at(state, maintenance, minor, body.clone()).await, status, "{state} {body}");
    }
}

#[tokio::test]
async fn ports_move_and_go() {
    let site = Site::new().await;
    let (from, to) = (site.node(|_| ()).await, site.node(|_| ()).await);
    let port = site.port(&from).await;
    let path = format!("/v1/ports/{}", port.uuid);
    let moved = site.patch(&path, json!([{"op": "replace", "path": "/node_uuid", "value": to.uuid}])).await;
    assert_eq!(moved.json()["node_uuid"], json!(to.uuid));
    let foreign = site.node(|node| node.owner = Some("o".to_owned())).await;
    let refused =
        site.patch(&path, json!([{"op": "replace", "path": "/node_uuid", "value": foreign.uuid}])).await;
    assert_eq!(refused.code(), 400);
    assert_eq!(site.call("DELETE", "/v1/ports/p-1", NEWEST, Value::Null).await.code(), 400);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 204);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 404);
    for (method, rest) in [("GET", "/x"), ("PATCH", "/x"), ("DELETE", "/x"), ("POST", "")] {
        let path = format!("/v1/nodes/{}/ports{rest}", from.uuid);
        assert_eq!(site.call(method, &path, NEWEST, json!([])).await.code(), 400, "{method}");
    }
    let locked = site
        .node(|node| {
            node.lease = Some(Lease {
                holder: "conductor-1".to_owned(),
                expires_at: Timestamp::from_micros(Timestamp::now().as_micros() + 60_000_000),
                reason: "power".to_owned(),
            });
        })
        .await;
    let port = site.port(&locked).await;
    let path = format!("/v1/ports/{}", port.uuid);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 409);
    let extra = json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    assert_eq!(site.patch(&path, extra).await.code(), 409);
    let body = json!({"node_uuid": locked.uuid, "address": address().to_string()});
    assert_eq!(site.call("POST", "/v1/ports", NEWEST, body).await.code(), 409);
}

#[tokio::test]
async fn a_port_in_use_stays() {
    let site = Site::new().await;
    let node = site.node_in(ProvisionState::Active).await;
    let mut port = model::Port::new(node.uuid, address(), Timestamp::now());
    port.internal_info.set("tenant_vif_port_id", json!("vif-1"));
    let port = site.db.create_port(port).await.unwrap();
    assert_eq!(
        site.call("DELETE", &format!("/v1/ports/{}", port.uuid), NEWEST, Value::Null).await.code(),
        409
    );
}
