//! `cargo xtask demo`: the service on its embedded defaults takes virtual machines through their whole life.
//!
//! `cargo xtask drive` is the same flow in a lab that is up already, against any server of the API.

use crate::api::{Client, Login};
use crate::board::Board;
use crate::image::{self, Image, ImageFormat};
use crate::life::{Life, Phase, Protocol, Report};
use crate::machines::Hardware;
use crate::service::{Memory, Service, ServiceOptions};
use crate::setup;
use crate::stage::{Builds, Parts, Stage};
use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use lab::{Lab, LabDir, Machine};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What the demonstration shows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoOptions {
    #[command(flatten)]
    pub(crate) hardware: Hardware,
    /// Write what was measured to this file, as JSON
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// Leave the service and the machines running, and say how to use them
    #[arg(long)]
    pub(crate) keep: bool,
    /// How the machines' BMCs are spoken to
    #[arg(long, value_enum, default_value = "ipmi")]
    pub(crate) protocol: Protocol,
    /// The image that is deployed
    #[arg(long, value_enum, default_value = "qcow2")]
    pub(crate) format: ImageFormat,
    #[command(flatten)]
    pub(crate) builds: Builds,
}

/// Driving a machine of a lab that is up.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DriveOptions {
    /// The server of the Bare Metal API
    #[arg(long)]
    api: String,
    /// HTTP basic login; none when the server wants none
    #[arg(long, requires = "password")]
    user: Option<String>,
    #[arg(long)]
    password: Option<String>,
    /// The lab that the server is in
    #[arg(long, default_value = "wrought-lab")]
    name: String,
    /// Machines to drive; all when none is named
    #[arg(long)]
    machine: Vec<String>,
    #[arg(long, value_enum, default_value = "ipmi")]
    protocol: Protocol,
    /// The boot interface to ask for, where the server's default will not do
    #[arg(long)]
    boot_interface: Option<String>,
    #[arg(long, value_enum, default_value = "qcow2")]
    format: ImageFormat,
    /// Only these phases, in this order
    #[arg(long, value_enum, value_delimiter = ',')]
    phases: Vec<Phase>,
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs the demonstration. An error unless all was seen.
pub(crate) fn run(dir: &LabDir, options: &DemoOptions) -> Result<()> {
    let parts = options.builds.ensure(dir)?;
    let image = image::ensure(dir, options.format)?;
    let stage = Stage { task: "demo", machines: options.hardware.specs(), keep: options.keep };
    stage.play(dir, async |lab| demonstrate(lab, &parts, &image, options).await)
}

async fn demonstrate(lab: &Lab, parts: &Parts, image: &Image, options: &DemoOptions) -> Result<()> {
    let started = ServiceOptions { protocol: options.protocol, keep: options.keep };
    let service = Service::start(lab, parts, started).await?;
    let idle = service.memory()?;
    let lives: Vec<Life<'_>> = lab
        .machines()
        .map(|machine| Life::new(machine, service.api.clone(), options.protocol, image))
        .collect();
    let reports = live(&lives, Phase::USUAL)
        .await
        .with_context(|| format!("the service's log:\n{}", service.log_tail()))?;
    let memory = MemoryReport { at_start: idle, after: service.memory()? };
    finish(&reports, Some(memory), options.report.as_deref())?;
    if options.keep {
        println!("{}", how_to_go_on(lab, &service));
        std::mem::forget(service);
        return Ok(());
    }
    service.stop().await
}

/// The service's memory before its first request, and when all lives are over.
#[derive(Clone, Copy, Debug)]
struct MemoryReport {
    at_start: Memory,
    after: Memory,
}

/// `cargo xtask drive`.
pub(crate) fn drive(dir: &LabDir, options: &DriveOptions) -> Result<()> {
    setup::ensure(dir)?;
    let image = image::ensure(dir, options.format)?;
    let lab = Lab::attach(dir, &options.name)?;
    let login =
        options.user.clone().zip(options.password.clone()).map(|(user, password)| Login { user, password });
    let phases = if options.phases.is_empty() { Phase::USUAL } else { &options.phases };
    lab.block_on(|| async {
        let api = Client::new(&options.api, login)?;
        let wanted = |machine: &Machine<'_>| {
            options.machine.is_empty() || options.machine.contains(&machine.spec().name)
        };
        let lives: Vec<Life<'_>> = lab
            .machines()
            .filter(wanted)
            .map(|machine| Life {
                boot_interface: options.boot_interface.clone(),
                ..Life::new(machine, api.clone(), options.protocol, &image)
            })
            .collect();
        finish(&live(&lives, phases).await?, None, options.report.as_deref())
    })
}

