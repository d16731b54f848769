//! Nodes and ports as replies show them: versions, selections, masks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use api_types::{BodyError, Context, NODE, PORT, Selection, Shape, Shown, Writer, create, write_node_states};
use microversion::Version;
use model::{Lease, MacAddr, Node, Port, ProvisionState, Timestamp};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn version(minor: u16) -> Version {
    Version::new(minor).unwrap()
}

fn with_context<R>(minor: u16, f: impl FnOnce(&Context<'_>) -> R) -> R {
    let conductor = |_: &Node| Some("host-1".to_owned());
    f(&Context {
        base: "http://api:6385",
        version: version(minor),
        now: NOW,
        reveal: false,
        shown: &Shown::default(),
        conductor_of: &conductor,
        alive_since: NOW,
    })
}

fn shown(node: &Node, shape: &Shape, minor: u16) -> Value {
    with_context(minor, |cx| {
        let mut out = Writer::default();
        Selection::new(&NODE, shape, cx.version).unwrap().write(node, cx, &mut out);
        serde_json::from_slice(out.as_bytes()).unwrap()
    })
}

#[test]
fn every_version_shows_exactly_its_fields() {
    let node = Node::new("ipmi", NOW);
    for minor in 1..=115 {
        let keys: Vec<String> =
            shown(&node, &Shape::Full, minor).as_object().unwrap().keys().cloned().collect();
        let expected: Vec<&str> = NODE
            .fields
            .iter()
            .filter(|field| field.read.is_some_and(|min| min <= minor))
            .map(|field| field.name)
            .collect();
        assert_eq!(keys, expected, "1.{minor}");
    }
}

#[test]
fn short_and_named() {
    let node = Node::new("ipmi", NOW);
    let short = shown(&node, &Shape::Short, 115);
    let keys: Vec<&String> = short.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["instance_uuid", "links", "maintenance", "name", "power_state", "provision_state", "uuid"]
    );
    let named = shown(&node, &Shape::Named(vec!["uuid".to_owned(), "conductor".to_owned()]), 115);
    assert_eq!(named["conductor"], "host-1");
    assert_eq!(named.as_object().unwrap().len(), 3);
    assert_eq!(
        named["links"],
        json!([
            {"href": format!("http://api:6385/v1/nodes/{}", node.uuid), "rel": "self"},
            {"href": format!("http://api:6385/nodes/{}", node.uuid), "rel": "bookmark"},
        ])
    );
    let unknown = Selection::new(&NODE, &Shape::Named(vec!["bogus".to_owned()]), version(115));
    assert!(matches!(unknown, Err(BodyError::Invalid(_))));
    let newer = Selection::new(&NODE, &Shape::Named(vec!["shard".to_owned()]), version(81));
    assert!(matches!(newer, Err(BodyError::TooNew { min: 82, .. })));
}

#[test]
fn old_versions_see_old_state_names() {
    let mut node = Node::new("ipmi", NOW);
    let state = |node: &Node, minor| shown(node, &Shape::Full, minor)["provision_state"].clone();
    node.provision_state = ProvisionState::Available;
    assert_eq!((state(&node, 1), state(&node, 2)), (Value::Null, json!("available")));
    node.provision_state = ProvisionState::InspectWait;
    assert_eq!((state(&node, 38), state(&node, 39)), (json!("inspecting"), json!("inspect wait")));
}

#[test]
fn secrets_are_masked_and_expired_leases_hidden() {
    let mut node = Node::new("ipmi", NOW);
    node.driver_info.set("ipmi_password", json!("hunter2"));
    node.driver_internal_info.set("agent_secret_token", json!("hunter2"));
    node.instance_info.set("configdrive", json!({"user_data": "hunter2"}));
    node.instance_info.set("image_url", json!("http://x/hunter2"));
    node.instance_info.set("image_source", json!("http://x/i"));
    let text = shown(&node, &Shape::Full, 115).to_string();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("http://x/i"));

    let lease = |micros| Lease {
        holder: "host-1".to_owned(),
        expires_at: Timestamp::from_micros(NOW.as_micros() + micros),
        reason: "power".to_owned(),
    };
    node.lease = Some(lease(1));
    assert_eq!(shown(&node, &Shape::Full, 115)["reservation"], "host-1");
    node.lease = Some(lease(-1));
    assert_eq!(shown(&node, &Shape::Full, 115)["reservation"], Value::Null);
}

#[test]
fn the_view_of_states() {
    let node = Node::new("ipmi", NOW);
    let keys = |minor| {
        with_context(minor, |cx| {
            let mut out = Writer::default();
            write_node_states(&node, cx, &mut out);
            serde_json::from_slice::<Value>(out.as_bytes()).unwrap().as_object().unwrap().len()
        })
    };
    assert_eq!((keys(1), keys(12), keys(75)), (7, 9, 11));
}

#[test]
fn creation_sets_what_the_body_names() {
    let mut node = Node::new("", NOW);
    let body = json!({"driver": "ipmi", "name": "n-1", "properties": {"cpus": 4}, "maintenance": "True",
        "conductor_group": "Rack-A", "power_interface": "ipmitool", "extra": null});
    create(&NODE, &mut node, body.as_object().unwrap().clone(), version(115)).unwrap();
    assert_eq!((node.driver.as_str(), node.name.as_deref()), ("ipmi", Some("n-1")));
    assert_eq!(node.properties.as_str(), r#"{"cpus":4}"#);
    assert!(node.maintenance);
    assert_eq!(node.conductor_group, "rack-a");

    let refuse = |body: Value, minor| {
        create(&NODE, &mut Node::new("", NOW), body.as_object().unwrap().clone(), version(minor)).unwrap_err()
    };
    assert_eq!(
        refuse(json!({"properties": []}), 115).to_string(),
        "/properties: expected an object, not a list"
    );
    assert!(refuse(json!({"bogus": 1}), 115).to_string().contains("no such field"));
    assert!(refuse(json!({"power_state": "power on"}), 115).to_string().contains("cannot be created"));
    assert!(matches!(refuse(json!({"name": "n"}), 4), BodyError::TooNew { min: 5, .. }));
    assert!(matches!(refuse(json!({"name": "a_b"}), 9), BodyError::Invalid(_)));
    assert!(matches!(refuse(json!({"name": "detail"}), 115), BodyError::Invalid(_)));
    assert!(matches!(refuse(json!({"driver": null}), 115), BodyError::Invalid(_)));
}

#[test]
fn ports_hide_vtep_keys_outside_their_versions() {
    let mut port = Port::new(Node::new("x", NOW).uuid, MacAddr::new([2, 0, 0, 0, 0, 1]), NOW);
    port.local_link_connection.set("vtep-logical-switch", json!("a"));
    let link = |minor| {
        with_context(minor, |cx| {
            let mut out = Writer::default();
            Selection::new(&PORT, &Shape::Full, cx.version).unwrap().write(&port, cx, &mut out);
            serde_json::from_slice::<Value>(out.as_bytes()).unwrap()["local_link_connection"].clone()
        })
    };
    assert_eq!(link(89), json!({}));
    assert_eq!(link(90), json!({"vtep-logical-switch": "a"}));
    assert_eq!(link(105), json!({}));
}
