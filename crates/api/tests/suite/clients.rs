//! The clients that people use, unmodified: openstacksdk and the `baremetal` command of python-ironicclient.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::{HttpBasic, ServeLimits, serve};
use hostcmd::Command;
use model::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::{Site, options};

/// Python takes its time to import the clients on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// A program of the lab's virtual environment.
#[expect(
    clippy::disallowed_methods,
    reason = "where the lab is, is said by the environment; only tests ask here"
)]
pub(crate) fn program(name: &str) -> PathBuf {
    let lab = std::env::var("WROUGHT_LAB").unwrap_or_else(|_| "/var/tmp/wrought-lab".to_owned());
    let path = Path::new(&lab).join("venv/bin").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}

pub(crate) async fn start(site: &Site) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = site.router.clone();
    tokio::spawn(serve(listener, router, ServeLimits::default(), std::future::pending()));
    url
}

/// Runs `baremetal` with `args` and reads its JSON.
async fn baremetal(url: &str, args: &[&str]) -> Value {
    let command =
        Command::new(program("baremetal")).args(["--os-auth-type", "none", "--os-endpoint", url]).args(args);
    let output = command.output(DEADLINE).await.unwrap();
    assert!(output.status.success(), "baremetal {args:?}: {}", output.stderr_text());
    if !args.contains(&"json") {
        return Value::Null;
    }
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout_text()))
}

#[tokio::test]
async fn the_command_line() {
    let site = Site::new().await;
    let url = start(&site).await;
    let run = async |line: &str| baremetal(&url, &line.split(' ').collect::<Vec<_>>()).await;
    let node = run("node create --driver fake-hardware --name n-1 --property cpus=4 -f json").await;
    assert_eq!((&node["name"], &node["provision_state"]), (&json!("n-1"), &json!("enroll")));
    let uuid = node["uuid"].as_str().unwrap();
    run("node set n-1 --property memory_mb=2048 --extra rack=a1 --resource-class gold").await;
    run("node add trait n-1 CUSTOM_GPU HW_CPU_X86_AVX").await;
    let port = run(&format!("port create 52:54:00:12:34:56 --node {uuid} -f json")).await;
    assert_eq!(port["node_uuid"], uuid);
    run("node maintenance set n-1 --reason disk").await;
    let shown = run("node show n-1 -f json").await;
    assert_eq!((&shown["maintenance_reason"], &shown["resource_class"]), (&json!("disk"), &json!("gold")));
    assert_eq!(shown["properties"], json!({"cpus": 4, "memory_mb": 2048}));
    assert_eq!(shown["traits"], json!(["CUSTOM_GPU", "HW_CPU_X86_AVX"]));
    run("node maintenance unset n-1").await;
    let list = run("node list -f json").await;
    assert_eq!((&list[0]["uuid"], &list[0]["maintenance"]), (&json!(uuid), &json!(false)), "{list}");
    let verdicts = run("node validate n-1 -f json").await;
    let power = verdicts.as_array().unwrap().iter().find(|row| row["Interface"] == "power").unwrap();
    assert_eq!((&power["Result"], &power["Reason"]), (&json!(false), &json!("address is missing")));
    let drivers = run("driver list -f json").await;
    assert_eq!(drivers[1]["name"], "ipmi", "{drivers}");
    run("node power on n-1").await;
    run("node manage n-1").await;
    assert!(site.conductors.taken().iter().any(|call| call.starts_with("provision manage")));
    run("port delete 52:54:00:12:34:56"
        .replace("52:54:00:12:34:56", port["uuid"].as_str().unwrap())
        .as_str())
    .await;
    run("node delete n-1").await;
    assert_eq!(run("node list -f json").await, json!([]));
}

#[tokio::test]
async fn the_command_line_for_plans() {
    let site = Site::new().await;
    let url = start(&site).await;
    let run = async |line: &str| baremetal(&url, &line.split(' ').collect::<Vec<_>>()).await;
    let steps = r#"[{"interface":"bios","step":"apply","args":{},"priority":5}]"#;
    let made = run(&format!("deploy template create CUSTOM_A --steps {steps} --extra rack=a1 -f json")).await;
    assert_eq!((&made["name"], &made["extra"]), (&json!("CUSTOM_A"), &json!({"rack": "a1"})), "{made}");
    run("deploy template set CUSTOM_A --name CUSTOM_B").await;
    let list = run("deploy template list -f json").await;
    assert_eq!((&list[0]["name"], &list[0]["uuid"]), (&json!("CUSTOM_B"), &made["uuid"]), "{list}");
    let steps = r#"[{"interface":"bios","step":"apply","args":{},"order":1}]"#;
    run(&format!("runbook create --name night-shift --steps {steps} -f json")).await;
    run("runbook trait add night-shift CUSTOM_A CUSTOM_B").await;
    run("runbook set night-shift --public true").await;
    let shown = run("runbook show night-shift -f json").await;
    assert_eq!(
        (&shown["public"], &shown["traits"]),
        (&json!(true), &json!(["CUSTOM_A", "CUSTOM_B"])),
        "{shown}"
    );
    let actions = r#"[{"op":"log","args":{"msg":"here"}}]"#;
    let rule = run(&format!("inspection rule create --actions {actions} --priority 7 -f json")).await;
    let uuid = rule["uuid"].as_str().unwrap();
    run(&format!("inspection rule set {uuid} --priority 8")).await;
    assert_eq!(run(&format!("inspection rule show {uuid} -f json")).await["priority"], 8);
    run(&format!("inspection rule delete {uuid}")).await;
    assert_eq!(run("inspection rule list -f json").await, json!([]));
    let node = run("node create --driver fake-hardware --name n-1 --shard s-1 -f json").await;
    run(&format!("node create --driver fake-hardware --parent-node {}", node["uuid"].as_str().unwrap()))
        .await;
    let children = run("node children list n-1 -f json").await;
    assert_eq!(children["children"].as_array().unwrap().len(), 1, "{children}");
    let shards = run("shard list -f json").await;
    assert_eq!(shards.as_array().unwrap().len(), 2, "{shards}");
    assert!(shards[1].as_object().unwrap().values().any(|value| value == "s-1"), "{shards}");
    run("deploy template delete CUSTOM_B").await;
    run("runbook delete night-shift").await;
}

