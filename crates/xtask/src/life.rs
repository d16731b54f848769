//! Drives a machine through its whole life over the Bare Metal API, and checks the end on the machine's own console.
//!
//! Knows the API and the lab, and not which server answers: the same flow runs against Wrought and against others.

use crate::api::{Client, NewNode, Node};
use crate::image::Image;
use anyhow::{Context as _, Result, bail};
use lab::{Console, GATEWAY, IMAGE_PORT, Machine};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Longest time for one phase. Emulated machines on a loaded computer are slow: this is to end, not to measure.
const PHASE_LIMIT: Duration = Duration::from_mins(15);
/// From the deployed state to the tenant's last line.
const TENANT_LIMIT: Duration = Duration::from_mins(5);
/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(400);

/// States from which nothing leads on by itself.
const FAILED: &[&str] = &[
    "clean failed",
    "deploy failed",
    "inspect failed",
    "service failed",
    "rescue failed",
    "adopt failed",
    "error",
];

/// How the BMC is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Ipmi,
    Redfish,
}

impl Protocol {
    fn driver(self) -> &'static str {
        match self {
            Self::Ipmi => "ipmi",
            Self::Redfish => "redfish",
        }
    }
}

/// One stage of the life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Made in the API.
    Enroll,
    /// BMC verified.
    Manage,
    /// Inspected by the agent. Not part of the usual life.
    Inspect,
    /// Cleaned and available.
    Provide,
    /// The image is deployed.
    Active,
    /// The tenant's system has booted and shown its config drive.
    Tenant,
    /// Torn down, cleaned, available again.
    Deleted,
}

impl Phase {
    /// The life that the demonstration shows.
    pub(crate) const USUAL: &[Self] =
        &[Self::Enroll, Self::Manage, Self::Provide, Self::Active, Self::Tenant, Self::Deleted];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Enroll => "enroll",
            Self::Manage => "manage",
            Self::Inspect => "inspect",
            Self::Provide => "provide",
            Self::Active => "active",
            Self::Tenant => "tenant",
            Self::Deleted => "deleted",
        })
    }
}

/// The image that is deployed.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) sha256: String,
    pub(crate) format: &'static str,
    /// Who downloads it: `http` for the agent itself, `local` for the server; the server's default when nothing is said.
    pub(crate) download: Option<&'static str>,
}

/// What to do with one machine.
#[derive(Clone, Debug)]
pub(crate) struct Life<'a> {
    pub(crate) api: Client,
    pub(crate) machine: Machine<'a>,
    pub(crate) protocol: Protocol,
    pub(crate) boot_interface: Option<String>,
    pub(crate) image: Source,
    /// Put into the config drive and looked for on the console: something that nobody else could have written.
    pub(crate) mark: String,
}

/// A step of a life, for people who watch.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) phase: Phase,
    /// The node's provision state and, when there is one, its step.
    pub(crate) state: String,
    /// Bytes written, bytes in all.
    pub(crate) bytes: Option<(u64, Option<u64>)>,
}

/// How it went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) firmware: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) phases: Vec<Timed>,
    pub(crate) boots: Vec<Boot>,
    /// The lines of the tenant's console that were seen.
    pub(crate) tenant: Vec<String>,
}

/// A phase and how long it took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Timed {
    pub(crate) phase: Phase,
    pub(crate) seconds: f64,
}

/// One boot of the ramdisk, from power on to the first heartbeat.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Boot {
    pub(crate) phase: Phase,
    pub(crate) wall_seconds: f64,
    /// Processor time of QEMU: what a quiet computer would take.
    pub(crate) cpu_seconds: f64,
}

impl From<&Image> for Source {
    /// From the lab's own image server.
    fn from(image: &Image) -> Self {
        Self {
            url: format!("http://{GATEWAY}:{IMAGE_PORT}/{}", image.file),
            sha256: image.sha256.clone(),
            format: image.format,
            download: None,
        }
    }
}

impl<'a> Life<'a> {
    /// With a mark of its own.
    pub(crate) fn new(machine: Machine<'a>, api: Client, protocol: Protocol, image: &Image) -> Self {
        Self { api, machine, protocol, boot_interface: None, image: image.into(), mark: new_mark() }
    }

