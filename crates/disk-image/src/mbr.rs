//! Master boot records with four primary partitions. Logical partitions are neither read nor made: no image to
//! deploy needs them, and a config drive takes a primary entry.

use crate::gpt::{ALIGNMENT, GptError};

/// Partition type of a protective MBR's entry.
const GPT_PROTECTIVE: u8 = 0xee;
const TABLE: usize = 446;
const ENTRY: usize = 16;

/// Partition type "Linux".
pub const LINUX: u8 = 0x83;
/// Partition type "EFI system partition".
pub const EFI_SYSTEM: u8 = 0xef;

/// A primary partition, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbrPartition {
    /// 1 to 4.
    pub number: u32,
    /// Whether a BIOS may boot it.
    pub active: bool,
    /// Type.
    pub kind: u8,
    /// First sector.
    pub first: u32,
    /// Length in sectors.
    pub sectors: u32,
}

/// The first sector of a disk with a partition table in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mbr {
    sector: Box<[u8; 512]>,
}

impl std::fmt::Debug for Mbr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mbr").field("partitions", &self.partitions()).finish()
    }
}

impl Mbr {
    /// Takes a first sector that ends in the signature and whose entries have sane boot indicators (a FAT boot
    /// sector has not).
    pub fn parse(sector: &[u8; 512]) -> Option<Self> {
        let sane = (0..4).all(|index| matches!(sector[TABLE + index * ENTRY], 0 | 0x80));
        (sector[510..] == [0x55, 0xaa] && sane).then_some(Self { sector: Box::new(*sector) })
    }

    /// The partitions, by number.
    pub fn partitions(&self) -> Vec<MbrPartition> {
        let entries = self.sector[TABLE..510].as_chunks::<ENTRY>().0;
        (1..)
            .zip(entries)
            .map(|(number, entry)| MbrPartition {
                number,
                active: entry[0] == 0x80,
                kind: entry[4],
                first: u32::from_le_bytes([entry[8], entry[9], entry[10], entry[11]]),
                sectors: u32::from_le_bytes([entry[12], entry[13], entry[14], entry[15]]),
            })
            .filter(|partition| partition.kind != 0 && partition.sectors != 0)
            .collect()
    }

    /// Whether it only guards a GPT.
    pub fn is_protective(&self) -> bool {
        self.partitions().iter().any(|partition| partition.kind == GPT_PROTECTIVE)
    }

    /// The disk's signature, from which `PARTUUID`s of its partitions are made.
    pub fn signature(&self) -> u32 {
        u32::from_le_bytes([self.sector[440], self.sector[441], self.sector[442], self.sector[443]])
    }

    /// Adds a partition of `bytes` at the end of the disk, as far as 32-bit sector numbers reach.
    pub fn add_at_end(
        &mut self,
        bytes: u64,
        disk_size: u64,
        sector_size: u32,
        kind: u8,
    ) -> Result<MbrPartition, GptError> {
        let sector = u64::from(sector_size);
        let no_room = || GptError::NoRoom { bytes };
        let partitions = self.partitions();
        let number = (1..=4)
            .find(|number| partitions.iter().all(|partition| partition.number != *number))
            .ok_or(GptError::Full { count: 4 })?;
        let end = (disk_size / sector).min(u64::from(u32::MAX));
        let sectors = bytes.div_ceil(sector);
        let align = ALIGNMENT / sector;
        let first = end.checked_sub(sectors).ok_or_else(no_room)? / align * align;
        let taken = partitions.iter().map(|p| u64::from(p.first) + u64::from(p.sectors)).max().unwrap_or(1);
        if first < taken || first == 0 {
            return Err(no_room());
        }
        let narrow = |value: u64| u32::try_from(value).map_err(|_| no_room());
        let partition =
            MbrPartition { number, active: false, kind, first: narrow(first)?, sectors: narrow(sectors)? };
        let at = TABLE + (number as usize - 1) * ENTRY;
        write_entry(&mut self.sector[at..at + ENTRY], &partition);
        Ok(partition)
    }

    /// The sector to write.
    pub fn encode(&self) -> [u8; 512] {
        *self.sector
    }
}

/// `present` with its table replaced by the one entry that guards a GPT up to sector `last`; its boot code stays.
/// A hybrid table (more than the one entry) stays as it is, because somebody made it so for a firmware's sake.
pub fn protective(present: &[u8; 512], last: u64) -> [u8; 512] {
    let mut sector = *present;
    let partitions = Mbr::parse(present).map(|mbr| mbr.partitions()).unwrap_or_default();
    if partitions.len() > 1 && partitions.iter().any(|partition| partition.kind == GPT_PROTECTIVE) {
        return sector;
    }
    let active = partitions.first().is_some_and(|partition| partition.active);
    let sectors = u32::try_from(last).unwrap_or(u32::MAX);
    sector[TABLE..510].fill(0);
    let entry = MbrPartition { number: 1, active, kind: GPT_PROTECTIVE, first: 1, sectors };
    write_entry(&mut sector[TABLE..TABLE + ENTRY], &entry);
    // UEFI 2.10, table 5.4: the start as cylinder, head and sector is 0x000200.
    sector[TABLE + 1..TABLE + 4].copy_from_slice(&[0x00, 0x02, 0x00]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Addresses by cylinder, head and sector are given as "too large" (0xffffff reads so everywhere): nothing that can
/// boot these images uses them.
fn write_entry(entry: &mut [u8], partition: &MbrPartition) {
    entry[0] = if partition.active { 0x80 } else { 0 };
    entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
    entry[4] = partition.kind;
    entry[5..8].copy_from_slice(&[0xff, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&partition.first.to_le_bytes());
    entry[12..16].copy_from_slice(&partition.sectors.to_le_bytes());
}
