//! Negotiation, discovery, paths, and the headers of every answer.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::fixture::{Answer, NEWEST, Site, options};

const VERSION: &str = "x-openstack-ironic-api-version";
const MIN: &str = "x-openstack-ironic-api-minimum-version";
const MAX: &str = "x-openstack-ironic-api-maximum-version";

async fn with_headers(site: &Site, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().uri(path).header("host", "api.test:6385");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn headers_of_every_answer() {
    let site = Site::new().await;
    for (path, status) in [
        ("/", 200),
        ("/v1", 200),
        ("/v1/nodes", 200),
        ("/v1/nodes/x", 404),
        ("/v1/conductors/x", 404),
        ("/v1/none", 404),
        ("/v1/nodes/x/vifs", 404),
    ] {
        let answer = with_headers(&site, path, &[]).await;
        assert_eq!(answer.code(), status, "{path}");
        // What routing refuses knows no version, and says so in another shape.
        let is_lost = path.ends_with("/none") || path.ends_with("/vifs");
        let versions = (answer.header(MIN), answer.header(MAX), answer.header(VERSION));
        let known = (Some("1.1"), Some("1.115"), Some("1.1"));
        assert_eq!(versions, if is_lost { (None, None, None) } else { known }, "{path}");
        assert_eq!(answer.text.contains("faultstring"), status == 404 && !is_lost, "{path}");
        let id = answer.header("openstack-request-id").unwrap();
        assert!(id.starts_with("req-") && id.len() == 40, "{id}");
        assert_eq!(answer.header("x-openstack-request-id"), Some(id));
    }
}

#[tokio::test]
async fn negotiation() {
    let site = Site::new().await;
    let used = async |name, value| {
        let answer = with_headers(&site, "/v1/nodes", &[(name, value)]).await;
        (answer.code(), answer.header(VERSION).map(str::to_owned), answer.header(MAX).map(str::to_owned))
    };
    let max = || Some("1.115".to_owned());
    assert_eq!(used(VERSION, "1.50").await, (200, Some("1.50".to_owned()), max()));
    assert_eq!(used(VERSION, "latest").await, (200, max(), max()));
    assert_eq!(used("openstack-api-version", "baremetal 1.50").await, (200, Some("1.50".to_owned()), max()));
    assert_eq!(used(VERSION, "").await, (200, Some("1.1".to_owned()), max()));
    assert_eq!(used(VERSION, "1.116").await, (406, None, max()));
    assert_eq!(used(VERSION, "2.1").await, (406, None, max()));
    assert_eq!(used(VERSION, "-1.2").await, (406, None, max()));
    assert_eq!(used(VERSION, "baremetal 1.5").await, (406, None, None));
    let answer = with_headers(&site, "/v1/nodes", &[(VERSION, "1.999")]).await;
    assert!(answer.fault().contains("1.1 to 1.115"), "{}", answer.fault());
    assert_eq!(with_headers(&site, "/v1/nodes", &[("accept", "text/html")]).await.code(), 406);
    assert_eq!(with_headers(&site, "/v1/nodes", &[("accept", "text/html, */*;q=0.1")]).await.code(), 200);
}

#[tokio::test]
async fn what_is_asked_of_the_wrong_path() {
    let site = Site::new().await;
    site.node(|node| node.name = Some("here".to_owned())).await;
    // Whether the answer is in the manner of handlers, which know the version; then the methods that are named.
    for (method, path, status, by_handler, allow) in [
        ("PATCH", "/v1/nodes", 400, true, None),
        ("DELETE", "/v1/allocations", 400, true, None),
        ("DELETE", "/v1/nodes/here/vifs", 400, true, None),
        ("POST", "/v1/nodes/here", 400, true, None),
        ("POST", "/v1/nodes/here/portgroups", 400, true, None),
        ("PUT", "/v1/nodes", 405, false, Some("GET,HEAD,POST")),
        ("PUT", "/v1/nodes/here/states", 405, false, Some("GET,HEAD")),
        ("GET", "/v1/nodes/here/nothing", 404, true, None),
        ("GET", "/v1/shards/a", 404, true, None),
        ("GET", "/v1/nothing/a", 404, false, None),
        ("PUT", "/v1/nodes/here/nothing", 404, false, None),
    ] {
        let answer = site.call(method, path, NEWEST, Value::Null).await;
        assert_eq!(answer.code(), status, "{method} {path}");
        assert_eq!(answer.text.contains("faultstring"), by_handler, "{method} {path}");
        assert_eq!(answer.header(VERSION).is_some(), by_handler, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for path in ["/v1/nodes", "/v1/nothing"] {
        let answer = site.call("OPTIONS", path, NEWEST, Value::Null).await;
        assert_eq!((answer.code(), answer.text.as_str()), (200, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn the_group_that_nodes_have_anyway_needs_no_version() {
    let site = Site::new().await;
    for (group, minor, status) in [("", 45, 201), ("rack", 45, 406), ("rack", 46, 201)] {
        let body = json!({"driver": "fake-hardware", "conductor_group": group});
        assert_eq!(site.call("POST", "/v1/nodes", minor, body).await.code(), status, "{group} {minor}");
    }
}

#[tokio::test]
async fn a_pinned_site_offers_less() {
    let mut pinned = options();
    pinned.max_version = microversion::Version::new(50).unwrap();
    let site = Site::with(pinned, |_| std::sync::Arc::new(api::NoAuth)).await;
    assert_eq!(with_headers(&site, "/v1/nodes", &[(VERSION, "1.51")]).await.code(), 406);
    let root = with_headers(&site, "/", &[(VERSION, "latest")]).await;
    assert_eq!(root.json()["default_version"]["version"], "1.50");
    assert_eq!(root.header(VERSION), Some("1.50"));
}

#[tokio::test]
async fn discovery() {
    let site = Site::new().await;
    let root = site.get("/").await.json();
    assert_eq!(root["default_version"]["id"], "v1");
    assert_eq!(
        (&root["versions"][0]["min_version"], &root["versions"][0]["version"]),
        (&json!("1.1"), &json!("1.115"))
    );
    assert_eq!(root["default_version"]["links"][0]["href"], "http://api.test:6385/v1/");
    let v1 = site.call("GET", "/v1/", 48, Value::Null).await.json();
    assert_eq!(v1["nodes"][0]["href"], "http://api.test:6385/v1/nodes/");
    assert!(v1.get("conductors").is_none());
    assert!(site.get("/v1").await.json().get("conductors").is_some());
    assert_eq!(site.call("POST", "/v1", NEWEST, json!({})).await.code(), 405);
}

#[tokio::test]
async fn paths() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("rack.json".to_owned())).await;
    for path in ["/v1/nodes", "/v1/nodes/", "/nodes", "/nodes/"] {
        assert_eq!(site.get(path).await.json()["nodes"][0]["uuid"], json!(node.uuid), "{path}");
    }
    let at = async |path: &str, minor| site.call("GET", path, minor, Value::Null).await.code();
    assert_eq!(at(&format!("/v1/nodes/{}.json", node.uuid), 90).await, 200);
    assert_eq!(at(&format!("/v1/nodes/{}.json", node.uuid), 91).await, 404);
    assert_eq!(at("/v1/nodes/rack.json", 91).await, 200);
    assert_eq!(at("/v1/nodes/rack.json", 90).await, 404);
    assert_eq!(with_headers(&site, &format!("/v1/nodes/{}.json", node.uuid), &[]).await.code(), 404);
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let site = Site::new().await;
    let answer = site.call("PUT", "/v1/nodes", NEWEST, json!({})).await;
    assert_eq!(answer.code(), 405);
    let allow: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
    assert!(allow.contains(&"GET") && allow.contains(&"POST"), "{allow:?}");
    let inner: Value = serde_json::from_str(answer.json()["error_message"].as_str().unwrap()).unwrap();
    assert_eq!((&inner["code"], &inner["title"]), (&json!(405), &json!("Method Not Allowed")));
    let missing = site.get("/v1/bogus").await;
    let inner: Value = serde_json::from_str(missing.json()["error_message"].as_str().unwrap()).unwrap();
    assert_eq!((missing.code(), &inner["code"]), (404, &json!(404)));
    assert_eq!(site.get("/v1/nodes/%ff").await.code(), 400);
    let head = site.call("HEAD", "/v1/nodes", NEWEST, Value::Null).await;
    assert_eq!((head.code(), head.text.as_str()), (200, ""));
}
