//! `cargo xtask lab ...`: machines to play with by hand.

use crate::image::{self, ImageFormat};
use crate::kernel::{Flavour, Kernel};
use crate::process::{command, source_root};
use crate::{process, say, setup};
use anyhow::{Context as _, Result};
use lab::{Firmware, GATEWAY, IMAGE_PORT, Lab, LabDir, LabOptions, Machine, MachineSpec};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What to do with a lab.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum LabCommand {
    /// Start machines (powered off) and their BMCs, and leave them running
    Up {
        /// How the lab, its folder and its network namespace are called
        #[arg(long, default_value = "wrought-lab")]
        name: String,
        #[command(flatten)]
        hardware: Hardware,
    },
    /// End a lab: its machines, BMCs and network
    Down {
        #[arg(long, default_value = "wrought-lab")]
        name: String,
    },
    /// Show the labs that are up and their machines
    List,
    /// Show a machine's serial console from its beginning and follow it
    Console {
        /// vm0, vm1, ...
        machine: String,
        #[arg(long, default_value = "wrought-lab")]
        name: String,
        /// Send what is typed, line by line, to the machine
        #[arg(long)]
        interactive: bool,
    },
    /// Build a ramdisk with OpenStack's own agent, to be used with `demo --ramdisk`
    StockRamdisk,
    /// Build the small operating system image that the lab deploys
    Image {
        #[arg(long, value_enum, default_value = "qcow2")]
        format: ImageFormat,
    },
}

/// The machines of a lab.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Hardware {
    /// How many machines
    #[arg(long, alias = "nodes", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) machines: u8,
    /// How they boot; `both` alternates, beginning with BIOS
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) firmware: FirmwareChoice,
    /// Memory of each machine in MiB
    #[arg(long, default_value_t = 1024)]
    pub(crate) memory: u32,
    /// Disk of each machine in GiB
    #[arg(long, default_value_t = 8)]
    pub(crate) disk: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FirmwareChoice {
    Bios,
    Uefi,
    Both,
}

impl Hardware {
    pub(crate) fn specs(&self) -> Vec<MachineSpec> {
        (0..self.machines)
            .map(|index| MachineSpec {
                memory_mib: self.memory,
                disk_gib: self.disk,
                ..MachineSpec::numbered(index, self.firmware.of(index))
            })
            .collect()
    }
}

impl FirmwareChoice {
    fn of(self, index: u8) -> Firmware {
        match self {
            Self::Both if index.is_multiple_of(2) => Firmware::Bios,
            Self::Bios => Firmware::Bios,
            Self::Both | Self::Uefi => Firmware::Uefi,
        }
    }
}

pub(crate) fn run(dir: &LabDir, command: LabCommand) -> Result<()> {
    match command {
        LabCommand::Up { name, hardware } => up(dir, name, &hardware),
        LabCommand::Down { name } => Lab::attach(dir, &name)?.down(),
        LabCommand::List => list(dir),
        LabCommand::Console { machine, name, interactive } => {
            let lab = Lab::attach(dir, &name)?;
            let machine = lab.machine(&machine)?;
            lab.block_on(|| console(machine, interactive))
        }
        LabCommand::StockRamdisk => stock_ramdisk(dir),
        LabCommand::Image { format } => {
            setup::ensure(dir)?;
            let image = image::ensure(dir, format)?;
            println!("{}\nsha256 {}", image::path(dir, &image).display(), image.sha256);
            Ok(())
        }
    }
}

/// Not in the steps of `ci`: takes minutes to build, and its machines take minutes to boot on a busy computer.
fn stock_ramdisk(dir: &LabDir) -> Result<()> {
    setup::ensure(dir)?;
    setup::ensure_packages(&["debootstrap", "python3-pip"])?;
    let mirror = setup::debian_mirror().context("no Debian mirror in apt's own list of sources")?;
    let kernel = Kernel::get(dir, Flavour::Cloud, false)?;
    let folder = dir.ramdisks().join("stock");
    let recipe = source_root().join("lab/stock-ramdisk.sh");
    process::run(
        command("bash").arg(recipe).arg(kernel.folder()).arg(kernel.release()).arg(&folder).arg(mirror),
    )?;
    println!("{}", folder.display());
    Ok(())
}

fn up(dir: &LabDir, name: String, hardware: &Hardware) -> Result<()> {
    setup::ensure(dir)?;
    image::ensure(dir, ImageFormat::Qcow2)?;
    let lab = Lab::up_to_stay(dir, LabOptions { name, machines: hardware.specs() })?;
    for machine in lab.machines() {
        let spec = machine.spec();
        println!(
            "{}  {:4}  {}  BMC {} (IPMI and Redfish, {} / {})  {}",
            spec.name,
            spec.firmware.as_str(),
            spec.mac,
            spec.bmc,
            spec.user,
            spec.password,
            spec.uuid
        );
    }
    println!(
        "network {} (bridge {}, you are {GATEWAY}); images at http://{GATEWAY}:{IMAGE_PORT}/\nenter it: ip netns exec {} bash",
        lab.name(),
        lab::BRIDGE,
        lab.name()
    );
    Ok(())
}

fn list(dir: &LabDir) -> Result<()> {
    lab::sweep(dir);
    for name in lab::list(dir) {
        let Ok(lab) = Lab::attach(dir, &name) else {
            say(&format!("{name}: incomplete"));
            continue;
        };
        println!("{name}  {}", lab.folder().display());
        lab.block_on(|| async {
            for machine in lab.machines() {
                match machine.info().await {
                    Ok(info) => println!(
                        "  {}  {}  power {}  boot {}  CPU {:.1} s  BMC {}",
                        info.name,
                        info.firmware,
                        info.power,
                        info.boot.as_deref().unwrap_or("default"),
                        info.cpu_seconds,
                        machine.spec().bmc
                    ),
                    Err(error) => println!("  {}  {error:#}", machine.spec().name),
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Prints the console until interrupted.
async fn console(machine: Machine<'_>, interactive: bool) -> Result<()> {
    let log: PathBuf = machine.console_log();
    let mut lines = lab::Console::from_start(&log)?;
    if interactive {
        return talk(machine).await;
    }
    loop {
        println!("{}", lines.next_line().await?);
    }
}

/// Connects the terminal to the console, line by line.
async fn talk(machine: Machine<'_>) -> Result<()> {
    let socket = tokio::net::UnixStream::connect(machine.console_socket())
        .await
        .with_context(|| format!("{} is off, or somebody else has its console", machine.spec().name))?;
    let (mut from, mut to) = socket.into_split();
    let receive = tokio::spawn(async move {
        let (mut buffer, mut terminal) = ([0; 4096], tokio::io::stdout());
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return anyhow::Ok(());
            }
            terminal.write_all(&buffer[..length]).await?;
            terminal.flush().await?;
        }
    });
    let send = async {
        let (mut buffer, mut terminal) = ([0; 4096], tokio::io::stdin());
        loop {
            let length = terminal.read(&mut buffer).await?;
            if length == 0 {
                return anyhow::Ok(());
            }
            to.write_all(&buffer[..length]).await?;
        }
    };
    tokio::select! {
        done = receive => done?,
        done = send => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alternates_from_bios() {
        let hardware = Hardware { machines: 3, firmware: FirmwareChoice::Both, memory: 512, disk: 4 };
        let kinds: Vec<&str> = hardware.specs().iter().map(|spec| spec.firmware.as_str()).collect();
        assert_eq!(kinds, ["bios", "uefi", "bios"]);
        assert!(hardware.specs().iter().all(|spec| spec.memory_mib == 512 && spec.disk_gib == 4));
    }
}
