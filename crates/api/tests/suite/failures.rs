//! Bad input of every kind: always an answer in its envelope, never our fault.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::fixture::{Answer, NEWEST, Site, options};

async fn raw(site: &Site, method: &str, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-openstack-ironic-api-version", "latest")
        .header("content-type", "application/json");
    site.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn text_that_is_no_json() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    for (method, path) in [
        ("POST", "/v1/nodes".to_owned()),
        ("PATCH", format!("/v1/nodes/{}", node.uuid)),
        ("PUT", format!("/v1/nodes/{}/states/power", node.uuid)),
        ("PUT", format!("/v1/nodes/{}/states/provision", node.uuid)),
        ("PUT", format!("/v1/nodes/{}/states/boot_mode", node.uuid)),
        ("PUT", format!("/v1/nodes/{}/traits", node.uuid)),
        ("POST", format!("/v1/nodes/{}/vifs", node.uuid)),
        ("POST", "/v1/ports".to_owned()),
        ("POST", format!("/v1/heartbeat/{}", node.uuid)),
        ("POST", format!("/v1/agent/{}/progress", node.uuid)),
    ] {
        for text in ["{", "nul", "[1", "\u{0}", "{\"a\": }", "\"x\"", "5", "[[]]", "[5]", "{\"target\": []}"]
        {
            let answer = raw(&site, method, &path, text.to_owned()).await;
            assert_eq!(answer.code(), 400, "{method} {path} {text}: {}", answer.text);
            assert!(!answer.fault().is_empty());
        }
    }
}

#[tokio::test]
async fn bodies_that_are_too_much() {
    let site = Site::new().await;
    let node = site.node_in(model::ProvisionState::Available).await;
    let deep =
        format!("{{\"driver\": \"ipmi\", \"extra\": {{\"a\": {}{}}}}}", "[".repeat(30), "]".repeat(30));
    let answer = raw(&site, "POST", "/v1/nodes", deep).await;
    assert_eq!(answer.code(), 400);
    assert_eq!(answer.json()["faultcode"], "Client", "not in the envelope");
    let large = json!({"driver": "ipmi", "extra": {"a": "x".repeat(1 << 20)}}).to_string();
    let answer = raw(&site, "POST", "/v1/nodes", large).await;
    assert_eq!((answer.code(), answer.json()["faultcode"].as_str()), (413, Some("Client")));
    let drive = json!({"target": "active", "configdrive": "x".repeat(2 << 20)});
    let path = format!("/v1/nodes/{}/states/provision", node.uuid);
    assert_eq!(site.call("PUT", &path, NEWEST, drive).await.code(), 202, "a config drive may be larger");
}

#[tokio::test]
async fn errors_say_what_was_wrong_and_what_is_expected() {
    let site = Site::new().await;
    let answer = site.call("POST", "/v1/nodes", NEWEST, json!({"driver": "ipmi", "extra": []})).await;
    assert_eq!(answer.fault(), "/extra: expected an object, not a list");
    let answer = site.call("POST", "/v1/nodes", 20, json!({"driver": "ipmi", "resource_class": "a"})).await;
    assert_eq!((answer.code(), answer.fault().contains("1.21")), (406, true));
    let inner: Value = serde_json::from_str(answer.json()["error_message"].as_str().unwrap()).unwrap();
    assert_eq!((&inner["faultcode"], &inner["debuginfo"]), (&json!("Client"), &Value::Null));
}

#[tokio::test]
async fn arbitrary_requests_are_never_our_fault() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("n-1".to_owned())).await;
    let port = site.port(&node).await;
    let values =
        [json!(null), json!(true), json!(-1), json!(1.5), json!("x"), json!([1]), json!({"a": {"b": "c"}})];
    for field in api_types::NODE.fields {
        for value in &values {
            let body = json!({"driver": "ipmi", field.name: value});
            assert!(site.call("POST", "/v1/nodes", NEWEST, body.clone()).await.code() < 500, "{body}");
            for op in ["add", "replace", "remove"] {
                for path in [format!("/{}", field.name), format!("/{}/a/b", field.name)] {
                    let body = json!([{"op": op, "path": path, "value": value}]);
                    let answer = site.patch("/v1/nodes/n-1", body.clone()).await;
                    assert!(answer.code() < 500, "{body}: {}", answer.text);
                    if body[0]["path"] == "/name" && answer.code() == 200 {
                        let back = json!([{"op": "replace", "path": "/name", "value": "n-1"}]);
                        site.patch(&format!("/v1/nodes/{}", node.uuid), back).await;
                    }
                }
            }
        }
    }
    for field in api_types::PORT.fields {
        for value in &values {
            let body = json!([{"op": "replace", "path": format!("/{}", field.name), "value": value}]);
            let answer = site.patch(&format!("/v1/ports/{}", port.uuid), body.clone()).await;
            assert!(answer.code() < 500, "{body}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_request_is_given_up_at_its_deadline() {
    let mut hasty = options();
    hasty.request_deadline = Duration::from_millis(50);
    let site = Site::with(hasty, |_| std::sync::Arc::new(api::NoAuth)).await;
    let node = site.node(|_| ()).await;
    site.conductors.stalled.store(true, Ordering::Relaxed);
    let answer = site.get(&format!("/v1/nodes/{}/management/boot_device", node.uuid)).await;
    assert_eq!((answer.code(), answer.fault().contains("not done")), (503, true));
    assert!(answer.header("openstack-request-id").is_some());
}