#[tokio::test]
async fn the_command_line_with_a_password() {
    let site = Site::with(options(), |db| Arc::new(HttpBasic::new(db.clone()))).await;
    let hash = bcrypt::hash("s3cret", 4).unwrap();
    site.db.put_user("admin", &Secret::new(hash)).await.unwrap();
    let url = start(&site).await;
    let list = async |password: &str| {
        let arguments = ["--os-auth-type", "http_basic", "--os-username", "admin", "--os-endpoint", &url];
        let command =
            Command::new(program("baremetal")).args(arguments).arg("--os-password").secret_arg(password);
        command.args(["node", "list", "-f", "json"]).output(DEADLINE).await.unwrap()
    };
    let good = list("s3cret").await;
    assert_eq!(serde_json::from_slice::<Value>(&good.stdout).unwrap(), json!([]), "{}", good.stderr_text());
    let bad = list("wrong").await;
    assert!(!bad.status.success());
    assert!(bad.stderr_text().contains("401"), "{}", bad.stderr_text());
}

const SDK: &str = r#"
import json, sys
import openstack
from openstack import exceptions

conn = openstack.connect(auth_type="none", endpoint=sys.argv[1],
                         baremetal_endpoint_override=sys.argv[1])
bm = conn.baremetal
node = bm.create_node(driver="fake-hardware", name="sdk-1", properties={"cpus": 8})
port = bm.create_port(node_id=node.id, address="52:54:00:aa:bb:cc", is_pxe_enabled=False)
bm.update_node(node, extra={"a": 1}, resource_class="gold")
bm.patch_node(node, [{"op": "add", "path": "/properties/arch", "value": "x86_64"}])
bm.set_node_maintenance(node, reason="why")
bm.add_node_trait(node, "CUSTOM_A")
bm.set_node_traits(node, ["CUSTOM_A", "CUSTOM_B"])
shown = bm.get_node("sdk-1")
bm.unset_node_maintenance(node)
for _ in range(4):
    bm.create_node(driver="ipmi")
try:
    bm.get_node("missing")
    missing = None
except exceptions.NotFoundException as error:
    missing = str(error)
try:
    bm.validate_node(node)
    refused = None
except exceptions.ValidationException as error:
    refused = str(error)
bm.set_node_power_state(node, "power on")
print(json.dumps({
    "uuid": shown.id, "maintenance": shown.is_maintenance, "reason": shown.maintenance_reason,
    "extra": shown.extra, "properties": shown.properties, "traits": sorted(shown.traits),
    "count": len(list(bm.nodes(details=True, limit=2))),
    "gold": len(list(bm.nodes(resource_class="gold", limit=1))),
    "ports": [p.address for p in bm.ports(node=node.id)], "pxe": bm.get_port(port.id).is_pxe_enabled,
    "drivers": [d.name for d in bm.drivers()], "conductors": [c.hostname for c in bm.conductors()],
    "missing": missing, "refused": refused,
}))
bm.delete_port(port)
bm.delete_node(node)
"#;

#[tokio::test]
async fn the_sdk() {
    let site = Site::new().await;
    let url = start(&site).await;
    let command = Command::new(program("python")).args(["-c", SDK, &url]);
    let output = command.output(DEADLINE).await.unwrap();
    assert!(output.status.success(), "{}", output.stderr_text());
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&seen["maintenance"], &seen["reason"]), (&json!(true), &json!("why")), "{seen}");
    assert_eq!(
        (&seen["extra"], &seen["properties"]),
        (&json!({"a": 1}), &json!({"cpus": 8, "arch": "x86_64"}))
    );
    assert_eq!(seen["traits"], json!(["CUSTOM_A", "CUSTOM_B"]));
    assert_eq!((&seen["count"], &seen["gold"]), (&json!(5), &json!(1)));
    assert_eq!((&seen["ports"], &seen["pxe"]), (&json!(["52:54:00:aa:bb:cc"]), &json!(false)));
    assert_eq!(
        (&seen["drivers"], &seen["conductors"]),
        (&json!(["fake-hardware", "ipmi"]), &json!(["conductor-1"]))
    );
    assert!(seen["missing"].as_str().unwrap().contains("Node missing could not be found"), "{seen}");
    assert!(seen["refused"].as_str().unwrap().contains("address is missing"), "{seen}");
}