/// All lives at once, shown on one board. Every life runs to its own end; the first failure is told after all ended.
async fn live(lives: &[Life<'_>], phases: &[Phase]) -> Result<Vec<Report>> {
    let board = Board::new(lives.iter().map(|life| life.machine.spec().name.clone()));
    let reports = join_all(lives.iter().map(|life| show(life, phases, &board))).await;
    board.finish();
    reports.into_iter().collect()
}

async fn show(life: &Life<'_>, phases: &[Phase], board: &Board) -> Result<Report> {
    let name = &life.machine.spec().name;
    let done = life.run(phases, &|update| board.update(name, &update)).await;
    match &done {
        Ok(report) => report.tenant.iter().for_each(|line| board.say(&format!("  {name} | {line}"))),
        Err(error) => board.say(&format!("  {name} failed: {error:#}")),
    }
    done
}

/// Prints the table and writes the report.
fn finish(reports: &[Report], memory: Option<MemoryReport>, file: Option<&Path>) -> Result<()> {
    print!("{}", table(reports));
    if let Some(MemoryReport { at_start, after }) = memory {
        println!("service's memory: {at_start} at its start, {after} after");
    }
    let Some(file) = file else { return Ok(()) };
    let mut report = json!({"machines": reports, "load_average": load_average()});
    if let Some(MemoryReport { at_start, after }) = memory {
        report["service_memory"] = json!({"at_start": at_start, "after": after});
    }
    write_report(file, &report)
}

/// Writes what was measured, for people and programs.
pub(crate) fn write_report(file: &Path, report: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(report)?;
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// How busy the computer is: without it, times say little.
pub(crate) fn load_average() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or_default().to_owned()
}

fn table(reports: &[Report]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let _ = write!(text, "{:24}", "seconds");
    for report in reports {
        let title = format!("{} {} {:?}", report.machine, report.firmware, report.protocol).to_lowercase();
        let _ = write!(text, "{title:>20}");
    }
    text.push('\n');
    let Some(first) = reports.first() else { return text };
    for (index, timed) in first.phases.iter().enumerate() {
        let _ = write!(text, "{:24}", timed.phase);
        for report in reports {
            let _ =
                write!(text, "{:>20.1}", report.phases.get(index).map_or(f64::NAN, |timed| timed.seconds));
        }
        text.push('\n');
    }
    for (index, boot) in first.boots.iter().enumerate() {
        let _ = write!(text, "{:24}", format!("to heartbeat ({})", boot.phase));
        for report in reports {
            let cell = report
                .boots
                .get(index)
                .map(|boot| format!("{:.1} (cpu {:.1})", boot.wall_seconds, boot.cpu_seconds));
            let _ = write!(text, "{:>20}", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn how_to_go_on(lab: &Lab, service: &Service) -> String {
    let (name, url, login) = (lab.name(), service.api.base(), &service.login);
    format!(
        "\nall is running: {url}, user {user}, password {password}\n\
         configuration {config}, log {log}\n\
         try:\n\
         \x20 ip netns exec {name} curl -sk -u {user}:{password} {url}/v1/nodes\n\
         \x20 WROUGHT_LAB={root} cargo xtask lab console vm0 --name {name}\n\
         \x20 ip netns exec {name} {root}/venv/bin/baremetal --os-auth-type http_basic --os-endpoint {url} \
         --os-username {user} --os-password {password} node list\n\
         end it: cargo xtask lab down --name {name}",
        user = login.user,
        password = login.password,
        config = service.config.display(),
        log = service.log.display(),
        root = lab.folder().ancestors().nth(2).unwrap_or(lab.folder()).display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::{Boot, Timed};

    #[test]
    fn the_table_has_a_row_for_every_phase() {
        let report = |machine: &str, seconds| Report {
            machine: machine.into(),
            firmware: "bios",
            protocol: Protocol::Ipmi,
            phases: vec![
                Timed { phase: Phase::Manage, seconds },
                Timed { phase: Phase::Active, seconds: 40.0 },
            ],
            boots: vec![Boot { phase: Phase::Active, wall_seconds: 12.0, cpu_seconds: 9.5 }],
            tenant: vec![],
        };
        let text = table(&[report("vm0", 1.5), report("vm1", 2.5)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("vm0 bios ipmi"));
        assert!(lines[1].starts_with("manage") && lines[1].contains("1.5") && lines[1].contains("2.5"));
        assert!(lines[3].contains("12.0 (cpu 9.5)"), "{text}");
    }
}
