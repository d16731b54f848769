//! Chassis and the nodes in them.

use serde_json::{Value, json};

use crate::fixture::{NEWEST, Site};

async fn made(site: &Site, description: &str) -> String {
    let body = json!({"description": description, "extra": {"rack": 1}});
    let answer = site.call("POST", "/v1/chassis", NEWEST, body).await;
    assert_eq!(answer.code(), 201, "{}", answer.text);
    let uuid = answer.json()["uuid"].as_str().unwrap().to_owned();
    assert!(answer.header("location").unwrap().ends_with(&format!("/v1/chassis/{uuid}")));
    uuid
}

#[tokio::test]
async fn creation_patching_removal() {
    let site = Site::new().await;
    let uuid = made(&site, "first").await;
    let path = format!("/v1/chassis/{uuid}");
    let one = site.get(&path).await.json();
    assert_eq!((&one["description"], &one["extra"]), (&json!("first"), &json!({"rack": 1})));
    let link = format!("http://api.test:6385/v1/chassis/{uuid}/nodes");
    assert_eq!(one["nodes"][0][0], json!({"href": link, "rel": "self"}));
    let patch = |body: Value| json!([body]);
    for (body, status) in [
        (patch(json!({"op": "replace", "path": "/description", "value": "second"})), 200),
        (patch(json!({"op": "remove", "path": "/extra/rack"})), 200),
        (patch(json!({"op": "replace", "path": "/uuid", "value": uuid})), 400),
        (patch(json!({"op": "replace", "path": "/description", "value": "x".repeat(256)})), 400),
        (json!([]), 200),
    ] {
        assert_eq!(site.patch(&path, body.clone()).await.code(), status, "{body}");
    }
    let after = site.get(&path).await.json();
    assert_eq!((&after["description"], &after["extra"]), (&json!("second"), &json!({})));
    assert!(after["updated_at"].is_string());
    assert_eq!(site.call("POST", "/v1/chassis", NEWEST, Value::Null).await.code(), 201, "of nothing at all");
    for (body, status) in [(json!({"uuid": uuid}), 409), (json!({"bogus": 1}), 400), (json!([]), 400)] {
        assert_eq!(site.call("POST", "/v1/chassis", NEWEST, body.clone()).await.code(), status, "{body}");
    }
    assert_eq!(site.get("/v1/chassis/a-name").await.code(), 400);
    assert_eq!(site.get(&format!("/v1/chassis/{}", uuid.to_uppercase())).await.code(), 404);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 204);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 404);
    assert_eq!(site.patch(&path, json!([])).await.code(), 404);
}

#[tokio::test]
async fn lists() {
    let site = Site::new().await;
    let uuids = [made(&site, "b").await, made(&site, "a").await, made(&site, "c").await];
    let page = site.get("/v1/chassis?limit=2&sort_key=description").await.json();
    let shown: Vec<&Value> =
        page["chassis"].as_array().unwrap().iter().map(|chassis| &chassis["uuid"]).collect();
    assert_eq!(shown, [&json!(uuids[1]), &json!(uuids[0])]);
    assert!(page["chassis"][0].get("extra").is_none());
    let next = page["next"].as_str().unwrap().strip_prefix("http://api.test:6385").unwrap().to_owned();
    assert_eq!(site.get(&next).await.json()["chassis"][0]["uuid"], json!(uuids[2]));
    assert!(site.get("/v1/chassis/detail").await.json()["chassis"][0].get("extra").is_some());
    for (query, minor, status) in [
        ("detail=true", 42, 400),
        ("detail=true", 43, 200),
        ("fields=uuid", 7, 406),
        ("fields=uuid", 8, 200),
        ("sort_key=extra", NEWEST, 400),
        ("bogus=1", NEWEST, 400),
    ] {
        let answer = site.call("GET", &format!("/v1/chassis?{query}"), minor, Value::Null).await;
        assert_eq!(answer.code(), status, "{query}");
    }
    assert_eq!(site.get("/v1").await.json()["chassis"][0]["href"], "http://api.test:6385/v1/chassis/");
}

#[tokio::test]
async fn nodes_stand_in_chassis() {
    let site = Site::new().await;
    let uuid = made(&site, "first").await;
    let path = format!("/v1/chassis/{uuid}");
    let node = site.node(|_| ()).await;
    site.node(|_| ()).await;
    let url = format!("/v1/nodes/{}", node.uuid);
    let set = |uuid: &str| json!([{"op": "replace", "path": "/chassis_uuid", "value": uuid}]);
    assert_eq!(site.patch(&url, set("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")).await.code(), 400);
    assert_eq!(site.patch(&url, set(&uuid)).await.json()["chassis_uuid"], json!(uuid));
    for list in ["nodes", "nodes/detail", "nodes?driver=fake-hardware"] {
        let body = site.get(&format!("{path}/{list}")).await.json();
        assert_eq!(body["nodes"].as_array().map(Vec::len), Some(1), "{list}");
        assert_eq!(body["nodes"][0]["uuid"], json!(node.uuid));
    }
    let unknown = "/v1/chassis/1be26c0b-03f2-4d2e-ae87-c02d7f33c123/nodes";
    assert_eq!(site.get(unknown).await.code(), 404);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 400);
    let remove = || json!([{"op": "remove", "path": "/chassis_uuid"}]);
    assert_eq!(site.call("PATCH", &url, 24, remove()).await.code(), 406);
    assert_eq!(site.call("PATCH", &url, 25, remove()).await.code(), 200);
    assert_eq!(site.call("DELETE", &path, NEWEST, Value::Null).await.code(), 204);
    let body = json!({"driver": "fake-hardware", "chassis_uuid": uuid});
    assert_eq!(site.call("POST", "/v1/nodes", NEWEST, body).await.code(), 400);
}
