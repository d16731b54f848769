//! GUID partition tables (UEFI specification 2.10, chapter 5): read, checked, moved to another disk size,
//! extended by a partition, encoded. All of it on values: the caller writes what [`Gpt::encode`] returns.

use thiserror::Error;

use crate::mbr::{self, Mbr};
use crate::{Guid, ReadAt};

const SIGNATURE: &[u8; 8] = b"EFI PART";
const HEADER_LEN: usize = 92;
/// Largest entry array: far beyond the 16 KiB that everyone uses, small enough to read from anyone.
const MOST_ENTRY_BYTES: usize = 1 << 20;
/// Partitions start at multiples of this many bytes.
pub const ALIGNMENT: u64 = 1 << 20;

/// Why a table was refused or a change is impossible.
#[derive(Debug, Error)]
pub enum GptError {
    /// The source failed.
    #[error("reading the partition table")]
    Read(#[from] std::io::Error),
    /// Both headers are invalid although the protective MBR promises a GPT.
    #[error("both GPT headers are damaged")]
    Damaged,
    /// A partition lies beyond the disk.
    #[error("partition {number} ends at sector {last}, beyond the disk's last usable sector {usable}")]
    BeyondDisk {
        /// Number of the partition.
        number: u32,
        /// Its last sector.
        last: u64,
        /// Last usable sector.
        usable: u64,
    },
    /// All entries are taken.
    #[error("all {count} entries of the partition table are taken")]
    Full {
        /// How many there are.
        count: u32,
    },
    /// No room for a partition of this size.
    #[error("no free room of {bytes} bytes at the end of the disk")]
    NoRoom {
        /// Wanted.
        bytes: u64,
    },
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 1: the kernel's.
    pub number: u32,
    /// What it is for.
    pub type_guid: Guid,
    /// Its own name for good (`PARTUUID`).
    pub guid: Guid,
    /// First sector.
    pub first: u64,
    /// Last sector, inclusive.
    pub last: u64,
    /// Attribute bits.
    pub attributes: u64,
    /// Name, at most 36 UTF-16 units.
    pub name: String,
}

/// A partition table, as its primary or backup copy has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpt {
    /// GUID of the disk.
    pub disk_guid: Guid,
    /// Bytes in a sector.
    pub sector_size: u32,
    /// Whether the primary copy was damaged and the backup was read.
    pub from_backup: bool,
    first_usable: u64,
    last_usable: u64,
    /// Where the backup header was when the table was read.
    alternate: u64,
    /// Where the primary copy keeps its entries: sector 2, but on boards whose boot ROM wants its code there.
    entries_at: u64,
    entry_size: usize,
    /// The entries as they are on disk, so that what is not understood is kept.
    entries: Vec<u8>,
}

impl Gpt {
    /// Reads the primary copy, or the backup at the end of the disk. `Ok(None)` when there is no GPT at all: no
    /// header in either place and no protective MBR.
    pub fn read(source: &mut dyn ReadAt, disk_size: u64, sector_size: u32) -> Result<Option<Self>, GptError> {
        let sector = u64::from(sector_size);
        if disk_size < sector * 6 {
            return Ok(None);
        }
        let last = disk_size / sector - 1;
        if let Some(table) = Self::read_copy(source, 1, last, sector_size)? {
            return Ok(Some(table));
        }
        let backup = Self::read_copy(source, last, last, sector_size)?;
        if let Some(table) = backup {
            return Ok(Some(Self { from_backup: true, ..table }));
        }
        let mut first = [0; 512];
        source.read_exact_at(0, &mut first)?;
        if Mbr::parse(&first).is_some_and(|mbr| mbr.is_protective()) {
            Err(GptError::Damaged)
        } else {
            Ok(None)
        }
    }

    /// The sector size that a raw image's GPT counts in, from the image's first bytes (12 KiB are enough).
    pub fn sector_size_of(head: &[u8]) -> Option<u32> {
        [512_u32, 4096]
            .into_iter()
            .find(|size| head.get(*size as usize..).is_some_and(|header| header.starts_with(SIGNATURE)))
    }

