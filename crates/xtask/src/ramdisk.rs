//! `cargo xtask ramdisk`: the kernel and the initramfs that machines boot to be inspected, cleaned and deployed.
//!
//! The initramfs is the static agent as `/init`, kernel modules and a table of them. Nothing else: no shell, no C
//! library, no package. The table, `/etc/wrought/modules`, has three kinds of lines; paths are absolute, and what a
//! module needs stands in the order to load:
//!
//! ```text
//! always PATH                          load at start, in this order
//! alias PATTERN PATH NEEDED...         load PATH, NEEDED first, for a device whose modalias matches the shell pattern
//! module NAME PATH NEEDED...           load by name (efivarfs, ipmi_devintf)
//! ```

use crate::build;
use crate::cpio::Archive;
use crate::kernel::{Flavour, Kernel};
use anyhow::{Context as _, Result};
use lab::LabDir;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when the archive's layout changes, so that old results are not taken for new ones.
const LAYOUT: u32 = 1;

/// Loaded before the agent looks for devices. What every virtual machine has, so that it has a disk and a network in
/// the first round; real hardware finds its drivers by alias.
const ALWAYS: &[&str] = &["virtio_pci", "virtio_net", "virtio_blk"];

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

/// File systems of virtual media and boot partitions, and the ways to firmware and BMC.
const FIRMWARE: &[&str] = &[
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    "nls_utf8",
    "loop",
    "efivarfs",
    "ipmi_si",
    "ipmi_devintf",
    "ipmi_ssif",
    "dmi_sysfs",
    "button",
];

/// A finished ramdisk.
#[derive(Debug)]
pub(crate) struct Ramdisk {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// Builds agent, kernel and initramfs, or finds them built from the same inputs. With `agent`, that program is the init.
pub(crate) fn ensure(
    lab: &LabDir,
    flavour: Flavour,
    refresh: bool,
    agent: Option<PathBuf>,
) -> Result<Ramdisk> {
    let agent = agent.map_or_else(build::agent, Ok)?;
    let kernel = Kernel::get(lab, flavour, refresh)?;
    let init = fs::read(&agent).with_context(|| format!("read {}", agent.display()))?;
    let folder = lab.ramdisks().join(flavour.as_str());
    let ramdisk = Ramdisk { kernel: folder.join("vmlinuz"), initramfs: folder.join("initramfs") };
    let inputs = inputs(&kernel, &init);
    let stamp = folder.join("inputs");
    if fs::read_to_string(&stamp).is_ok_and(|had| had == inputs) {
        return Ok(ramdisk);
    }
    fs::create_dir_all(&folder)?;
    let unpacked = archive(&kernel, &init)?.to_bytes();
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

/// Everything that decides the result, as one hash.
fn inputs(kernel: &Kernel, init: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(init);
    hash.update(kernel.release());
    for name in ALWAYS.iter().chain(["|"].iter()).chain(modules()) {
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
fn archive(kernel: &Kernel, init: &[u8]) -> Result<Archive> {
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
    let (table, paths) = module_table(kernel)?;
    for path in paths {
        let content =
            fs::read(kernel.modules_folder().join(&path)).with_context(|| format!("read module {path}"))?;
        archive.file(installed(kernel, &path).trim_start_matches('/'), content, false);
    }
    archive.file("etc/wrought/modules", table, false);
    Ok(archive)
}

/// Where a module lies in the ramdisk: flat, since names are unique.
fn installed(kernel: &Kernel, path: &str) -> String {
    format!("/lib/modules/{}/{}", kernel.release(), path.rsplit('/').next().unwrap_or(path))
}

/// The text of `/etc/wrought/modules`, and every module's path in the kernel package.
fn module_table(kernel: &Kernel) -> Result<(String, BTreeSet<String>)> {
    let mut table = String::new();
    let mut paths = BTreeSet::new();
    let mut written = BTreeSet::new();
    for (path, needs) in ALWAYS.iter().filter_map(|name| kernel.module(name)) {
        for path in needs.iter().map(String::as_str).chain([path]) {
            if written.insert(path.to_owned()) {
                writeln!(table, "always {}", installed(kernel, path))?;
            }
        }
    }
    let mut chosen = BTreeSet::new();
    for name in ALWAYS.iter().chain(modules()) {
        if let Some((path, needs)) = kernel.module(name) {
            chosen.insert(*name);
            paths.extend(needs.iter().cloned().chain([path.to_owned()]));
        }
    }
    let load = |name: &str| {
        kernel.module(name).map(|(path, needs)| {
            [path].into_iter().chain(needs.iter().map(String::as_str)).map(|path| installed(kernel, path))
        })
    };
    for (pattern, name) in kernel.aliases()? {
        if let (true, Some(files)) = (chosen.contains(name.as_str()), load(&name)) {
            writeln!(table, "alias {pattern} {}", files.collect::<Vec<_>>().join(" "))?;
        }
    }
    for name in &chosen {
        if let Some(files) = load(name) {
            writeln!(table, "module {name} {}", files.collect::<Vec<_>>().join(" "))?;
        }
    }
    Ok((table, paths))
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
        let build = || {
            let bytes = archive(&kernel, b"agent").unwrap().to_bytes();
            zstd::encode_all(bytes.as_slice(), 3).unwrap()
        };
        assert_eq!(build(), build());
        assert_ne!(inputs(&kernel, b"agent"), inputs(&kernel, b"another agent"));
    }

    #[test]
    fn every_file_of_the_table_is_in_the_ramdisk() {
        let kernel = kernel();
        let (table, paths) = module_table(&kernel).unwrap();
        let there: BTreeSet<String> = paths.iter().map(|path| installed(&kernel, path)).collect();
        assert_eq!(there.len(), paths.len(), "two modules share a file name");
        let mut kinds = BTreeSet::new();
        for line in table.lines() {
            let mut words = line.split(' ');
            let kind = words.next().unwrap();
            kinds.insert(kind);
            let files = words.skip(usize::from(kind != "always"));
            for file in files {
                assert!(there.contains(file), "{line}");
            }
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["alias", "always", "module"]);
    }

    #[test]
    fn the_network_card_of_a_virtual_machine_is_known() {
        let (table, _) = module_table(&kernel()).unwrap();
        assert!(table.contains("always /lib/modules/"), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.starts_with("alias virtio:d00000001v* ") && line.contains("virtio_net.ko"))
        );
    }

    #[test]
    fn sizes_are_decimal_megabytes() {
        assert_eq!(megabytes(14_250_000), "14.2 MB");
    }
}
