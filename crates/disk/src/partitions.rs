//! The partitions on a disk: what they are, where, and which file system they hold. Reads tables and
//! signatures itself, so the kernel need not know the partitions yet.

use std::io::Read;
use std::path::PathBuf;

use disk_image::Guid;
use disk_image::gpt::{Gpt, GptError};
use disk_image::mbr::Mbr;

use crate::device::{BlockDevice, DeviceReader};
use crate::error::DiskError;
use crate::signature::{self, Signature};

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// GUID partition table.
    Gpt(Gpt),
    /// Master boot record alone.
    Mbr(Mbr),
}

/// What a partition is for, in the terms of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionType {
    /// GPT type.
    Gpt(Guid),
    /// MBR type.
    Mbr(u8),
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 1.
    pub number: u32,
    /// Device node the kernel gives it, e.g. `/dev/sda1`.
    pub path: PathBuf,
    /// Start in bytes.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type.
    pub kind: PartitionType,
    /// `PARTUUID`: the GUID, or disk signature and number (`1234abcd-01`).
    pub uuid: String,
    /// Name in a GPT; empty otherwise.
    pub name: String,
    /// The file system (or RAID, LVM, encryption) found at its start.
    pub content: Option<Signature>,
}

impl Partition {
    /// Whether firmware looks for boot loaders here.
    pub fn is_efi_system(&self) -> bool {
        matches!(
            self.kind,
            PartitionType::Gpt(Guid::EFI_SYSTEM) | PartitionType::Mbr(disk_image::mbr::EFI_SYSTEM)
        )
    }

    /// Whether a POWER machine's firmware boots from here.
    pub fn is_prep_boot(&self) -> bool {
        matches!(self.kind, PartitionType::Gpt(Guid::PREP_BOOT) | PartitionType::Mbr(0x41))
    }
}

/// The table of a disk; `None` when it has none.
pub fn table(device: &BlockDevice) -> Result<Option<Table>, DiskError> {
    let gpt = Gpt::read(&mut DeviceReader(device), device.size(), device.sector_size())
        .map_err(|source| table_error("read", device, source))?;
    if let Some(gpt) = gpt {
        return Ok(Some(Table::Gpt(gpt)));
    }
    Ok(Mbr::parse(&first_sector(device)?).filter(|mbr| !mbr.partitions().is_empty()).map(Table::Mbr))
}

/// The partitions of a disk, by number; empty when it has no table.
pub fn list(device: &BlockDevice) -> Result<Vec<Partition>, DiskError> {
    let sector = u64::from(device.sector_size());
    let mut partitions: Vec<Partition> = match table(device)? {
        None => Vec::new(),
        Some(Table::Gpt(gpt)) => gpt
            .partitions()
            .into_iter()
            .map(|entry| Partition {
                number: entry.number,
                path: device.partition_path(entry.number),
                start: entry.first.saturating_mul(sector),
                size: (entry.last - entry.first).saturating_add(1).saturating_mul(sector),
                kind: PartitionType::Gpt(entry.type_guid),
                uuid: entry.guid.to_string(),
                name: entry.name,
                content: None,
            })
            .collect(),
        Some(Table::Mbr(mbr)) => mbr
            .partitions()
            .into_iter()
            .map(|entry| Partition {
                number: entry.number,
                path: device.partition_path(entry.number),
                start: u64::from(entry.first) * sector,
                size: u64::from(entry.sectors) * sector,
                kind: PartitionType::Mbr(entry.kind),
                uuid: format!("{:08x}-{:02x}", mbr.signature(), entry.number),
                name: String::new(),
                content: None,
            })
            .collect(),
    };
    // A table may lie; what is beyond the disk has no content.
    partitions.retain(|partition| partition.start < device.size());
    for partition in &mut partitions {
        partition.content = signature::probe(device, partition.start, partition.size)?;
    }
    Ok(partitions)
}

/// The identifier of the disk as a whole: its GPT's GUID or its MBR's signature (`0x1234abcd`), which Ironic wants as
/// the root UUID of a whole-disk image.
pub fn disk_identifier(device: &BlockDevice) -> Result<Option<String>, DiskError> {
    Ok(table(device)?.map(|table| match table {
        Table::Gpt(gpt) => gpt.disk_guid.to_string(),
        Table::Mbr(mbr) => format!("0x{:08x}", mbr.signature()),
    }))
}

pub(crate) fn first_sector(device: &BlockDevice) -> Result<[u8; 512], DiskError> {
    let mut sector = [0; 512];
    if device.size() >= 512 {
        device.read_at(0, &mut sector)?;
    }
    Ok(sector)
}

pub(crate) fn write_gpt(device: &BlockDevice, gpt: &Gpt) -> Result<(), DiskError> {
    for (offset, bytes) in gpt.encode(&first_sector(device)?) {
        device.write_at(offset, &bytes)?;
        device.flush()?;
    }
    Ok(())
}

pub(crate) fn table_error(action: &'static str, device: &BlockDevice, source: GptError) -> DiskError {
    DiskError::PartitionTable { action, path: device.path().into(), source }
}

/// A new random GUID from the kernel.
pub(crate) fn random_guid() -> Result<Guid, DiskError> {
    let path = PathBuf::from("/dev/urandom");
    let mut random = [0; 16];
    std::fs::File::open(&path)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(|source| DiskError::Sysfs { path, source })?;
    Ok(Guid::from_random(random))
}