    /// The copy at sector `at`; `None` when there is none that is whole.
    fn read_copy(
        source: &mut dyn ReadAt,
        at: u64,
        disk_last: u64,
        sector_size: u32,
    ) -> Result<Option<Self>, GptError> {
        let sector = u64::from(sector_size);
        let mut header = vec![0; sector_size as usize];
        source.read_exact_at(at * sector, &mut header)?;
        let Some(fields) = Fields::parse(&header, at) else { return Ok(None) };
        let len = fields.entry_size * fields.entry_count;
        let sectors = (len as u64).div_ceil(sector);
        let fits = fields.entries_at >= 1
            && fields.entries_at.checked_add(sectors).is_some_and(|end| end <= disk_last + 1);
        if !fits {
            return Ok(None);
        }
        let mut entries = vec![0; len];
        source.read_exact_at(fields.entries_at * sector, &mut entries)?;
        if crc32(&entries) != fields.entries_crc {
            return Ok(None);
        }
        Ok(Some(Self {
            disk_guid: fields.disk_guid,
            sector_size,
            from_backup: false,
            first_usable: fields.first_usable,
            last_usable: fields.last_usable,
            alternate: fields.alternate,
            entries_at: if at == 1 { fields.entries_at } else { 2 },
            entry_size: fields.entry_size,
            entries,
        }))
    }

    /// An empty table for a disk of `disk_size` bytes.
    pub fn empty(disk_size: u64, sector_size: u32, disk_guid: Guid) -> Result<Self, GptError> {
        let sector = u64::from(sector_size);
        let mut table = Self {
            disk_guid,
            sector_size,
            from_backup: false,
            first_usable: 2 + 16384_u64.div_ceil(sector),
            last_usable: 0,
            alternate: 0,
            entries_at: 2,
            entry_size: 128,
            entries: vec![0; 16384],
        };
        table.fit(disk_size)?;
        Ok(table)
    }

    /// Whether the backup copy belongs at the end of a disk of this size and primary and backup agree about it.
    pub fn fits(&self, disk_size: u64) -> bool {
        let sectors = disk_size / u64::from(self.sector_size);
        let usable = sectors.checked_sub(self.entry_sectors() + 2);
        self.alternate.checked_add(1) == Some(sectors)
            && usable.is_some_and(|usable| self.last_usable <= usable)
            && !self.from_backup
    }

    /// Makes the table one for a disk of `disk_size` bytes: the backup goes to its end and what lies between becomes
    /// usable. Fails when a partition would not fit.
    pub fn fit(&mut self, disk_size: u64) -> Result<(), GptError> {
        let sectors = disk_size / u64::from(self.sector_size);
        let usable = sectors.checked_sub(self.entry_sectors() + 2);
        let usable = usable.filter(|usable| *usable >= self.first_usable);
        let usable = usable.ok_or(GptError::NoRoom { bytes: disk_size })?;
        if let Some(partition) = self.partitions().iter().find(|partition| partition.last > usable) {
            return Err(GptError::BeyondDisk { number: partition.number, last: partition.last, usable });
        }
        self.last_usable = usable;
        self.alternate = sectors - 1;
        self.from_backup = false;
        Ok(())
    }

    /// The partitions in the order of their numbers.
    pub fn partitions(&self) -> Vec<Partition> {
        (1..)
            .zip(self.entries.chunks_exact(self.entry_size))
            .filter_map(|(n, entry)| parse_entry(n, entry))
            .collect()
    }

    /// Adds a partition that ends at the last usable sector, `bytes` long (rounded up so that it starts aligned),
    /// under the lowest free number. Call [`Self::fit`] first.
    pub fn add_at_end(
        &mut self,
        bytes: u64,
        type_guid: Guid,
        guid: Guid,
        name: &str,
    ) -> Result<Partition, GptError> {
        let sector = u64::from(self.sector_size);
        let partitions = self.partitions();
        let taken =
            partitions.iter().map(|partition| partition.last + 1).max().unwrap_or(0).max(self.first_usable);
        let align = ALIGNMENT / sector;
        let no_room = || GptError::NoRoom { bytes };
        // From the end, down to a multiple of 1 MiB.
        let first =
            (self.last_usable + 1).checked_sub(bytes.div_ceil(sector)).ok_or_else(no_room)? / align * align;
        if first < taken || first == 0 {
            return Err(no_room());
        }
        let count = u32::try_from(self.entries.len() / self.entry_size).unwrap_or(u32::MAX);
        let number = (1..=count)
            .find(|number| partitions.iter().all(|partition| partition.number != *number))
            .ok_or(GptError::Full { count })?;
        let last = first + bytes.div_ceil(sector) - 1;
        let partition =
            Partition { number, type_guid, guid, first, last, attributes: 0, name: name.to_owned() };
        let at = (number as usize - 1) * self.entry_size;
        write_entry(&mut self.entries[at..at + self.entry_size], &partition);
        Ok(partition)
    }

