//! `cargo xtask ramdisk`: the kernel and the initramfs that machines boot to be inspected, cleaned and deployed.
//!
//! The initramfs is the static agent as `/init`, kernel modules and two tables of them, and the certificates of Debian's
//! package ca-certificates where this computer has it, for images from the Internet; and, unless it is built without,
//! what a rescuer needs to log in (`rescue_tools.rs`). The tables are those that the agent reads (see its `modules.rs`): `/etc/wrought/modules`, with a
//! line of files to load, in that order, for each module that is always wanted (`[always]`) or wanted for a device
//! (`[modalias]`) or by a rescuer (`[rescue]`), and `/etc/wrought/modules.alias`, depmod's patterns of devices for the latter.

use crate::build;
use crate::cpio::Archive;
use crate::kernel::{Flavour, Kernel};
use crate::rescue_tools::{self, RescueTools};
use anyhow::{Context as _, Result};
use lab::LabDir;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when the archive's layout changes, so that old results are not taken for new ones.
const LAYOUT: u32 = 4;

/// The authorities that are trusted, here and (without the first `/`) in the ramdisk, where the agent reads them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Loaded before the agent looks for devices: what every virtual machine has, so that it has a disk and a network in
/// the first round, and what no device asks for. The rest is found by alias.
const ALWAYS: &[&str] = &["virtio_pci", "virtio_net", "virtio_blk", "efivarfs", "ipmi_devintf"];

/// Network cards of servers of the last fifteen years, and of virtual machines.
const NETWORK: &[&str] = &[
    "virtio_net",
    "e1000",
    "e1000e",
    "igb",
    "igc",
    "ixgbe",
    "i40e",
    "ice",
    "iavf",
    "bnx2",
    "bnx2x",
    "bnxt_en",
    "tg3",
    "mlx4_en",
    "mlx5_core",
    "qede",
    "be2net",
    "cxgb4",
    "enic",
    "sfc",
    "atlantic",
    "r8169",
    "vmxnet3",
    "ena",
    "hv_netvsc",
    "8021q",
    "bonding",
];

/// Disk controllers and what disks hang on.
const STORAGE: &[&str] = &[
    "virtio_blk",
    "virtio_scsi",
    "ahci",
    "ata_piix",
    "nvme",
    "megaraid_sas",
    "mpt3sas",
    "mpi3mr",
    "hpsa",
    "smartpqi",
    "aacraid",
    "arcmsr",
    "mvsas",
    "isci",
    "3w_9xxx",
    "vmw_pvscsi",
    "hv_storvsc",
    "sd_mod",
    "sr_mod",
    "ses",
    "usb_storage",
    "uas",
    "xhci_pci",
    "ehci_pci",
    "uhci_hcd",
    "usbhid",
    "hid_generic",
];

/// The ways to firmware and BMC.
const FIRMWARE: &[&str] = &["efivarfs", "ipmi_si", "ipmi_devintf", "ipmi_ssif", "dmi_sysfs", "button"];

/// A finished ramdisk.
#[derive(Debug)]
pub(crate) struct Ramdisk {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// What goes into a ramdisk.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct RamdiskOptions {
    /// Ask apt for the newest kernel, even where one was downloaded before
    #[arg(long)]
    pub(crate) refresh: bool,
    /// A static program to take in the place of this tree's agent
    #[arg(long)]
    pub(crate) agent: Option<PathBuf>,
    /// Leave out what a rescuer needs to log in (SSH server, shell, file systems): `rescue` then fails
    #[arg(long)]
    pub(crate) without_rescue: bool,
}

/// Everything that is put into the archive.
#[derive(Clone, Copy)]
struct Content<'a> {
    kernel: &'a Kernel,
    init: &'a [u8],
    authorities: &'a [u8],
    rescue: Option<&'a RescueTools>,
}

