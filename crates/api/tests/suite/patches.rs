//! Patches of nodes: what states and fields allow, and two writers at once.

use model::{Lease, ProvisionState, Timestamp};
use serde_json::{Value, json};

use crate::fixture::Site;

async fn patch(site: &Site, node: &model::Node, body: Value) -> (u16, Value) {
    let answer = site.patch(&format!("/v1/nodes/{}", node.uuid), body).await;
    (answer.code(), answer.json())
}

#[tokio::test]
async fn operations() {
    let site = Site::new().await;
    let node = site.node(|node| node.extra.set("a", json!({"b": [1]}))).await;
    let (status, after) = patch(
        &site,
        &node,
        json!([
            {"op": "add", "path": "/extra/a/b/-", "value": 2},
            {"op": "replace", "path": "/name", "value": "n-1"},
            {"op": "add", "path": "/driver_info/fake-hardware_address", "value": "192.0.2.1"},
            {"op": "replace", "path": "/maintenance", "value": "True"},
            {"op": "add", "path": "/instance_info/display_name", "value": "vm"},
        ]),
    )
    .await;
    assert_eq!(status, 200, "{after}");
    assert_eq!((&after["extra"], &after["name"]), (&json!({"a": {"b": [1, 2]}}), &json!("n-1")));
    assert_eq!((&after["maintenance"], &after["instance_name"]), (&json!(true), &json!("vm")));
    assert!(after["updated_at"].is_string());
    assert_eq!(patch(&site, &node, json!([])).await, (200, after.clone()));
    let removed = json!([{"op": "remove", "path": "/name"}, {"op": "remove", "path": "/extra/a"}]);
    let (status, after) = patch(&site, &node, removed).await;
    assert_eq!((status, &after["name"], &after["extra"]), (200, &Value::Null, &json!({})));
}