    /// What to write where (byte offset, bytes), backup first so that a crash in between leaves one good copy:
    /// backup entries and header, primary entries and header, and the protective MBR's partition entries. `mbr` is
    /// the present first sector, whose boot code stays. Call [`Self::fit`] first: it decides where the backup is.
    pub fn encode(&self, mbr: &[u8; 512]) -> Vec<(u64, Vec<u8>)> {
        let sector = u64::from(self.sector_size);
        let last = self.alternate;
        let backup_entries = last.saturating_sub(self.entry_sectors());
        let header = |own: u64, other: u64, entries_at: u64| self.encode_header(own, other, entries_at);
        vec![
            (backup_entries * sector, self.entries.clone()),
            (last * sector, header(last, 1, backup_entries)),
            (self.entries_at * sector, self.entries.clone()),
            (sector, header(1, last, self.entries_at)),
            (0, mbr::protective(mbr, last).to_vec()),
        ]
    }

    fn entry_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.sector_size.into())
    }

    fn encode_header(&self, own: u64, other: u64, entries_at: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.sector_size as usize];
        let count = self.entries.len() / self.entry_size;
        // Bounded by MOST_ENTRY_BYTES.
        let narrow = |value: usize| u32::try_from(value).unwrap_or(0).to_le_bytes();
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&narrow(HEADER_LEN));
        bytes[24..32].copy_from_slice(&own.to_le_bytes());
        bytes[32..40].copy_from_slice(&other.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_usable.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.last_usable.to_le_bytes());
        bytes[56..72].copy_from_slice(&self.disk_guid.0);
        bytes[72..80].copy_from_slice(&entries_at.to_le_bytes());
        bytes[80..84].copy_from_slice(&narrow(count));
        bytes[84..88].copy_from_slice(&narrow(self.entry_size));
        bytes[88..92].copy_from_slice(&crc32(&self.entries).to_le_bytes());
        let crc = crc32(&bytes[..HEADER_LEN]);
        bytes[16..20].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// The fields of a header that passed its checks.
struct Fields {
    alternate: u64,
    first_usable: u64,
    last_usable: u64,
    disk_guid: Guid,
    entries_at: u64,
    entry_count: usize,
    entry_size: usize,
    entries_crc: u32,
}

impl Fields {
    fn parse(header: &[u8], at: u64) -> Option<Self> {
        let length = le32(header, 12) as usize;
        if !header.starts_with(SIGNATURE)
            || length < HEADER_LEN
            || length > header.len()
            || le64(header, 24) != at
        {
            return None;
        }
        let mut checked = header[..length].to_vec();
        checked[16..20].fill(0);
        if crc32(&checked) != le32(header, 16) {
            return None;
        }
        let (entry_count, entry_size) = (le32(header, 80) as usize, le32(header, 84) as usize);
        let sane = entry_size >= 128
            && entry_size.is_power_of_two()
            && entry_count > 0
            && entry_count.checked_mul(entry_size).is_some_and(|len| len <= MOST_ENTRY_BYTES);
        let mut disk_guid = Guid::NIL;
        disk_guid.0.copy_from_slice(&header[56..72]);
        sane.then_some(Self {
            alternate: le64(header, 32),
            first_usable: le64(header, 40),
            last_usable: le64(header, 48),
            disk_guid,
            entries_at: le64(header, 72),
            entry_count,
            entry_size,
            entries_crc: le32(header, 88),
        })
    }
}

fn parse_entry(number: u32, entry: &[u8]) -> Option<Partition> {
    let mut type_guid = Guid::NIL;
    type_guid.0.copy_from_slice(&entry[..16]);
    let mut guid = Guid::NIL;
    guid.0.copy_from_slice(&entry[16..32]);
    let (first, last) = (le64(entry, 32), le64(entry, 40));
    if type_guid == Guid::NIL || first > last {
        return None;
    }
    let units: Vec<u16> = entry[56..128]
        .as_chunks::<2>()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit))
        .take_while(|unit| *unit != 0)
        .collect();
    let name = String::from_utf16_lossy(&units);
    Some(Partition { number, type_guid, guid, first, last, attributes: le64(entry, 48), name })
}

fn write_entry(entry: &mut [u8], partition: &Partition) {
    entry.fill(0);
    entry[..16].copy_from_slice(&partition.type_guid.0);
    entry[16..32].copy_from_slice(&partition.guid.0);
    entry[32..40].copy_from_slice(&partition.first.to_le_bytes());
    entry[40..48].copy_from_slice(&partition.last.to_le_bytes());
    entry[48..56].copy_from_slice(&partition.attributes.to_le_bytes());
    for (place, unit) in entry[56..128].chunks_exact_mut(2).zip(partition.name.encode_utf16()) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u32::from_le_bytes(*field))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u64::from_le_bytes(*field))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
