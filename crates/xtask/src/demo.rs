//! `cargo xtask demo`: the service on its embedded defaults takes virtual machines through their whole life.
//!
//! `cargo xtask drive` is the same flow in a lab that is up already, against any server of the API.

use crate::api::{Client, Login};
use crate::board::Board;
use crate::image::{self, Image, ImageFormat};
use crate::kernel::Flavour;
use crate::life::{Life, Phase, Protocol, Report, Source};
use crate::machines::Hardware;
use crate::ramdisk::{self, Ramdisk};
use crate::service::Service;
use crate::{build, say, setup};
use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use lab::{GATEWAY, IMAGE_PORT, Lab, LabDir, LabOptions, Machine};
use serde_json::json;
use std::path::{Path, PathBuf};
use uuid::Uuid;

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
    /// The ramdisk's kernel. `cloud` boots in two seconds of processor time, `generic` (for real servers) in five
    #[arg(long, value_enum, default_value = "cloud")]
    pub(crate) flavour: Flavour,
    /// The image that is deployed
    #[arg(long, value_enum, default_value = "qcow2")]
    pub(crate) format: ImageFormat,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    pub(crate) service: Option<PathBuf>,
    /// A static agent built before, in the place of this tree's
    #[arg(long)]
    pub(crate) agent: Option<PathBuf>,
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
    setup::ensure(dir)?;
    say("building the service and the ramdisk");
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let ramdisk = ramdisk::ensure(dir, options.flavour, false, options.agent.clone())?;
    let image = image::ensure(dir, options.format)?;
    say(&ramdisk::describe(&ramdisk)?);
    let lab =
        LabOptions { name: format!("wl-demo-{}", std::process::id()), machines: options.hardware.specs() };
    let lab = if options.keep { Lab::up_to_stay(dir, lab)? } else { Lab::up(dir, lab)? };
    let shown = lab.block_on(|| async {
        tokio::select! {
            done = demonstrate(&lab, &binary, &ramdisk, &image, options) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    });
    if let Err(error) = shown {
        let kept = keep_evidence(dir, &lab);
        if options.keep {
            lab.down()?;
        }
        return Err(error.context(format!("logs are in {}", kept?.display())));
    }
    Ok(())
}

async fn demonstrate(
    lab: &Lab,
    binary: &Path,
    ramdisk: &Ramdisk,
    image: &Image,
    options: &DemoOptions,
) -> Result<()> {
    let service = Service::start(lab, binary, ramdisk, options.protocol, options.keep).await?;
    let lives: Vec<Life<'_>> =
        lab.machines().map(|machine| life(machine, &service.api, options.protocol, None, image)).collect();
    let reports = live(&lives, Phase::USUAL)
        .await
        .with_context(|| format!("the service's log:\n{}", service.log_tail()))?;
    finish(&reports, options.report.as_deref())?;
    if options.keep {
        println!("{}", how_to_go_on(lab, &service));
        std::mem::forget(service);
        return Ok(());
    }
    service.stop().await
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
            .map(|machine| life(machine, &api, options.protocol, options.boot_interface.clone(), &image))
            .collect();
        finish(&live(&lives, phases).await?, options.report.as_deref())
    })
}

fn life<'a>(
    machine: Machine<'a>,
    api: &Client,
    protocol: Protocol,
    boot: Option<String>,
    image: &Image,
) -> Life<'a> {
    Life {
        api: api.clone(),
        machine,
        protocol,
        boot_interface: boot,
        image: Source {
            url: format!("http://{GATEWAY}:{IMAGE_PORT}/{}", image.file),
            sha256: image.sha256.clone(),
            format: image.format,
        },
        mark: format!("mark-{}", Uuid::new_v4().simple()),
    }
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
fn finish(reports: &[Report], file: Option<&Path>) -> Result<()> {
    print!("{}", table(reports));
    if let Some(file) = file {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split_whitespace().next().unwrap_or_default();
        let text = serde_json::to_vec_pretty(&json!({"machines": reports, "load_average": load}))?;
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
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

/// Copies the logs of a failed run to where the next run does not remove them.
fn keep_evidence(dir: &LabDir, lab: &Lab) -> Result<PathBuf> {
    let kept = dir.root().join("failed").join(lab.name());
    let text_files = ["labd.log", "events.jsonl", "service/log", "service/output", "service/wrought.toml"];
    let consoles = lab.machines().map(|machine| format!("{}/console.log", machine.spec().name));
    for file in text_files.map(str::to_owned).into_iter().chain(consoles) {
        let to = kept.join(&file);
        std::fs::create_dir_all(to.parent().unwrap_or(&kept))?;
        std::fs::copy(lab.folder().join(&file), to).ok();
    }
    Ok(kept)
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
