//! Which disks the machine has, from sysfs alone: no udev database, no `lsblk`.
//! The roots of `/sys` and `/dev` are parameters, so that tests run on a tree of files.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::DiskError;

/// Where sysfs and devtmpfs are mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Usually `/sys`.
    pub sys: PathBuf,
    /// Usually `/dev`; used to look up `disk/by-path` links. Names in the listing always start with `/dev`.
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into() }
    }
}

/// A disk as ironic-python-agent's inventory describes one (`inventory.disks[]`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskInfo {
    /// Device node, e.g. `/dev/sda`.
    pub name: String,
    /// Model as the device reports it.
    pub model: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Whether it spins.
    pub rotational: bool,
    /// World wide name, e.g. `0x5000c500a1b2c3d4` or `eui.0025385b71b0a4d0`.
    pub wwn: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Vendor as SCSI or PCI reports it.
    pub vendor: Option<String>,
    /// The whole of an NAA 6 name; equal to `wwn` where there is no extension.
    pub wwn_with_extension: Option<String>,
    /// The second half of an NAA 6 name.
    pub wwn_vendor_extension: Option<String>,
    /// Host, channel, target and LUN of a SCSI disk, e.g. `0:0:0:0`.
    pub hctl: Option<String>,
    /// `/dev/disk/by-path/…` as udev names it; derived from sysfs where there is no udev.
    pub by_path: Option<String>,
    /// Bytes in a logical sector.
    pub logical_sectors: Option<u32>,
    /// Bytes in a physical sector.
    pub physical_sectors: Option<u32>,
    /// `sata`, `sas`, `nvme`, `virtio`, `scsi`, `usb`, `iscsi` or `mmc`.
    pub tran: Option<String>,
}

/// Names of block devices that are no disks: memory, loop, removable media, parts and maps of other devices.
const NO_DISKS: &[&str] = &["loop", "ram", "zram", "sr", "fd", "dm-", "nbd", "mtdblock", "zd"];