/// Builds agent, kernel and initramfs, or finds them built from the same inputs.
pub(crate) fn ensure(lab: &LabDir, flavour: Flavour, options: &RamdiskOptions) -> Result<Ramdisk> {
    let RamdiskOptions { refresh, agent, without_rescue } = options.clone();
    let agent = agent.map_or_else(build::agent, Ok)?;
    let kernel = Kernel::get(lab, flavour, refresh)?;
    let init = fs::read(&agent).with_context(|| format!("read {}", agent.display()))?;
    let folder = lab.ramdisks().join(flavour.as_str());
    let ramdisk = Ramdisk { kernel: folder.join("vmlinuz"), initramfs: folder.join("initramfs") };
    let authorities = authorities()?;
    let rescue = if without_rescue { None } else { Some(RescueTools::get()?) };
    let content =
        Content { kernel: &kernel, init: &init, authorities: &authorities, rescue: rescue.as_ref() };
    let inputs = inputs(&content);
    let stamp = folder.join("inputs");
    if fs::read_to_string(&stamp).is_ok_and(|had| had == inputs) {
        return Ok(ramdisk);
    }
    fs::create_dir_all(&folder)?;
    let unpacked = archive(&content)?.to_bytes();
    let packed = zstd::encode_all(unpacked.as_slice(), 19).context("compress the initramfs")?;
    replace(&ramdisk.initramfs, &packed)?;
    replace(&ramdisk.kernel, &fs::read(kernel.image()).context("read the kernel")?)?;
    replace(&stamp, inputs.as_bytes())?;
    crate::say(&format!(
        "ramdisk ({}): {} unpacked, of it the agent {}",
        flavour.as_str(),
        megabytes(unpacked.len()),
        megabytes(init.len())
    ));
    Ok(ramdisk)
}

/// Prints what the ramdisk weighs: it is loaded over the network by every machine.
pub(crate) fn describe(ramdisk: &Ramdisk) -> Result<String> {
    let size = |path: &Path| -> Result<usize> { Ok(usize::try_from(fs::metadata(path)?.len())?) };
    let (kernel, initramfs) = (size(&ramdisk.kernel)?, size(&ramdisk.initramfs)?);
    Ok(format!(
        "{}  {}\n{}  {}\ntogether {}",
        ramdisk.kernel.display(),
        megabytes(kernel),
        ramdisk.initramfs.display(),
        megabytes(initramfs),
        megabytes(kernel + initramfs)
    ))
}

/// This computer's bundle of authorities; empty where there is none.
fn authorities() -> Result<Vec<u8>> {
    match fs::read(AUTHORITIES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.with_context(|| format!("read {AUTHORITIES}")),
    }
}

/// Everything that decides the result, as one hash.
fn inputs(content: &Content<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(content.init);
    hash.update(Sha256::digest(content.authorities));
    hash.update(content.kernel.release());
    hash.update(content.rescue.map(RescueTools::digest).unwrap_or_default());
    for name in ALWAYS.iter().chain(["|"].iter()).chain(modules()).chain(rescue_tools::MODULES) {
        hash.update(name);
        hash.update(" ");
    }
    let mut text = format!("layout {LAYOUT} ");
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn modules() -> impl Iterator<Item = &'static &'static str> {
    NETWORK.iter().chain(STORAGE).chain(FIRMWARE)
}

/// The whole root file system.
fn archive(content: &Content<'_>) -> Result<Archive> {
    let Content { kernel, init, authorities, rescue } = *content;
    let mut archive = Archive::default();
    for folder in ["dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var/tmp"] {
        archive.folder(folder);
    }
    // The kernel opens these for init before anything is mounted.
    archive.char_device("dev/console", 5, 1).char_device("dev/null", 1, 3);
    archive.file("init", init, true);
    // A static C library must not load name services of its own from anywhere.
    archive.file("etc/nsswitch.conf", "hosts: files dns\npasswd: files\ngroup: files\n", false);
    archive.file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", false);
    archive.file("etc/passwd", "root:x:0:0:root:/root:/init\n", false);
    archive.link("etc/mtab", "/proc/mounts");
    if !authorities.is_empty() {
        archive.file(AUTHORITIES.trim_start_matches('/'), authorities, false);
    }
    if let Some(rescue) = rescue {
        rescue.add_to(&mut archive);
    }
    let tables = Tables::of(kernel, rescue.is_some())?;
    for path in &tables.paths {
        let content =
            fs::read(kernel.modules_folder().join(path)).with_context(|| format!("read module {path}"))?;
        archive.file(installed(kernel, path).trim_start_matches('/'), content, false);
    }
    archive.file("etc/wrought/modules", tables.modules, false);
    archive.file("etc/wrought/modules.alias", tables.aliases, false);
    Ok(archive)
}

/// Where a module lies in the ramdisk: flat, since names are unique.
fn installed(kernel: &Kernel, path: &str) -> String {
    format!("/lib/modules/{}/{}", kernel.release(), path.rsplit('/').next().unwrap_or(path))
}

/// The two tables' texts, and the path in the kernel package of every module in them.
struct Tables {
    modules: String,
    aliases: String,
    paths: BTreeSet<String>,
}

impl Tables {
    fn of(kernel: &Kernel, rescue: bool) -> Result<Self> {
        let mut tables =
            Self { modules: "[always]\n".to_owned(), aliases: String::new(), paths: BTreeSet::new() };
        for name in ALWAYS {
            tables.add(kernel, name)?;
        }
        tables.modules.push_str("[modalias]\n");
        // In the order of their names, each once; a kernel may lack some, or have them built in.
        let chosen: BTreeSet<&str> = modules()
            .copied()
            .filter(|name| !ALWAYS.contains(name) && kernel.module(name).is_some())
            .collect();
        for name in &chosen {
            tables.add(kernel, name)?;
        }
        for (pattern, name) in kernel.aliases()? {
            if chosen.contains(name.as_str()) {
                writeln!(tables.aliases, "alias {pattern} {name}")?;
            }
        }
        if rescue {
            tables.modules.push_str("[rescue]\n");
            for name in rescue_tools::MODULES {
                tables.add(kernel, name)?;
            }
        }
        Ok(tables)
    }

    fn add(&mut self, kernel: &Kernel, name: &str) -> Result<()> {
        let Some((path, needs)) = kernel.module(name) else { return Ok(()) };
        write!(self.modules, "{name}")?;
        for path in needs.iter().map(String::as_str).chain([path]) {
            write!(self.modules, " {}", installed(kernel, path))?;
            self.paths.insert(path.to_owned());
        }
        writeln!(self.modules)?;
        Ok(())
    }
}

/// Writes beside and renames, so that a machine that is loading the old file is not disturbed.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, content).with_context(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("write {}", path.display()))
}

