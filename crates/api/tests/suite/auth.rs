//! Identity: who is let in, and where nobody is asked.

use std::sync::Arc;
use std::time::Duration;

use api::{Authenticator, HttpBasic};
use axum::body::Body;
use base64::Engine as _;
use http::Request;
use model::Secret;
use serde_json::json;

use crate::fixture::{Answer, Site, options};

/// The lowest cost that bcrypt knows: the tests are about who is let in, not about how slow it is.
const COST: u32 = 4;

async fn site() -> Site {
    let site =
        Site::with(options(), |db| Arc::new(HttpBasic::new(db.clone())) as Arc<dyn Authenticator>).await;
    let hash = bcrypt::hash("s3cret", COST).unwrap();
    site.db.put_user("admin", &Secret::new(hash)).await.unwrap();
    site
}

async fn get(site: &Site, path: &str, credentials: Option<&str>) -> Answer {
    let mut request = Request::builder().uri(path).header("x-openstack-ironic-api-version", "latest");
    if let Some(pair) = credentials {
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        request = request.header("authorization", format!("Basic {encoded}"));
    }
    site.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn only_the_right_password_is_let_in() {
    let site = site().await;
    assert_eq!(get(&site, "/v1/nodes", Some("admin:s3cret")).await.code(), 200);
    // The second time it is remembered, and a wrong one still is wrong.
    assert_eq!(get(&site, "/v1/nodes", Some("admin:s3cret")).await.code(), 200);
    for wrong in [None, Some("admin:wrong"), Some("nobody:s3cret"), Some("admin:"), Some("admin")] {
        let answer = get(&site, "/v1/nodes", wrong).await;
        assert_eq!(answer.code(), 401, "{wrong:?}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
        assert_eq!(answer.json()["error"]["code"], json!(401));
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn a_withdrawn_password_stops_working() {
    let site = site().await;
    assert_eq!(get(&site, "/v1/nodes", Some("admin:s3cret")).await.code(), 200);
    site.db.delete_user("admin").await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(get(&site, "/v1/nodes", Some("admin:s3cret")).await.code(), 401);
}

#[tokio::test]
async fn public_routes_ask_nobody() {
    let site = site().await;
    let node = site.node(|node| node.name = Some("Rack".to_owned())).await;
    *site.conductors.found.lock().unwrap() = Some(node.clone());
    for (path, status) in [
        ("/".to_owned(), 200),
        ("/v1".to_owned(), 200),
        ("/healthcheck".to_owned(), 200),
        (format!("/v1/lookup?node_uuid={}", node.uuid), 200),
        (format!("/v1/nodes/{}", node.uuid), 401),
        ("/v1/unknown".to_owned(), 401),
    ] {
        assert_eq!(get(&site, &path, None).await.code(), status, "{path}");
    }
    let heartbeat = json!({"callback_url": "https://192.0.2.1:9999", "agent_token": "t"});
    let path = format!("/v1/heartbeat/{}", node.uuid);
    assert_eq!(site.call("POST", &path, 115, heartbeat.clone()).await.code(), 202);
    assert_eq!(site.call("POST", "/v1/heartbeat/Rack", 115, heartbeat).await.code(), 401);
    let report =
        json!({"agent_token": "t", "command": "c", "phase": "p", "bytes_done": 1, "bytes_total": null});
    let path = format!("/v1/agent/{}/progress", node.uuid);
    assert_eq!(site.call("POST", &path, 1, report).await.code(), 204);
}
