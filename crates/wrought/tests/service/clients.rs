//! The clients that people use, unmodified, take a machine through its whole life.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostcmd::{Command, Output};
use serde_json::{Value, json};
use sim::{Machine, OperationKind, Outcome};

use crate::image_server::ImageServer;
use crate::machine::{ends, runs_image};
use crate::site::{Settings, Site};

/// Python takes its time to import the clients on a busy computer, and they look at the node every other second.
const DEADLINE: Duration = Duration::from_mins(2);

const SDK_LIFE: &str = include_str!("openstacksdk_life.py");

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

pub(crate) fn said(output: &Output) -> String {
    format!("{}\n{}", output.stdout_text(), output.stderr_text())
}

/// The command line with the administrator's login.
struct Baremetal<'a> {
    site: &'a Site,
}

impl Baremetal<'_> {
    async fn run(&self, line: &str) -> String {
        self.run_with(line, &[]).await
    }

    /// `more` are arguments with spaces in them.
    async fn run_with(&self, line: &str, more: &[&str]) -> String {
        let url = self.site.url();
        let command = Command::new(program("baremetal"))
            .args(["--os-auth-type", "http_basic", "--os-username", "admin", "--os-endpoint", &url])
            .arg("--os-password")
            .secret_arg(self.site.password().unwrap())
            .args(line.split(' '))
            .args(more);
        let output = command.output(DEADLINE).await.unwrap();
        assert!(output.status.success(), "baremetal {line}: {}\n{}", said(&output), self.site.log());
        output.stdout_text()
    }

    async fn show(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} -f json")).await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line() {
    let site = Site::start(&Settings { auth: "http_basic", ..Settings::default() }).await;
    let images = ImageServer::start().await;
    let fleet = site.fleet(1, 11).await;
    let machine: &Machine = fleet.machine(0).unwrap();
    let cli = Baremetal { site: &site };
    let (bmc, login) = (machine.bmc_address(), machine.credentials());
    let created = cli
        .show(&format!(
            "node create --driver ipmi --name vm0 --driver-info ipmi_address={} --driver-info ipmi_port={} \
             --driver-info ipmi_username={} --driver-info ipmi_password={} --property cpu_arch=x86_64",
            bmc.ip(),
            bmc.port(),
            login.username,
            login.password
        ))
        .await;
    let uuid = created["uuid"].as_str().unwrap();
    cli.run(&format!("port create {} --node {uuid}", machine.mac())).await;
    cli.run("node manage vm0 --wait 60").await;
    cli.run("node provide vm0 --wait 60").await;
    cli.run(&format!(
        "node set vm0 --instance-info image_source={} --instance-info image_os_hash_algo=sha256 \
         --instance-info image_os_hash_value={} --instance-info image_disk_format=raw",
        images.url("good.raw"),
        images.sha256()
    ))
    .await;
    let drive = json!({"meta_data": {"name": "vm0"}, "user_data": "#!/bin/sh\necho hello\n"}).to_string();
    cli.run_with("node deploy vm0 --wait 60 --config-drive", &[&drive]).await;
    let shown = cli.show("node show vm0").await;
    assert_eq!((&shown["provision_state"], &shown["power_state"]), (&json!("active"), &json!("power on")));
    runs_image(fleet.machine(0).unwrap(), "good.raw").await;
    assert_eq!(ends(machine, OperationKind::WriteImage), [Outcome::Done]);
    cli.run("node undeploy vm0 --wait 60").await;
    let shown = cli.show("node show vm0").await;
    assert_eq!((&shown["provision_state"], &shown["instance_info"]), (&json!("available"), &json!({})));
    assert_eq!(ends(machine, OperationKind::EraseMetadata), [Outcome::Done; 2]);
    cli.run("node delete vm0").await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openstacksdk() {
    let site = Site::start(&Settings::default()).await;
    let images = ImageServer::start().await;
    let fleet = site.fleet(1, 12).await;
    let machine = fleet.machine(0).unwrap();
    let (bmc, login) = (machine.bmc_address(), machine.credentials());
    let order = json!({
        "endpoint": site.url(),
        "mac": machine.mac(),
        "driver_info": {
            "ipmi_address": bmc.ip(), "ipmi_port": bmc.port(),
            "ipmi_username": login.username, "ipmi_password": login.password,
        },
        "instance_info": {
            "image_source": images.url("good.raw"), "image_disk_format": "raw",
            "image_os_hash_algo": "sha256", "image_os_hash_value": images.sha256(),
        },
    });
    let command = Command::new(program("python")).args(["-c", SDK_LIFE]).arg(order.to_string());
    let output = command.output(DEADLINE).await.unwrap();
    assert!(output.status.success(), "{}\n{}", said(&output), site.log());
    let seen: Value = serde_json::from_str(&output.stdout_text()).unwrap();
    assert_eq!(
        seen,
        json!({
            "states": ["enroll", "manageable", "available", "active", "available"],
            "validated": ["boot", "deploy", "management", "power"],
            "power": "power on",
            "instance_info": {},
            "left": 0,
        })
    );
    assert_eq!(ends(machine, OperationKind::WriteImage), [Outcome::Done]);
    assert_eq!(ends(machine, OperationKind::EraseMetadata), [Outcome::Done; 2]);
    fleet.stop().await;
}