#[tokio::test]
async fn bad_patches_are_never_our_fault() {
    let site = Site::new().await;
    site.node(|node| node.name = Some("taken".to_owned())).await;
    let node = site.node(|_| ()).await;
    let op = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    for (body, status) in [
        (json!({}), 400),
        (json!("x"), 400),
        (json!([{"op": "replace", "path": "/extra"}]), 400),
        (op("test", "/extra/a", json!(1)), 400),
        (op("add", "/bogus", json!(1)), 400),
        (op("add", "/extra/a~1b", json!(1)), 400),
        (op("replace", "/uuid", json!("x")), 400),
        (op("replace", "/provision_state", json!("active")), 400),
        (op("replace", "/traits", json!([])), 400),
        (op("replace", "/driver", Value::Null), 400),
        (json!([{"op": "remove", "path": "/driver"}]), 400),
        (json!([{"op": "remove", "path": "/extra/none"}]), 400),
        (op("replace", "/driver", json!("none")), 400),
        (op("replace", "/power_interface", json!("none")), 400),
        (op("replace", "/name", json!("taken")), 409),
        (op("replace", "/protected_reason", json!("x")), 400),
        (op("replace", "/protected", json!(true)), 409),
        (op("replace", "/description", json!("x".repeat(4097))), 400),
        (op("replace", "/network_data", json!({"links": 5})), 400),
        (op("replace", "/parent_node", json!(node.uuid)), 400),
        (op("replace", "/chassis_uuid", json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")), 400),
        (op("replace", "/instance_uuid", json!("x")), 400),
    ] {
        let (got, answer) = patch(&site, &node, body.clone()).await;
        assert_eq!(got, status, "{body}: {answer}");
    }
    let old = site
        .call(
            "PATCH",
            &format!("/v1/nodes/{}", node.uuid),
            24,
            json!([{"op": "remove", "path": "/chassis_uuid"}]),
        )
        .await;
    assert_eq!(old.code(), 200, "nothing to remove");
}

#[tokio::test]
async fn drivers_and_interfaces() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = format!("/v1/nodes/{}", node.uuid);
    let driver = json!([{"op": "replace", "path": "/driver", "value": "ipmi"}]);
    assert_eq!(patch(&site, &node, driver.clone()).await.0, 400, "interfaces of the old driver stay");
    let reset = format!("{path}?reset_interfaces=true");
    assert_eq!(site.call("PATCH", &reset, 44, driver.clone()).await.code(), 406);
    let extra = json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    assert_eq!(site.patch(&reset, extra).await.code(), 400);
    let mixed = json!([
        {"op": "replace", "path": "/driver", "value": "ipmi"},
        {"op": "replace", "path": "/boot_interface", "value": "other"},
    ]);
    let after = site.patch(&reset, mixed).await.json();
    assert_eq!((&after["power_interface"], &after["boot_interface"]), (&json!("ipmitool"), &json!("other")));
    let (_, after) = patch(&site, &node, json!([{"op": "remove", "path": "/boot_interface"}])).await;
    assert_eq!(after["boot_interface"], "ipmitool");
    let console = site.node(|node| node.console_enabled = true).await;
    let reset = format!("/v1/nodes/{}?reset_interfaces=true", console.uuid);
    assert_eq!(site.patch(&reset, driver).await.code(), 409);
    let active = site.node_in(ProvisionState::Active).await;
    let power = json!([{"op": "replace", "path": "/power_interface", "value": "other"}]);
    assert_eq!(patch(&site, &active, power).await.0, 409);
}

#[tokio::test]
async fn busy_and_locked_nodes() {
    let site = Site::new().await;
    let extra = json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    let deploying = site.node(|node| {
        node.provision_state = ProvisionState::Deploying;
        node.target_provision_state = Some(ProvisionState::Active);
    });
    assert_eq!(patch(&site, &deploying.await, extra.clone()).await.0, 409);
    let inspecting = site.node_in(ProvisionState::Inspecting).await;
    let path = format!("/v1/nodes/{}", inspecting.uuid);
    assert_eq!(site.call("PATCH", &path, 39, extra.clone()).await.code(), 409);
    assert_eq!(site.call("PATCH", &path, 38, extra.clone()).await.code(), 200);
    let lease = |micros| Lease {
        holder: "conductor-1".to_owned(),
        expires_at: Timestamp::from_micros(Timestamp::now().as_micros() + micros),
        reason: "power".to_owned(),
    };
    let locked = site.node(|node| node.lease = Some(lease(60_000_000))).await;
    let (status, answer) = patch(&site, &locked, extra.clone()).await;
    assert_eq!((status, answer.to_string().contains("is locked by host")), (409, true));
    // A lock that goes away in time is waited for.
    let briefly = site.node(|node| node.lease = Some(lease(6_000))).await;
    assert_eq!(patch(&site, &briefly, extra).await.0, 200);
}

#[tokio::test]
async fn two_writers_lose_nothing() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let path = format!("/v1/nodes/{}", node.uuid);
    let writes = (0..12).map(|number| {
        let (site, path) = (&site, &path);
        async move {
            let body = json!([{"op": "add", "path": format!("/extra/k{number}"), "value": number}]);
            site.patch(path, body).await.code()
        }
    });
    assert_eq!(futures_util::future::join_all(writes).await, [200; 12]);
    let extra = site.get(&path).await.json()["extra"].as_object().unwrap().len();
    assert_eq!(extra, 12);
}

#[tokio::test]
async fn what_goes_with_what() {
    let site = Site::new().await;
    let active = site.node_in(ProvisionState::Active).await;
    let set = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
    let protect = json!([set("/protected", json!(true)), set("/protected_reason", json!("why"))]);
    assert_eq!(patch(&site, &active, protect).await.1["protected_reason"], "why");
    let (_, after) = patch(&site, &active, json!([set("/protected", json!(false))])).await;
    assert_eq!(after["protected_reason"], Value::Null);
    let broken = site.node(|node| {
        node.maintenance = true;
        node.maintenance_reason = Some("r".to_owned());
        node.fault = Some(model::Fault::Power);
    });
    let (_, after) = patch(&site, &broken.await, json!([set("/maintenance", json!(false))])).await;
    assert_eq!((&after["maintenance_reason"], &after["fault"]), (&Value::Null, &Value::Null));
    let (_, after) = patch(&site, &active, json!([set("/conductor_group", json!("Blue"))])).await;
    assert_eq!(after["conductor_group"], "blue");
    let first = json!([set("/instance_uuid", json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123"))]);
    assert_eq!(patch(&site, &active, first.clone()).await.0, 200);
    let other = json!([set("/instance_uuid", json!("2be26c0b-03f2-4d2e-ae87-c02d7f33c123"))]);
    assert_eq!(patch(&site, &active, other).await.0, 409);
    let second = site.node(|_| ()).await;
    assert_eq!(patch(&site, &second, first).await.0, 409, "one instance, one node");
    let named = site
        .call("PATCH", &format!("/v1/nodes/{}", second.uuid), 9, json!([set("/name", json!("a_b"))]))
        .await;
    assert_eq!(named.code(), 400, "a host name below 1.10");
}
