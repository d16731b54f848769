//! Making firmware boot what was written: finds the loader in the EFI system partition and enters it in the boot order.
//! On BIOS machines (no efivars) there is nothing to do. Never runs anything from the image.

pub mod load_option;
pub mod variables;

use std::io;

use disk_image::ReadAt;

use crate::device::BlockDevice;
use crate::error::DiskError;
use crate::fat::{Entry, Fat, FatError};
use crate::partitions::{self, Partition, PartitionType, Table};
use load_option::{HardDrive, LoadOption};
use variables::EfiVars;

/// Label of our entry when the loader's vendor names none.
pub const DEFAULT_LABEL: &str = "wrought";

/// The processor a loader is for, in UEFI's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `x64`
    X64,
    /// `aa64`
    Aa64,
}

impl Architecture {
    /// The one this program runs on.
    pub fn current() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aa64 } else { Self::X64 }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Aa64 => "aa64",
        }
    }
}

/// A boot loader in an EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// The partition.
    pub partition: Partition,
    /// The path as firmware writes it, e.g. `\EFI\debian\shimx64.efi`.
    pub path: String,
    /// The vendor's label, from its CSV file.
    pub label: Option<String>,
    /// Optional data that the CSV file asks to pass.
    pub arguments: Option<String>,
}

/// An entry in the firmware's boot order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// Number of `Boot####`.
    pub number: u16,
    /// Its label.
    pub label: String,
    /// The loader it starts.
    pub loader: Loader,
    /// Earlier entries of the same label that were removed.
    pub removed: Vec<u16>,
}

/// Finds the loader on `device` and puts it first in the boot order, replacing entries of the same label.
/// `Ok(None)` on a machine without efivars (BIOS).
pub fn install_efi_entry(
    device: &BlockDevice,
    variables: &EfiVars,
    architecture: Architecture,
) -> Result<Option<BootEntry>, DiskError> {
    if !variables.exist() {
        return Ok(None);
    }
    let loader = find_loader(device, architecture)?;
    let label = loader.label.clone().unwrap_or_else(|| DEFAULT_LABEL.to_owned());
    let option = LoadOption {
        active: true,
        description: label.clone(),
        drive: hard_drive(device, &loader.partition)?,
        file: loader.path.clone(),
        data: loader.arguments.as_deref().map(load_option::utf16).unwrap_or_default(),
    };
    let (number, removed) = variables.put_first(&label, &option.encode())?;
    tracing::info!(number, label, loader = loader.path, "boot entry written");
    Ok(Some(BootEntry { number, label, loader, removed }))
}

fn hard_drive(device: &BlockDevice, partition: &Partition) -> Result<HardDrive, DiskError> {
    let sector = u64::from(device.sector_size());
    let (first, sectors) = (partition.start / sector, partition.size / sector);
    let table = partitions::table(device)?;
    match (partition.kind, table) {
        (PartitionType::Gpt(_), Some(Table::Gpt(gpt))) => {
            let guid = gpt.partitions().into_iter().find(|entry| entry.number == partition.number);
            let guid = guid.map(|entry| entry.guid).unwrap_or_default();
            Ok(HardDrive::gpt(partition.number, first, sectors, guid))
        }
        (PartitionType::Mbr(_), Some(Table::Mbr(mbr))) => {
            Ok(HardDrive::mbr(partition.number, first, sectors, mbr.signature()))
        }
        _ => Err(DiskError::NoPartitionTable { path: device.path().into() }),
    }
}

/// Looks in every EFI system partition of the disk: first for a vendor's `BOOTX64.CSV`, which names loader and label,
/// then for the removable media's path `\EFI\BOOT\BOOTX64.EFI`, then for a vendor's shim or GRUB.
pub fn find_loader(device: &BlockDevice, architecture: Architecture) -> Result<Loader, DiskError> {
    let partitions = partitions::list(device)?;
    let mut systems = partitions.into_iter().filter(Partition::is_efi_system).peekable();
    let missing = |missing| DiskError::NoLoader { path: device.path().into(), missing };
    if systems.peek().is_none() {
        return Err(missing("no EFI system partition"));
    }
    for partition in systems {
        let part = PartitionReader { device, start: partition.start, size: partition.size };
        let found = Fat::open(part)
            .and_then(|mut fat| find_in(&mut fat, architecture))
            .map_err(|source| DiskError::Fat { path: device.path().into(), source })?;
        if let Some((path, label, arguments)) = found {
            return Ok(Loader { partition, path, label, arguments });
        }
    }
    Err(missing("no boot loader in its EFI system partition"))
}

type Found = (String, Option<String>, Option<String>);

fn find_in<S: ReadAt>(fat: &mut Fat<S>, architecture: Architecture) -> Result<Option<Found>, FatError> {
    let Some(efi) = fat.find(&["EFI"])?.filter(|entry| entry.is_dir) else { return Ok(None) };
    let suffix = architecture.suffix();
    let vendors: Vec<Entry> = fat.read_dir(&efi)?.into_iter().filter(|entry| entry.is_dir).take(64).collect();
    for vendor in &vendors {
        let files = fat.read_dir(vendor)?;
        let csv_name = format!("boot{suffix}.csv");
        let Some(csv) = file_named(&files, &csv_name) else { continue };
        let parsed = parse_csv(&fat.read_file(csv)?);
        if let Some((loader, label, arguments)) = parsed
            && let Some(file) = file_named(&files, &loader)
        {
            let path = format!("\\EFI\\{}\\{}", vendor.name, file.name);
            return Ok(Some((path, Some(label), arguments)));
        }
    }
    let removable = format!("boot{suffix}.efi");
    if let Some(file) = fat.find(&["EFI", "BOOT", &removable])? {
        return Ok(Some((format!("\\EFI\\BOOT\\{}", file.name), None, None)));
    }
    for vendor in &vendors {
        let files = fat.read_dir(vendor)?;
        let names = [format!("shim{suffix}.efi"), format!("grub{suffix}.efi")];
        if let Some(file) = names.iter().find_map(|name| file_named(&files, name)) {
            return Ok(Some((format!("\\EFI\\{}\\{}", vendor.name, file.name), None, None)));
        }
    }
    Ok(None)
}

fn file_named<'a>(files: &'a [Entry], name: &str) -> Option<&'a Entry> {
    files.iter().find(|entry| !entry.is_dir && entry.name.eq_ignore_ascii_case(name))
}

/// First line of shim's fallback file: UTF-16LE `loader,label,arguments,comment`.
fn parse_csv(bytes: &[u8]) -> Option<(String, String, Option<String>)> {
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16_lossy(&units);
    let line = text.trim_start_matches('\u{feff}').lines().next()?;
    let mut fields = line.split(',').map(str::trim);
    let loader = fields.next().filter(|name| !name.is_empty() && !name.contains(['\\', '/']))?;
    let label: String = fields.next()?.chars().filter(|c| !c.is_control()).take(64).collect();
    let arguments = fields.next().filter(|text| !text.is_empty() && text.len() <= 256);
    (!label.is_empty()).then(|| (loader.to_owned(), label, arguments.map(str::to_owned)))
}

/// A partition as a source of its own, which ends where the partition ends.
struct PartitionReader<'a> {
    device: &'a BlockDevice,
    start: u64,
    size: u64,
}

impl ReadAt for PartitionReader<'_> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        self.device.raw().read_at(&mut buffer[..len], self.start.saturating_add(offset))
    }
}
