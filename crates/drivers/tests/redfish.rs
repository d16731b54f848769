//! The hardware type `redfish` as the engine calls it, against the service of sushy-tools, which others wrote.
#![allow(clippy::unwrap_used, reason = "set-up of tests")]

#[path = "rig/registry.rs"]
mod rig;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use driver::{Management, Power, PowerChange, Registry, Retry};
use model::{BootDevice, BootMode, InterfaceKind, JsonObject, Node, PowerState};
use provision::{ErrorCode, Health, PlannedStep, SeenFacts, StepList};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PYTHON: &str = "/var/tmp/wrought-lab/venv/bin/python";

struct Site {
    registry: Registry,
    port: u16,
    _server: Child,
    _folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        assert!(Path::new(PYTHON).exists(), "{PYTHON} is missing: run `cargo xtask setup`");
        let folder = TempDir::new().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new(PYTHON)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../bmc/tests/support/sushy_bmc.py"))
            .args(["127.0.0.1", &port.to_string()])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await.unwrap().unwrap();
        assert_eq!(line.as_deref(), Some("ready"));
        let registry = rig::registry(folder.path(), drivers::RedfishOptions::default());
        Self { registry, port, _server: server, _folder: folder }
    }

    fn power(&self) -> &dyn Power {
        &*self.registry.power["redfish"]
    }

    fn management(&self) -> &dyn Management {
        &*self.registry.management["redfish"]
    }

    fn node(&self, more: &Value) -> Node {
        rig::node(self.port, more)
    }
}

#[tokio::test]
async fn power_goes_where_it_is_wanted() {
    let site = Site::start().await;
    let (power, node) = (site.power(), site.node(&json!({})));
    let soft = PowerChange::SoftOff { limit: Duration::from_secs(30) };
    let off = PowerChange::Off { grace: Duration::ZERO };
    let patient = PowerChange::Off { grace: Duration::from_secs(1) };
    for (change, state) in [
        (off, PowerState::Off),
        (PowerChange::On, PowerState::On),
        (PowerChange::On, PowerState::On),
        (soft, PowerState::Off),
        (PowerChange::On, PowerState::On),
        (patient, PowerState::Off),
    ] {
        assert_eq!(power.change(&node, change).await.unwrap(), state, "{change:?}");
        assert_eq!(power.state(&node).await.unwrap(), state);
    }
}

#[tokio::test]
async fn management_sets_what_it_then_reads() {
    let site = Site::start().await;
    let (management, mut node) = (site.management(), site.node(&json!({})));
    for (device, persistent) in
        [(BootDevice::Pxe, false), (BootDevice::Disk, true), (BootDevice::Cdrom, false)]
    {
        management.set_boot_device(&node, device, persistent).await.unwrap();
        assert_eq!(management.boot_device(&node).await.unwrap(), (Some(device), Some(persistent)));
    }
    management.set_boot_mode(&node, BootMode::Bios).unwrap().await.unwrap();
    assert_eq!(management.facts(&node).await.unwrap().boot_mode, Some(BootMode::Bios));
    // The mode that the node is to boot in goes along with the device.
    node.properties = JsonObject::parse(r#"{"capabilities": "boot_mode:uefi"}"#).unwrap();
    management.set_boot_device(&node, BootDevice::Pxe, false).await.unwrap();
    let facts = management.facts(&node).await.unwrap();
    assert_eq!((facts.boot_mode, facts.power), (Some(BootMode::Uefi), Some(PowerState::Off)));
    assert_eq!(facts.properties["vendor"], "Sushy Emulator");
    assert_eq!(facts.internal["bmc"]["health"], "OK");
    management.set_secure_boot(&node, true).unwrap().await.unwrap();
    // A look at power brings it all along; what takes a question of its own only when it is to be thorough.
    let (state, seen) = site.power().look(&node, false).await.unwrap();
    assert_eq!((state, seen.boot_mode, seen.secure_boot), (PowerState::Off, Some(BootMode::Uefi), None));
    assert_eq!((seen.vendor.as_deref(), seen.health), (Some("Sushy Emulator"), Some(Health::Ok)));
    let (_, thorough) = site.power().look(&node, true).await.unwrap();
    assert_eq!(thorough, SeenFacts { secure_boot: Some(true), ..seen });
}

#[tokio::test]
async fn failures_have_their_codes() {
    let site = Site::start().await;
    for (info, code, retry) in [
        (json!({"redfish_password": "wrong"}), ErrorCode::BmcCredentials, Retry::NeedsOperator),
        (
            json!({"redfish_system_id": "/redfish/v1/Systems/none"}),
            ErrorCode::DriverInfo,
            Retry::NeedsOperator,
        ),
        (json!({"redfish_auth_type": "session"}), ErrorCode::DriverInfo, Retry::NeedsOperator),
        (json!({"redfish_address": "http://127.0.0.1:1"}), ErrorCode::BmcUnreachable, Retry::Transient),
        (
            json!({"redfish_address": format!("http://127.0.0.1:{}/else", site.port)}),
            ErrorCode::BmcRefused,
            Retry::NeedsOperator,
        ),
    ] {
        let error = site.power().state(&site.node(&info)).await.unwrap_err();
        assert_eq!((error.code(), error.retry()), (code, retry), "{info}: {error}");
    }
    let floppy = site.management().set_boot_device(&site.node(&json!({})), BootDevice::Floppy, false).await;
    assert_eq!(floppy.unwrap_err().code(), ErrorCode::BmcRefused);
    let unreadable = site.power().validate(&site.node(&json!({"redfish_verify_ca": "/etc/passwd"})));
    assert_eq!(unreadable.unwrap_err().code(), ErrorCode::DriverInfo);
}

#[tokio::test]
async fn the_clock_of_the_bmc_is_set_and_then_put_right() {
    let site = Site::start().await;
    let steps = &site.registry.steps[&(InterfaceKind::Management, "redfish")];
    let node = site.node(&json!({}));
    let mut set = PlannedStep::new("management", "set_bmc_clock", 0, Vec::new());
    let args = json!({"target_datetime": "2001-02-03T04:05:06+00:00", "datetime_local_offset": "+00:00"});
    set.args = JsonObject::parse(&args.to_string()).unwrap();
    steps.run(&node, StepList::Clean, &set).await.unwrap();
    let verify = PlannedStep::new("management", "verify_bmc_clock", 1, Vec::new());
    steps.run(&node, StepList::Verify, &verify).await.unwrap();
}
