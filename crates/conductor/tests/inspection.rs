//! In-band inspection by way of the real router, with a real conductor and store: a ramdisk reports, hooks and rules work.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

#[allow(dead_code, reason = "the rig has more than is needed here")]
#[path = "rig/machine.rs"]
mod rig;

use std::sync::Arc;

use api::{ApiState, NoAuth, router};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use db::{PortQuery, Scope};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use inspection::hooks::Hook;
use model::{Node, Port, ProvisionState as S, Timestamp};
use provision::Verb;
use rig::{Knobs, Rig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

const OURS: &str = "52:54:00:00:00:01";
const SECOND: &str = "52:54:00:00:00:02";

fn site(rig: &Rig) -> Router {
    router(ApiState {
        db: rig.db().clone(),
        conductors: Arc::clone(rig.conductor()) as Arc<dyn conductor_api::Conductors>,
        authenticator: Arc::new(NoAuth),
        policy: Arc::new(ArcSwap::from_pointee(policy::Policy::defaults(policy::Settings::default()))),
        options: api::Options::default(),
    })
}

async fn call(router: &Router, method: Method, path: &str, minor: u16, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-openstack-ironic-api-version", format!("1.{minor}"))
        .header("content-type", "application/json")
        .header("host", "api.test:6385")
        .body(body)
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn post(router: &Router, minor: u16, body: Value) -> (u16, Value) {
    call(router, Method::POST, "/v1/continue_inspection", minor, body).await
}

/// What a ramdisk says: booted from the first interface, and there is a second one.
fn report() -> Value {
    json!({
        "inventory": {
            "interfaces": [
                {"name": "eth0", "mac_address": OURS, "ipv4_address": "10.0.0.9"},
                {"name": "eth1", "mac_address": SECOND},
            ],
            "boot": {"pxe_interface": OURS, "current_boot_mode": "uefi"},
            "cpu": {"architecture": "x86_64", "count": 8},
            "memory": {"physical_mb": 4096},
            "system_vendor": {"serial_number": "S-1"},
        },
        "error": null,
        "logs": "eA==",
        "boot_interface": OURS,
    })
}

async fn rule(router: &Router, conditions: Value, actions: Value) {
    let body = json!({"conditions": conditions, "actions": actions});
    let (status, made) = call(router, Method::POST, "/v1/inspection_rules", 115, body).await;
    assert_eq!(status, 201, "{made}");
}

async fn ports(rig: &Rig) -> Vec<Port> {
    rig.db().list_ports(&PortQuery::new(Scope::All)).await.unwrap()
}

/// A machine that waits for its ramdisk.
async fn waiting(knobs: Knobs) -> (Rig, Router) {
    let rig = Rig::start(Knobs { in_band: true, silent_agent: true, ..knobs }).await;
    rig.set_state(S::Manageable).await;
    rig.request(Verb::Inspect).await.unwrap();
    rig.until(S::InspectWait).await;
    let router = site(&rig);
    (rig, router)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_describes_the_machine() {
    let (rig, router) = waiting(Knobs::default()).await;
    rule(
        &router,
        json!([{"op": "eq", "args": {"values": ["{inventory[cpu][count]}", "8"]}}]),
        json!([
            {"op": "set-attribute",
             "args": {"path": "/extra/serial", "value": "{inventory[system_vendor][serial_number]}"}},
            {"op": "add-trait", "args": {"name": "CUSTOM_EIGHT"}},
            {"op": "set-plugin-data", "args": {"path": "seen.by", "value": "rule"}},
            {"op": "set-capability", "args": {"name": "cores", "value": 8}},
        ]),
    )
    .await;
    rule(
        &router,
        json!([{"op": "is-none", "args": {"value": 1}}]),
        json!([{"op": "fail", "args": {"msg": "x"}}]),
    )
    .await;
    let (status, reply) = post(&router, 1, report()).await;
    assert_eq!((status, reply), (202, json!({"uuid": rig.uuid})));
    let node = rig.until(S::Manageable).await;
    assert_eq!(node.last_error, None);
    assert_eq!(node.properties.get_str("cpu_arch").as_deref(), Some("x86_64"));
    assert_eq!(node.properties.get_str("capabilities").as_deref(), Some("cores:8"));
    assert_eq!(node.extra.get_str("serial").as_deref(), Some("S-1"));
    assert_eq!(node.traits, ["CUSTOM_EIGHT".parse().unwrap()]);
    assert!(!rig.machine().on, "the machine is off again");
    let (_, kept) =
        call(&router, Method::GET, &format!("/v1/nodes/{}/inventory", rig.uuid), 115, Value::Null).await;
    assert_eq!(kept["inventory"]["cpu"]["count"], 8);
    assert_eq!(kept["plugin_data"]["boot_interface"], OURS);
    assert_eq!(kept["plugin_data"]["seen"], json!({"by": "rule"}));
    assert_eq!(kept["plugin_data"]["macs"], json!([OURS]));
    assert!(kept["plugin_data"].get("logs").is_none(), "logs are no data");
    assert_eq!(ports(&rig).await.len(), 1);
    // Another report comes too late.
    assert_eq!(post(&router, 1, report()).await.0, 404);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volume_that_appears_between_two_inspections_is_the_root_device() {
    let hooks = vec![Hook::RaidDevice, Hook::RootDevice];
    let hooks = inspection::hooks::Options { hooks, ..inspection::hooks::Options::default() };
    let (rig, router) = waiting(Knobs { hooks, ..Knobs::default() }).await;
    let disk = |serial: &str, gib: u64| json!({"name": "/dev/sda", "serial": serial, "size": gib << 30});
    let mut body = report();
    body["inventory"]["disks"] = json!([disk("first", 20)]);
    assert_eq!(post(&router, 1, body.clone()).await.0, 202);
    let node = rig.until(S::Manageable).await;
    assert_eq!(node.properties.get("root_device"), None);
    assert_eq!(node.properties.get("local_gb"), Some(json!(0)), "the ramdisk named no disk");
    rig.request(Verb::Inspect).await.unwrap();
    rig.until(S::InspectWait).await;
    body["inventory"]["disks"] = json!([disk("first", 20), disk("volume", 100)]);
    assert_eq!(post(&router, 1, body).await.0, 202);
    let node = rig.until(S::Manageable).await;
    assert_eq!(node.properties.get("root_device"), Some(json!({"serial": "volume"})));
    assert_eq!(node.properties.get("local_gb"), Some(json!(99)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_follow_the_inventory() {
    let (rig, router) = waiting(Knobs::default()).await;
    let mut body = report();
    body["inventory"]["boot"]["pxe_interface"] = json!(SECOND);
    assert_eq!(post(&router, 1, body).await.0, 202);
    rig.until(S::Manageable).await;
    let found: Vec<(String, bool)> =
        ports(&rig).await.iter().map(|port| (port.address.to_string(), port.pxe_enabled)).collect();
    assert_eq!(found, [(OURS.to_owned(), false), (SECOND.to_owned(), true)]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_report_leaves_everything_as_it_was() {
    let fail = json!([{"op": "fail", "args": {"msg": "the wrong rack"}}]);
    let state = json!([{"op": "set-attribute", "args": {"path": "provision_state", "value": "active"}}]);
    let name = json!([{"op": "set-attribute", "args": {"path": "name", "value": "not a name"}}]);
    for (actions, error, word) in [
        (Value::Null, json!("no disks"), "no disks"),
        (fail, Value::Null, "the wrong rack"),
        (state, Value::Null, "provision_state"),
        (name, Value::Null, "name"),
    ] {
        let (rig, router) = waiting(Knobs::default()).await;
        if !actions.is_null() {
            rule(&router, json!([]), actions).await;
        }
        let mut body = report();
        body["error"] = error;
        assert_eq!(post(&router, 1, body).await.0, 202);
        let node = rig.until(S::InspectFailed).await;
        let told = node.last_error.unwrap();
        assert!(told.contains("E0307") && told.contains(word), "{told}");
        assert!(node.properties.is_empty() && node.extra.is_empty());
        let path = format!("/v1/nodes/{}/inventory", rig.uuid);
        assert_eq!(call(&router, Method::GET, &path, 115, Value::Null).await.0, 404);
        assert_eq!(rig.db().inspection_report(rig.uuid).await.unwrap(), None);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_report_it_is() {
    let (rig, router) = waiting(Knobs::default()).await;
    let before = rig.node().await;
    let mut after = before.clone();
    after.driver_info.set("ipmi_address", json!("10.0.0.5"));
    rig.db().update_node(&before, after).await.unwrap();
    let other = rig.db().create_node(Node::new("test", Timestamp::now())).await.unwrap();
    let port = Port::new(other.uuid, "52:54:00:00:00:77".parse().unwrap(), Timestamp::now());
    rig.db().create_port(port).await.unwrap();
    let about = |address: &str, bmc: Value| json!({"inventory": {"interfaces": [{"mac_address": address}], "bmc_address": bmc}});
    let named = |uuid: String| format!("/v1/continue_inspection?node_uuid={uuid}");
    for (path, minor, body, status) in [
        (None, 1, about("52:54:00:00:00:99", Value::Null), 404),
        (None, 1, about("52:54:00:00:00:77", Value::Null), 404),
        (None, 1, about("52:54:00:00:00:99", json!("10.0.0.6")), 404),
        (None, 1, about("x", Value::Null), 400),
        (None, 1, json!({}), 400),
        (None, 1, json!({"inventory": {"interfaces": []}}), 400),
        (None, 1, json!({"inventory": {"interfaces": [{}]}}), 400),
        (None, 1, json!({"inventory": {"interfaces": [{"mac_address": OURS}], "bmc_address": 5}}), 400),
        (None, 2, report(), 404),
        (None, 83, report(), 404),
        (Some(named(rig.uuid.to_string())), 1, report(), 404),
        (Some(named(other.uuid.to_string())), 84, report(), 404),
        (Some(named(model::NodeUuid::random().to_string())), 84, report(), 404),
        (Some(named("x".to_owned())), 84, report(), 400),
    ] {
        let path = path.unwrap_or_else(|| "/v1/continue_inspection".to_owned());
        let (found, reply) = call(&router, Method::POST, &path, minor, body.clone()).await;
        assert_eq!(found, status, "{path} {body} {reply}");
    }
    let mut both = report();
    both["inventory"]["interfaces"][1]["mac_address"] = json!("52:54:00:00:00:77");
    assert_eq!(post(&router, 1, both).await.0, 404, "its interfaces are two nodes'");
    assert_eq!(rig.node().await.provision_state, S::InspectWait);

    // Nothing but the BMC is known; and a new agent gets what lookup tells.
    let mut body = report();
    body["inventory"]["interfaces"][0]["mac_address"] = json!("52:54:00:00:00:55");
    body["inventory"]["boot"]["pxe_interface"] = json!("52:54:00:00:00:55");
    body["inventory"]["bmc_address"] = json!("10.0.0.5");
    let (status, reply) = post(&router, 84, body).await;
    assert_eq!(status, 202, "{reply}");
    assert_eq!(reply["node"]["uuid"], json!(rig.uuid));
    assert_eq!(reply["config"]["agent_token"].as_str().unwrap().len(), 43);
    rig.until(S::Manageable).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_machines_are_enrolled_where_the_site_wants_that() {
    let (rig, router) = waiting(Knobs { discovers: true, ..Knobs::default() }).await;
    rule(
        &router,
        json!([]),
        json!([{"op": "set-attribute", "args": {"path": "description", "value": "new"}}]),
    )
    .await;
    let mut body = report();
    body["inventory"]["interfaces"] = json!([{"name": "eth0", "mac_address": "52:54:00:00:00:99"}]);
    body["inventory"]["boot"]["pxe_interface"] = json!("52:54:00:00:00:99");
    let (status, reply) = post(&router, 84, body.clone()).await;
    assert_eq!(status, 202, "{reply}");
    let uuid = reply["node"]["uuid"].as_str().unwrap();
    assert_ne!(uuid, rig.uuid.to_string());
    let (_, node) = call(&router, Method::GET, &format!("/v1/nodes/{uuid}"), 115, Value::Null).await;
    assert_eq!((&node["provision_state"], &node["description"]), (&json!("enroll"), &json!("new")));
    assert_eq!((&node["driver"], &node["power_interface"]), (&json!("test"), &json!("test")));
    let (_, kept) =
        call(&router, Method::GET, &format!("/v1/nodes/{uuid}/inventory"), 115, Value::Null).await;
    assert_eq!(kept["plugin_data"]["auto_discovered"], true);
    assert_eq!(ports(&rig).await.len(), 2);
    assert_eq!(post(&router, 84, body).await.0, 404, "it is known now, and not being inspected");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_works_on_a_report_once() {
    // Off, boot device, on, and the report is there: the process dies before it is worked on, or right after.
    for actions in [3, 4] {
        let (rig, router) = waiting(Knobs { die_after: Some(actions), ..Knobs::default() }).await;
        rule(
            &router,
            json!([]),
            json!([{"op": "extend-attribute", "args": {"path": "extra/runs", "value": 1}}]),
        )
        .await;
        assert_eq!(post(&router, 1, report()).await.0, 202);
        let rig = rig.reborn().await;
        let node = rig.until(S::Manageable).await;
        assert_eq!(node.extra.get("runs"), Some(json!([1])), "after {actions} actions");
        rig.stop().await;
    }
}

/// A service that answers with these statuses, one for each connection; what it was asked.
async fn service(statuses: &'static [&'static str]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = vec![0; 4096];
            let length = stream.read(&mut text).await.unwrap();
            asked.push(String::from_utf8_lossy(&text[..length]).into_owned());
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_call_other_services() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (statuses, end) in [
        (["503 Busy", "200 OK"].as_slice(), S::Manageable),
        (["404 Not Found"].as_slice(), S::InspectFailed),
        (["503 Busy", "503 Busy"].as_slice(), S::InspectFailed),
    ] {
        let (url, asked) = service(statuses).await;
        let (rig, router) = waiting(Knobs::default()).await;
        let args = json!({
            "url": format!("{url}/seen/{{inventory[system_vendor][serial_number]}}?key=hush"),
            "headers": {"X-Site": "a"}, "retries": 1, "backoff_factor": 0.01,
        });
        rule(&router, json!([]), json!([{"op": "api-call", "args": args}])).await;
        assert_eq!(post(&router, 1, report()).await.0, 202);
        let node = rig.until(end).await;
        let asked = asked.await.unwrap();
        assert_eq!(asked.len(), statuses.len());
        assert!(
            asked[0].starts_with("GET /seen/S-1?key=hush ") && asked[0].contains("x-site: a"),
            "{asked:?}"
        );
        let told = node.last_error.unwrap_or_default();
        assert_eq!(told.contains("/seen/S-1"), end == S::InspectFailed, "{told}");
        assert!(!told.contains("hush"), "{told}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_rules_run_among_the_others_by_priority() {
    let set = |value: &str| json!([{"op": "set-attribute", "args": {"path": "/extra/by", "value": value}}]);
    let built_in = |priority: i64, value: &str| {
        let actions = set(value);
        inspection::rules::Rule::parse(value, (priority, false), &[], actions.as_array().unwrap()).unwrap()
    };
    // The later one wins: those of lower priority run later.
    for (priority, last) in [(-1, "file"), (20_000, "api")] {
        let knobs = Knobs { built_in_rules: vec![built_in(priority, "file")], ..Knobs::default() };
        let (rig, router) = waiting(knobs).await;
        rule(&router, json!([]), set("api")).await;
        assert_eq!(post(&router, 1, report()).await.0, 202);
        let node = rig.until(S::Manageable).await;
        assert_eq!(node.extra.get_str("by").as_deref(), Some(last));
        let (_, listed) = call(&router, Method::GET, "/v1/inspection_rules", 115, Value::Null).await;
        assert_eq!(listed["inspection_rules"].as_array().unwrap().len(), 1, "the API does not show it");
        rig.stop().await;
    }
}