    /// The same machine with another image and a mark of its own.
    pub(crate) fn with_image(&self, image: Source) -> Self {
        Self { image, mark: new_mark(), ..self.clone() }
    }
}

impl Life<'_> {
    /// Goes through `phases`; `watch` hears of every change.
    pub(crate) async fn run(&self, phases: &[Phase], watch: &(dyn Fn(Update) + Sync)) -> Result<Report> {
        let spec = self.machine.spec();
        let mut report = Report {
            machine: spec.name.clone(),
            firmware: spec.firmware.as_str(),
            protocol: self.protocol,
            phases: Vec::new(),
            boots: Vec::new(),
            tenant: Vec::new(),
        };
        let mut console = self.machine.console()?;
        for &phase in phases {
            let start = Instant::now();
            if phase == Phase::Active {
                console = self.machine.console()?;
            }
            self.phase(phase, &mut console, &mut report, watch)
                .await
                .with_context(|| format!("{}: {phase}", spec.name))?;
            report.phases.push(Timed { phase, seconds: rounded(start.elapsed()) });
        }
        Ok(report)
    }

    async fn phase(
        &self,
        phase: Phase,
        console: &mut Console,
        report: &mut Report,
        watch: &(dyn Fn(Update) + Sync),
    ) -> Result<()> {
        watch(Update { phase, state: String::new(), bytes: None });
        let name = &self.machine.spec().name;
        match phase {
            Phase::Enroll => return self.enroll().await,
            Phase::Tenant => {
                report.tenant = self.tenant(console).await?;
                return Ok(());
            }
            Phase::Active => {
                self.deploy("active").await?;
            }
            Phase::Manage | Phase::Inspect | Phase::Provide | Phase::Deleted => {
                self.api.provision(name, &phase.to_string(), Value::Null).await?;
            }
        }
        let end = match phase {
            Phase::Manage | Phase::Inspect => "manageable",
            Phase::Active => "active",
            _ => "available",
        };
        report.boots.extend(self.wait_for(phase, end, watch).await?);
        Ok(())
    }

    /// Makes the node and its port. A node of that name from an earlier run goes first: a MAC can be there only once.
    async fn enroll(&self) -> Result<()> {
        let spec = self.machine.spec();
        for old in self.api.nodes().await?.into_iter().filter(|node| node.name.as_ref() == Some(&spec.name)) {
            self.api.delete_node(&old.uuid).await?;
        }
        let driver_info = match self.protocol {
            Protocol::Ipmi => json!({
                "ipmi_address": spec.bmc, "ipmi_username": spec.user, "ipmi_password": spec.password,
            }),
            Protocol::Redfish => json!({
                "redfish_address": spec.redfish_address(), "redfish_system_id": spec.redfish_system(),
                "redfish_username": spec.user, "redfish_password": spec.password,
            }),
        };
        let node = NewNode {
            name: spec.name.clone(),
            driver: self.protocol.driver(),
            driver_info,
            properties: json!({
                "cpu_arch": "x86_64", "capabilities": format!("boot_mode:{}", spec.firmware.as_str()),
            }),
            boot_interface: self.boot_interface.clone(),
        };
        let node = self.api.create_node(&node).await?;
        self.api.create_port(&node.uuid, &spec.mac).await
    }

    /// What to deploy, as fields of a node.
    pub(crate) fn instance(&self) -> Vec<(&'static str, Value)> {
        let Source { url, sha256, format, download } = &self.image;
        let mut fields = vec![
            ("/instance_info/image_source", json!(url)),
            ("/instance_info/image_os_hash_algo", json!("sha256")),
            ("/instance_info/image_os_hash_value", json!(sha256)),
            ("/instance_info/image_checksum", json!(sha256)),
            ("/instance_info/image_disk_format", json!(format)),
        ];
        fields.extend(download.map(|way| ("/instance_info/image_download_source", json!(way))));
        fields
    }

    /// Orders the image to be deployed by `active`, or to be deployed anew by `rebuild`.
    pub(crate) async fn deploy(&self, target: &str) -> Result<()> {
        let name = &self.machine.spec().name;
        self.api.set(name, &self.instance()).await?;
        self.api.provision(name, target, json!({"configdrive": self.config_drive()})).await
    }

    /// Orders a change of the provision state and waits until it has led to `end`.
    pub(crate) async fn order(&self, target: &str, more: Value, end: &str) -> Result<()> {
        self.api.provision(&self.machine.spec().name, target, more).await?;
        self.until(end, async |_| ()).await
    }

    fn config_drive(&self) -> Value {
        json!({
            "meta_data": {"name": self.machine.spec().name, "mark": self.mark},
            "user_data": format!("#!/bin/sh\necho {}\n", self.mark),
            "network_data": {"links": [], "networks": [], "services": []},
        })
    }

    /// Waits for the provision state `end`; returns the ramdisk's boot, if one was seen.
    async fn wait_for(
        &self,
        phase: Phase,
        end: &str,
        watch: &(dyn Fn(Update) + Sync),
    ) -> Result<Option<Boot>> {
        let (mut first_heard, mut boot, mut last) = (None, None, String::new());
        self.until(end, async |node: &Node| {
            let heard = node.last_heartbeat().map(str::to_owned);
            let before = first_heard.get_or_insert_with(|| heard.clone());
            if boot.is_none() && heard.is_some() && heard != *before {
                boot = self.booted(phase).await;
            }
            let update = self.update(phase, node).await;
            if update.state != last || update.bytes.is_some() {
                last.clone_from(&update.state);
                watch(update);
            }
        })
        .await?;
        Ok(boot)
    }

    /// Looks at the node until it is in the provision state `end`, and shows each look to `see`; an error when it fails or
    /// takes too long.
    pub(crate) async fn until(&self, end: &str, mut see: impl AsyncFnMut(&Node)) -> Result<()> {
        let start = Instant::now();
        loop {
            let node = self.api.node(&self.machine.spec().name).await?;
            see(&node).await;
            let state = node.provision_state.as_deref().unwrap_or_default();
            if state == end && node.target_provision_state.is_none() {
                return Ok(());
            }
            // A failed verification leads back to where it came from, with an error.
            let fell_back =
                state == "enroll" && node.target_provision_state.is_none() && node.last_error.is_some();
            if FAILED.contains(&state) || fell_back {
                bail!("{state}: {}", node.last_error.as_deref().unwrap_or("no reason given"));
            }
            if start.elapsed() > PHASE_LIMIT {
                bail!("still {state} after {} s (last error: {:?})", PHASE_LIMIT.as_secs(), node.last_error);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The machine at this moment: its time since power on.
    async fn booted(&self, phase: Phase) -> Option<Boot> {
        let info = self.machine.info().await.ok()?;
        Some(Boot { phase, wall_seconds: tenth(info.on_seconds?), cpu_seconds: tenth(info.cpu_seconds) })
    }

    async fn update(&self, phase: Phase, node: &Node) -> Update {
        let mut state = node.provision_state.clone().unwrap_or_default();
        if let Some(power) = &node.power_state {
            state = format!("{state}, {power}");
        }
        let progress = self.api.progress(&node.uuid).await.unwrap_or_default();
        for detail in [&progress.step, &progress.phase].into_iter().flatten() {
            state = format!("{state}, {detail}");
        }
        Update { phase, state, bytes: progress.bytes_done.map(|done| (done, progress.bytes_total)) }
    }

    /// Waits for the tenant's system on the machine's own console, and for the mark that its config drive carried.
    pub(crate) async fn tenant(&self, console: &mut Console) -> Result<Vec<String>> {
        let waited = console.wait_for("LAB-OS-READY", TENANT_LIMIT).await?;
        let lines: Vec<String> = waited.lines.into_iter().filter(|line| line.contains("LAB-")).collect();
        for file in ["meta_data.json", "user_data"] {
            let seen = |line: &String| {
                line.contains("LAB-CONFIGDRIVE") && line.contains(file) && line.contains(&self.mark)
            };
            if !lines.iter().any(seen) {
                bail!("the tenant's console does not show {} in {file}:\n{}", self.mark, lines.join("\n"));
            }
        }
        Ok(lines)
    }
}

fn new_mark() -> String {
    format!("mark-{}", Uuid::new_v4().simple())
}

fn rounded(duration: Duration) -> f64 {
    tenth(duration.as_secs_f64())
}

fn tenth(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
