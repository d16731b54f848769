//! `cargo xtask figures`: how fast images are written, beside what the same virtual machine can do at all: the same bytes
//! over the same network to the same kind of disk by busybox's wget and dd, unverified. Knows both ways' lines on the
//! console, whose times are those of the machine's own kernel.

use crate::cpio::Archive;
use crate::demo::{load_average, write_report};
use crate::image::{self, Image, LARGE_MIB};
use crate::kernel::{Flavour, Kernel};
use crate::life::{Life, Phase, Protocol};
use crate::moment::Printed;
use crate::process::source_root;
use crate::ramdisk::Ramdisk;
use crate::service::{Memory, Service, ServiceOptions};
use crate::stage::{Builds, Parts, Stage};
use anyhow::{Context as _, Result};
use lab::{Firmware, GATEWAY, IMAGE_PORT, Lab, LabDir, MachineSpec};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// From the order to clean to the last line of the measuring ramdisk.
const MEASURED: Duration = Duration::from_mins(10);
/// Images that the agent writes.
const ROUNDS: usize = 2;
/// What the measuring ramdisk needs of the kernel.
const MODULES: &[&str] = &["virtio_pci", "virtio_net", "virtio_blk"];
const ADDRESS: &str =
    "#!/bin/sh\n[ \"$1\" = bound ] && ip addr add \"$ip/${mask:-24}\" dev \"$interface\"\nexit 0\n";

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FigureOptions {
    /// Write what was measured to this file, as JSON
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    builds: Builds,
}

/// MiB per second of each round.
#[derive(Debug, Default, Serialize)]
struct Speeds {
    wget_dd: Vec<f64>,
    agent: Vec<f64>,
}

/// Measures and prints.
pub(crate) fn run(dir: &LabDir, options: &FigureOptions) -> Result<()> {
    let parts = options.builds.ensure(dir)?;
    let image = image::large(dir)?;
    let stage = || {
        let machines = vec![MachineSpec::numbered(0, Firmware::Bios)];
        Stage { task: "figures", machines, keep: false }
    };
    let mut speeds = Speeds::default();
    let bare = Parts { service: parts.service.clone(), ramdisk: measuring_ramdisk(dir, &image)? };
    let lines = stage().play(dir, async |lab| bare_machine(lab, &bare, &image).await)?;
    speeds.wget_dd = lines.iter().filter_map(|line| round(line)).map(speed).collect();
    let (agent, memory) = stage().play(dir, async |lab| by_agent(lab, &parts, &image).await)?;
    speeds.agent = agent.into_iter().map(speed).collect();
    tell(&speeds, &memory);
    let Some(file) = &options.report else { return Ok(()) };
    write_report(file, &report(&speeds, &memory))
}

fn speed(seconds: f64) -> f64 {
    let whole = f64::from(u32::try_from(LARGE_MIB).unwrap_or(u32::MAX)) / seconds;
    (whole * 10.0).round() / 10.0
}

fn tell(speeds: &Speeds, memory: &[Memory; 2]) {
    println!("{LARGE_MIB} MiB over the network onto the disk, MiB/s per round (load {})", load_average());
    println!("  wget and dd, unverified    {:?}", speeds.wget_dd);
    println!("  the agent, SHA-256 and all {:?}", speeds.agent);
    println!("service's memory: {} at its start, {} after {ROUNDS} deployments", memory[0], memory[1]);
}

fn report(speeds: &Speeds, memory: &[Memory; 2]) -> Value {
    json!({
        "image_mib": LARGE_MIB,
        "mib_per_second": speeds,
        "service_memory": {"at_start": memory[0], "after": memory[1]},
        "load_average": load_average(),
    })
}

/// Boots the measuring ramdisk, which needs an order to clean for it; returns what it printed.
async fn bare_machine(lab: &Lab, parts: &Parts, image: &Image) -> Result<Vec<String>> {
    let protocol = Protocol::Ipmi;
    let service = Service::start(lab, parts, ServiceOptions { protocol, keep: false }).await?;
    let machine = lab.machine("vm0")?;
    let life = Life::new(machine, service.api.clone(), protocol, image);
    life.run(&[Phase::Enroll, Phase::Manage], &|_| ()).await?;
    let mut console = machine.console()?;
    life.api.provision("vm0", "provide", Value::Null).await?;
    Ok(console.wait_for("LAB-SPEED-END", MEASURED).await?.lines)
}

