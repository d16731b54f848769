//! Secrets never leave.

use model::{Lease, Timestamp};
use serde_json::json;

use crate::fixture::Site;

#[tokio::test]
async fn no_reply_holds_a_secret() {
    let site = Site::new().await;
    let node = site
        .node(|node| {
            node.driver_info.set("ipmi_password", json!("hunter2"));
            node.driver_info.set("nested", json!({"redfish_password": "hunter2"}));
            node.driver_internal_info.set("agent_secret_token", json!("hunter2"));
            node.instance_info.set("configdrive", json!("hunter2"));
            node.instance_info.set("image_url", json!("http://hunter2"));
            node.instance_info.set("image_source", json!("http://images/a"));
        })
        .await;
    *site.conductors.found.lock().unwrap() = Some(node.clone());
    for path in [
        format!("/v1/nodes/{}", node.uuid),
        format!("/v1/nodes/{}?fields=driver_info,instance_info,driver_internal_info", node.uuid),
        "/v1/nodes/detail".to_owned(),
        "/v1/nodes?detail=true".to_owned(),
        format!("/v1/lookup?node_uuid={}", node.uuid),
    ] {
        let answer = site.get(&path).await;
        assert_eq!(answer.code(), 200);
        assert!(
            !answer.text.contains("hunter2") && answer.text.contains("******"),
            "{path}: {}",
            answer.text
        );
    }
    let patch = json!([{"op": "add", "path": "/driver_info/ipmi_address", "value": "192.0.2.7"}]);
    let patched = site.patch(&format!("/v1/nodes/{}", node.uuid), patch).await;
    assert!(!patched.text.contains("hunter2"), "{}", patched.text);
    // The stored password is still the password, not its mask.
    let stored = site.db.get_node(&db::NodeKey::Uuid(node.uuid), &db::Scope::All).await.unwrap().unwrap();
    assert_eq!(stored.driver_info.get_str("ipmi_password").as_deref(), Some("hunter2"));
    assert_eq!(stored.driver_info.get_str("ipmi_address").as_deref(), Some("192.0.2.7"));
}

#[tokio::test]
async fn refusals_do_not_repeat_what_was_sent() {
    let site = Site::new().await;
    let body = json!({"driver": "fake-hardware", "driver_info": "ipmi_password=hunter2"});
    let answer = site.call("POST", "/v1/nodes", 115, body).await;
    assert_eq!((answer.code(), answer.text.contains("hunter2")), (400, false));
}

#[tokio::test]
async fn the_reservation_is_the_holder_of_a_live_lease() {
    let site = Site::new().await;
    let now = Timestamp::now().as_micros();
    let lease = |until| Lease {
        holder: "conductor-1".to_owned(),
        expires_at: Timestamp::from_micros(until),
        reason: "power".to_owned(),
    };
    let live = site.node(|node| node.lease = Some(lease(now + 60_000_000))).await;
    let dead = site.node(|node| node.lease = Some(lease(now - 1))).await;
    let reservation = async |uuid| site.get(&format!("/v1/nodes/{uuid}")).await.json()["reservation"].clone();
    assert_eq!(reservation(live.uuid).await, json!("conductor-1"));
    assert_eq!(reservation(dead.uuid).await, json!(null));
}