fn megabytes(bytes: usize) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs a kernel package: downloads it once.
    fn kernel() -> Kernel {
        Kernel::get(&LabDir::from_environment(), Flavour::Cloud, false).unwrap()
    }

    #[test]
    fn two_builds_are_equal() {
        let kernel = kernel();
        let tools = RescueTools::get().unwrap();
        let plain = Content { kernel: &kernel, init: b"agent", authorities: b"authorities", rescue: None };
        let rescuing = Content { rescue: Some(&tools), ..plain };
        let build = || {
            let bytes = archive(&rescuing).unwrap().to_bytes();
            zstd::encode_all(bytes.as_slice(), 3).unwrap()
        };
        assert_eq!(build(), build());
        let stamp = inputs(&plain);
        assert_eq!(stamp, inputs(&plain));
        assert_ne!(stamp, inputs(&Content { init: b"another agent", ..plain }));
        assert_ne!(stamp, inputs(&Content { authorities: b"other authorities", ..plain }));
        assert_ne!(stamp, inputs(&rescuing));
    }

    #[test]
    fn without_rescue_there_is_no_login() {
        let kernel = kernel();
        let plain = Content { kernel: &kernel, init: b"agent", authorities: b"", rescue: None };
        let bytes = archive(&plain).unwrap().to_bytes();
        for name in [&b"dropbear"[..], b"busybox", b"ext4.ko"] {
            assert!(!bytes.windows(name.len()).any(|part| part == name));
        }
    }

    #[test]
    fn every_file_of_the_tables_is_in_the_ramdisk() {
        let kernel = kernel();
        let tables = Tables::of(&kernel, true).unwrap();
        let there: BTreeSet<String> = tables.paths.iter().map(|path| installed(&kernel, path)).collect();
        assert_eq!(there.len(), tables.paths.len(), "two modules share a file name");
        let lines: Vec<&str> = tables.modules.lines().collect();
        let by_device = lines.iter().position(|line| *line == "[modalias]").unwrap();
        assert!(
            lines[0] == "[always]" && by_device > 1 && lines.len() > by_device + 10,
            "{}",
            tables.modules
        );
        let mut names = BTreeSet::new();
        for line in lines.iter().filter(|line| !line.starts_with('[')) {
            let mut words = line.split(' ');
            assert!(names.insert(words.next().unwrap()), "{line}: twice");
            let files: Vec<&str> = words.collect();
            assert!(!files.is_empty() && files.iter().all(|file| there.contains(*file)), "{line}");
        }
        for line in tables.aliases.lines() {
            assert!(names.contains(line.rsplit(' ').next().unwrap()), "{line}");
        }
    }

    #[test]
    fn the_hardware_of_a_virtual_machine_is_known() {
        let tables = Tables::of(&kernel(), true).unwrap();
        let line =
            |name: &str| tables.modules.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        // What a module needs stands before it.
        assert!(line("virtio_net").ends_with("/virtio_net.ko") && line("virtio_net").contains("/virtio.ko"));
        assert!(
            tables.aliases.lines().any(|line| line == "alias virtio:d00000008v* virtio_scsi"),
            "{}",
            tables.aliases
        );
    }

    #[test]
    fn sizes_are_decimal_megabytes() {
        assert_eq!(megabytes(14_250_000), "14.2 MB");
    }
}