/// Deploys; returns the seconds that each write took, and the service's memory before and after.
async fn by_agent(lab: &Lab, parts: &Parts, image: &Image) -> Result<(Vec<f64>, [Memory; 2])> {
    let protocol = Protocol::Ipmi;
    let service = Service::start(lab, parts, ServiceOptions { protocol, keep: false }).await?;
    let idle = service.memory()?;
    let machine = lab.machine("vm0")?;
    let life = Life::new(machine, service.api.clone(), protocol, image);
    life.run(&[Phase::Enroll, Phase::Manage, Phase::Provide], &|_| ()).await?;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let printed = Printed::from_now(machine)?;
        life.run(&[Phase::Active, Phase::Tenant, Phase::Deleted], &|_| ()).await?;
        let lines = printed.by_agent()?;
        let at = |text: &str| {
            let line = lines.iter().find(|line| line.contains(text));
            line.and_then(|line| uptime(line)).with_context(|| format!("the agent printed no {text:?}"))
        };
        seconds.push(at("image written")? - at("writing image ")?);
    }
    let memory = [idle, service.memory()?];
    service.stop().await?;
    Ok((seconds, memory))
}

/// The kernel's time of a line `wrought-agent: [   3.591] ...`.
fn uptime(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once("wrought-agent: [")?;
    rest.split_once(']')?.0.trim().parse().ok()
}

/// Seconds of a line `LAB-SPEED start end`.
fn round(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once("LAB-SPEED ")?;
    let mut words = rest.split_whitespace();
    let (start, end): (f64, f64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (end > start).then_some(end - start)
}

fn measuring_ramdisk(dir: &LabDir, image: &Image) -> Result<Ramdisk> {
    let kernel = Kernel::get(dir, Flavour::Cloud, false)?;
    let recipe = source_root().join("lab/write-speed.sh");
    let url = format!("http://{GATEWAY}:{IMAGE_PORT}/{}", image.file);
    let init = fs::read_to_string(&recipe)
        .with_context(|| format!("read {}", recipe.display()))?
        .replace("@URL@", &url);
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.char_device("dev/console", 5, 1).char_device("dev/null", 1, 3);
    archive.file("init", init, true).file("address", ADDRESS, true);
    archive.file("bin/busybox", fs::read("/bin/busybox").context("read /bin/busybox")?, true);
    let mut modules: Vec<String> = Vec::new();
    for name in MODULES {
        let Some((path, needs)) = kernel.module(name) else { continue };
        for file in needs.iter().map(String::as_str).chain([path]) {
            let to = format!("/lib/modules/{}", file.rsplit('/').next().unwrap_or(file));
            if !modules.contains(&to) {
                let content = fs::read(kernel.modules_folder().join(file))
                    .with_context(|| format!("read module {file}"))?;
                archive.file(to.trim_start_matches('/'), content, false);
                modules.push(to);
            }
        }
    }
    archive.file("modules", modules.join("\n") + "\n", false);
    let folder = dir.ramdisks().join("write-speed");
    fs::create_dir_all(&folder)?;
    let ramdisk = Ramdisk { kernel: folder.join("vmlinuz"), initramfs: folder.join("initramfs") };
    fs::write(&ramdisk.initramfs, zstd::encode_all(archive.to_bytes().as_slice(), 3)?)?;
    fs::copy(kernel.image(), &ramdisk.kernel).context("copy the kernel")?;
    Ok(ramdisk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_off_the_console() {
        assert_eq!(uptime("wrought-agent: [  33.594] image written device=/dev/vda"), Some(33.594));
        assert_eq!(uptime("[    3.689119] IPv6: link becomes ready"), None);
        assert_eq!(round("LAB-SPEED 4.00 12.00"), Some(8.0));
        assert_eq!(round("LAB-SPEED 12.00"), None);
        assert_eq!(round("LAB-SPEED-END"), None);
        assert!((speed(8.0) - 32.0).abs() < 0.01);
    }
}