/// The machine's disks, by name. Devices without a medium (size 0), hidden `NVMe` paths and the boot partitions of
/// MMC are left out.
pub fn list(roots: &Roots) -> Result<Vec<DiskInfo>, DiskError> {
    let directory = roots.sys.join("block");
    let failed = |source| DiskError::Sysfs { path: directory.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    Ok(names.iter().filter_map(|name| describe(roots, &directory.join(name), name)).collect())
}

fn is_disk_name(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mmc_part = name.starts_with("mmcblk") && (name.contains("boot") || name.ends_with("rpmb"));
    !mmc_part && !NO_DISKS.iter().any(|prefix| numbered(prefix))
}

fn describe(roots: &Roots, dir: &Path, name: &str) -> Option<DiskInfo> {
    let size = attribute(&dir.join("size"))?.parse::<u64>().ok()?.checked_mul(512)?;
    if !is_disk_name(name) || size == 0 || attribute(&dir.join("hidden")).as_deref() == Some("1") {
        return None;
    }
    // The link of /sys/block names the whole way from the bus to the disk.
    let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    let way = Way::of(&real);
    let device = dir.join("device");
    let wwn = Wwn::of(dir);
    Some(DiskInfo {
        name: format!("/dev/{name}"),
        model: attribute(&device.join("model")),
        size,
        rotational: attribute(&dir.join("queue/rotational")).as_deref() == Some("1"),
        serial: serial(dir),
        vendor: attribute(&device.join("vendor")),
        hctl: way.hctl.clone(),
        by_path: udev_by_path(roots, name).or_else(|| way.by_path(roots, name)),
        logical_sectors: attribute(&dir.join("queue/logical_block_size")).and_then(|text| text.parse().ok()),
        physical_sectors: attribute(&dir.join("queue/physical_block_size"))
            .and_then(|text| text.parse().ok()),
        tran: way.transport(name).map(str::to_owned),
        wwn: wwn.name,
        wwn_with_extension: wwn.whole,
        wwn_vendor_extension: wwn.extension,
    })
}

/// A sysfs attribute without the blanks around it; `None` when absent, empty or not a small file.
fn attribute(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok().filter(|bytes| bytes.len() <= 4096)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Serial number: `NVMe`, MMC and virtio have a file, SCSI and ATA a vital product data page 0x80 (SPC-5, 7.7.18:
/// four bytes of header, then ASCII).
fn serial(dir: &Path) -> Option<String> {
    let page = || {
        let bytes = fs::read(dir.join("device/vpd_pg80")).ok()?;
        let text: String = bytes
            .get(4..)?
            .iter()
            .map(|byte| char::from(*byte))
            .filter(|c| c.is_ascii_graphic() || *c == ' ')
            .collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    attribute(&dir.join("device/serial")).or_else(|| attribute(&dir.join("serial"))).or_else(page)
}

#[derive(Debug, Default)]
struct Wwn {
    name: Option<String>,
    whole: Option<String>,
    extension: Option<String>,
}

impl Wwn {
    /// The kernel writes `naa.` and 16 or 32 digits for SCSI and ATA, `eui.`, `nvme.` or `uuid.` for `NVMe`. udev's
    /// names, which hints are written in, have `0x` for `naa.` and split NAA 6 in two halves.
    fn of(dir: &Path) -> Self {
        let Some(id) = attribute(&dir.join("wwid")).or_else(|| attribute(&dir.join("device/wwid"))) else {
            return Self::default();
        };
        let Some(digits) = id.strip_prefix("naa.").filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))
        else {
            let known = ["eui.", "nvme.", "uuid."].iter().any(|prefix| id.starts_with(prefix));
            let name = known.then_some(id);
            return Self { whole: name.clone(), name, extension: None };
        };
        let hex = |text: &str| Some(format!("0x{text}"));
        if digits.len() == 32 {
            return Self { name: hex(&digits[..16]), whole: hex(digits), extension: hex(&digits[16..]) };
        }
        Self { name: hex(digits), whole: hex(digits), extension: None }
    }
}

/// What the way through the buses says.
#[derive(Debug, Default)]
struct Way {
    parts: Vec<String>,
    hctl: Option<String>,
}

impl Way {
    fn of(real: &Path) -> Self {
        let parts: Vec<String> = real.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let is_hctl = |part: &&String| {
            part.split(':').count() == 4
                && part.split(':').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        let hctl = parts.iter().rev().find(is_hctl).cloned();
        Self { parts, hctl }
    }

    fn has(&self, prefix: &str) -> Option<&str> {
        self.parts.iter().map(String::as_str).find(|part| {
            part.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    fn transport(&self, name: &str) -> Option<&'static str> {
        if name.starts_with("nvme") {
            return Some("nvme");
        }
        if name.starts_with("mmcblk") {
            return Some("mmc");
        }
        if self.hctl.is_none() {
            return self.has("virtio").map(|_| "virtio");
        }
        let kinds = [("usb", "usb"), ("ata", "sata"), ("session", "iscsi"), ("end_device-", "sas")];
        let kind = kinds.into_iter().find(|(prefix, _)| self.has(prefix).is_some());
        Some(kind.map_or("scsi", |(_, tran)| tran))
    }

    /// The name udev's `path_id` would give: the last PCI function, then the port on its bus. Ways that it names
    /// by more than that (SAS expanders, iSCSI, Fibre Channel) get none rather than a wrong one.
    fn by_path(&self, roots: &Roots, name: &str) -> Option<String> {
        let pci = self.parts.iter().rev().find(|part| is_pci_address(part))?;
        let hctl = self.hctl.as_deref();
        let tail = match self.transport(name)? {
            "virtio" => String::new(),
            "nvme" => format!("-nvme-{}", name.rsplit_once('n')?.1),
            "sata" => {
                let port = self.has("ata")?;
                let number = attribute(&roots.sys.join("class/ata_port").join(port).join("port_no"))
                    .unwrap_or_else(|| port.trim_start_matches("ata").to_owned());
                format!("-ata-{number}")
            }
            // udev counts hosts from the first below the same parent, so a lone controller's is 0.
            "scsi" => format!("-scsi-0:{}", hctl?.split_once(':')?.1),
            "usb" => {
                let interface =
                    self.parts.iter().rev().find(|part| part.contains('-') && part.contains(':'))?;
                let (_, port) = interface.split_once('-')?;
                format!("-usb-0:{port}-scsi-0:{}", hctl?.split_once(':')?.1)
            }
            _ => return None,
        };
        Some(format!("/dev/disk/by-path/pci-{pci}{tail}"))
    }
}

/// `dddd:bb:dd.f`.
fn is_pci_address(part: &str) -> bool {
    let shape = |c: char| if c.is_ascii_hexdigit() { 'x' } else { c };
    part.chars().map(shape).collect::<String>() == "xxxx:xx:xx.x"
}

/// The link in `/dev/disk/by-path` that leads to `name`, where udev made one.
fn udev_by_path(roots: &Roots, name: &str) -> Option<String> {
    let mut links: Vec<_> = fs::read_dir(roots.dev.join("disk/by-path"))
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|to| to.file_name().is_some_and(|file| file == name))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    links.sort();
    links.first().map(|link| format!("/dev/disk/by-path/{link}"))
}
