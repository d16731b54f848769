//! Payloads of events against `contract/extra/notification_payloads.tsv`, field by field, and what they look like.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};

use api_types::{
    ALLOCATION_CRUD, CHASSIS_CRUD, DEPLOY_TEMPLATE_CRUD, INSPECTION_RULE_CRUD, NODE_CORRECTED_POWER,
    NODE_CRUD, NODE_PAYLOAD, NODE_SET_POWER, NODE_SET_PROVISION, PORT_CRUD, PORTGROUP_CRUD, Payload,
    RUNBOOK_CRUD, Shown, VOLUME_CONNECTOR_CRUD, VOLUME_TARGET_CRUD, redacted,
};
use model::{JsonObject, MacAddr, Node, Port, Scope, Stake, Timestamp};
use serde_json::Value;

const CONTRACT: &str = include_str!("../../../contract/extra/notification_payloads.tsv");

/// Payloads of the contract that are not told yet.
const LATER: [&str; 0] = [];

type Shape = (&'static str, &'static str, BTreeSet<&'static str>);

fn shape<T>(payload: &Payload<T>) -> Shape {
    let fields = payload.fields.iter().copied().flatten().chain(payload.extra).copied().collect();
    (payload.class, payload.version, fields)
}

#[test]
fn every_payload_has_the_fields_of_the_contract() {
    let mut wanted: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for row in CONTRACT.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        wanted.entry(cells[0]).or_insert((cells[1], BTreeSet::new())).1.insert(cells[2]);
    }
    let ours = [
        shape(&NODE_PAYLOAD),
        shape(&NODE_CRUD),
        shape(&NODE_SET_POWER),
        shape(&NODE_CORRECTED_POWER),
        shape(&NODE_SET_PROVISION),
        shape(&PORT_CRUD),
        shape(&PORTGROUP_CRUD),
        shape(&CHASSIS_CRUD),
        shape(&VOLUME_CONNECTOR_CRUD),
        shape(&VOLUME_TARGET_CRUD),
        shape(&DEPLOY_TEMPLATE_CRUD),
        shape(&RUNBOOK_CRUD),
        shape(&INSPECTION_RULE_CRUD),
        shape(&ALLOCATION_CRUD),
    ];
    for (class, version, fields) in ours {
        assert_eq!(wanted.remove(class).unwrap(), (version, fields), "{class}");
    }
    assert_eq!(wanted.into_keys().collect::<Vec<_>>(), LATER);
}

#[test]
fn a_payload_is_one_line_without_secrets() {
    let mut node = Node::new("ipmi", Timestamp::from_micros(1_700_000_000_000_000));
    node.driver_info =
        JsonObject::parse("{\"ipmi_address\": \"192.0.2.1\",\n \"ipmi_password\": \"hush\"}").unwrap();
    node.driver_internal_info = JsonObject::parse(r#"{"agent_secret_token": "hush"}"#).unwrap();
    node.instance_info = JsonObject::parse(r#"{"configdrive": "hush"}"#).unwrap();
    node.extra = JsonObject::parse("{\"note\":\n\"a\\nb\"}").unwrap();
    for text in [NODE_CRUD.json(&node, &[]), NODE_SET_PROVISION.json(&node, &[Some("done"), None, None])] {
        assert!(!text.contains('\n') && !text.contains("hush"), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["ironic_object.namespace"], "ironic");
        let data = &value["ironic_object.data"];
        assert_eq!(data["uuid"], node.uuid.to_string());
        assert_eq!(data["extra"]["note"], "a\nb");
        assert_eq!(data["created_at"], "2023-11-14T22:13:20.000000+00:00");
    }
    let text = NODE_SET_PROVISION.json(&node, &[Some("done"), Some("deploying"), None]);
    let data = &serde_json::from_str::<Value>(&text).unwrap()["ironic_object.data"];
    assert_eq!((&data["event"], &data["previous_provision_state"]), (&"done".into(), &"deploying".into()));
    assert_eq!(data["previous_target_provision_state"], Value::Null);
    assert_eq!(data["provision_state"], "enroll");
}

#[test]
fn only_what_is_not_kept_is_null() {
    let port = Port::new(model::NodeUuid::random(), MacAddr::new([2; 6]), Timestamp::from_micros(0));
    let value: Value = serde_json::from_str(&PORT_CRUD.json(&port, &[])).unwrap();
    assert_eq!(value["ironic_object.data"]["node_uuid"], port.node_uuid.to_string());
    assert_eq!(value["ironic_object.data"]["address"], "02:02:02:02:02:02");
    assert_eq!(value["ironic_object.data"]["portgroup_uuid"], Value::Null);
}

#[test]
fn who_is_shown_less_is_told_less() {
    let mut node = Node::new("ipmi", Timestamp::from_micros(0));
    node.driver_info = JsonObject::parse(r#"{"ipmi_address": "192.0.2.1"}"#).unwrap();
    node.last_error = Some("the cable is out".to_owned());
    let payload = NODE_CRUD.json(&node, &[]);
    assert_eq!(redacted(&payload, &Shown::default(), None, None), None);
    let own = || Scope::Has(Stake::Owner, "p".to_owned());
    let shown = Shown { driver_info: own(), last_error: own(), ..Shown::default() };
    assert_eq!(redacted(&payload, &shown, Some("p"), None), None);
    let less = redacted(&payload, &shown, Some("q"), Some("p")).unwrap();
    assert!(!less.contains("192.0.2.1") && !less.contains("cable"), "{less}");
    let data = &serde_json::from_str::<Value>(&less).unwrap()["ironic_object.data"];
    assert!(data["driver_info"]["content"].as_str().unwrap().contains("node:get:driver_info"));
    assert!(data["last_error"].as_str().unwrap().contains("node:get:last_error"));
    assert_eq!(data["uuid"], node.uuid.to_string());
}
