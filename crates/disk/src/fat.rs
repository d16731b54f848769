//! FAT12, FAT16 and FAT32, read-only and just enough to find a boot loader in an EFI system partition (Microsoft's FAT
//! specification 1.03). Every chain, directory and file is bounded, since the file system is a tenant's.

use std::io;

use disk_image::ReadAt;
use thiserror::Error;

/// Most entries read of one directory.
const MOST_ENTRIES: usize = 4096;
/// Most bytes read of one directory or file.
const MOST_BYTES: usize = 256 * 1024;

/// Why a FAT file system cannot be read.
#[derive(Debug, Error)]
pub enum FatError {
    /// The source failed or ended.
    #[error("reading the file system")]
    Read(#[from] io::Error),
    /// The boot sector is not FAT's.
    #[error("not a FAT file system")]
    NotFat,
    /// A chain of clusters leaves the file system or does not end.
    #[error("a chain of clusters is broken at cluster {cluster}")]
    Chain {
        /// Where.
        cluster: u32,
    },
    /// A file or directory is larger than this reader takes.
    #[error("a file or directory is larger than {MOST_BYTES} bytes")]
    TooLarge,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Long name where there is one, else the short one.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Size in bytes (0 for directories).
    pub size: u32,
    cluster: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// A mounted file system; `source` starts with its boot sector.
#[derive(Debug)]
pub struct Fat<S> {
    source: S,
    width: Width,
    cluster_size: usize,
    /// Where the first file allocation table starts, in bytes.
    table_at: u64,
    root: Root,
    data_at: u64,
    clusters: u32,
}

#[derive(Debug, Clone, Copy)]
enum Root {
    Fixed { at: u64, bytes: usize },
    Chain { cluster: u32 },
}

impl<S: ReadAt> Fat<S> {
    /// Reads the boot sector.
    pub fn open(mut source: S) -> Result<Self, FatError> {
        let mut boot = [0; 512];
        source.read_exact_at(0, &mut boot)?;
        let le16 = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let le32 =
            |at: usize| u64::from(u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]));
        let either = |short: u64, long: u64| if short == 0 { long } else { short };
        let (sector, per_cluster) = (le16(11), u64::from(boot[13]));
        let (reserved, fats, root_entries) = (le16(14), u64::from(boot[16]), le16(17));
        let (total, fat_sectors) = (either(le16(19), le32(32)), either(le16(22), le32(36)));
        let sane = matches!(sector, 512 | 1024 | 2048 | 4096)
            && per_cluster.is_power_of_two()
            && matches!(fats, 1 | 2)
            && reserved > 0
            && fat_sectors > 0
            && boot[510..] == [0x55, 0xaa];
        if !sane {
            return Err(FatError::NotFat);
        }
        let root_sectors = (root_entries * 32).div_ceil(sector);
        let root_at = reserved + fats * fat_sectors;
        let data = root_at + root_sectors;
        let clusters = total.checked_sub(data).ok_or(FatError::NotFat)? / per_cluster;
        let clusters = u32::try_from(clusters).map_err(|_| FatError::NotFat)?;
        // The number of clusters alone decides (section 3.5).
        let width = match clusters {
            0..4085 => Width::Fat12,
            4085..65525 => Width::Fat16,
            _ => Width::Fat32,
        };
        let root = match width {
            Width::Fat32 => Root::Chain { cluster: u32::try_from(le32(44)).unwrap_or(0) },
            // At most 65535 entries of 32 bytes.
            _ => Root::Fixed { at: root_at * sector, bytes: usize::try_from(root_entries * 32).unwrap_or(0) },
        };
        let cluster_size = usize::try_from(sector * per_cluster).unwrap_or(usize::MAX);
        Ok(Self {
            source,
            width,
            cluster_size,
            table_at: reserved * sector,
            root,
            data_at: data * sector,
            clusters,
        })
    }

    /// What is in the root directory.
    pub fn root(&mut self) -> Result<Vec<Entry>, FatError> {
        let bytes = match self.root {
            Root::Chain { cluster } => self.chain(cluster, MOST_BYTES)?,
            Root::Fixed { at, bytes } => {
                let mut table = vec![0; bytes.min(MOST_BYTES)];
                self.source.read_exact_at(at, &mut table)?;
                table
            }
        };
        Ok(parse_directory(&bytes))
    }

    /// What is in a directory.
    pub fn read_dir(&mut self, directory: &Entry) -> Result<Vec<Entry>, FatError> {
        let bytes = self.chain(directory.cluster, MOST_BYTES)?;
        Ok(parse_directory(&bytes))
    }

    /// The bytes of a file of at most 256 KiB.
    pub fn read_file(&mut self, file: &Entry) -> Result<Vec<u8>, FatError> {
        let size = usize::try_from(file.size).unwrap_or(usize::MAX);
        if size > MOST_BYTES {
            return Err(FatError::TooLarge);
        }
        let mut bytes = if size == 0 { Vec::new() } else { self.chain(file.cluster, size)? };
        bytes.truncate(size);
        Ok(bytes)
    }

    /// The entry at a path of names, compared without regard to case.
    pub fn find(&mut self, path: &[&str]) -> Result<Option<Entry>, FatError> {
        let mut entries = self.root()?;
        let mut found = None;
        for (depth, name) in path.iter().enumerate() {
            found = entries.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
            let Some(entry) = &found else { return Ok(None) };
            if depth + 1 == path.len() {
                break;
            }
            if !entry.is_dir {
                return Ok(None);
            }
            entries = self.read_dir(entry)?;
        }
        Ok(found)
    }

    /// The clusters from `first` on, until the chain ends or `most` bytes are read (rounded up to a cluster).
    fn chain(&mut self, first: u32, most: usize) -> Result<Vec<u8>, FatError> {
        let mut bytes = Vec::new();
        let mut cluster = first;
        while bytes.len() < most {
            let index = cluster.checked_sub(2).filter(|index| *index < self.clusters);
            let index = index.ok_or(FatError::Chain { cluster })?;
            let start = bytes.len();
            bytes.resize(start + self.cluster_size, 0);
            let at = self.data_at + u64::from(index) * self.cluster_size as u64;
            self.source.read_exact_at(at, &mut bytes[start..])?;
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => break,
            }
        }
        Ok(bytes)
    }

    fn next(&mut self, cluster: u32) -> Result<Option<u32>, FatError> {
        let n = u64::from(cluster);
        let mut field = [0; 4];
        let (at, len) = match self.width {
            Width::Fat12 => (n + n / 2, 2),
            Width::Fat16 => (n * 2, 2),
            Width::Fat32 => (n * 4, 4),
        };
        self.source.read_exact_at(self.table_at + at, &mut field[..len])?;
        let value = u32::from_le_bytes(field);
        let (value, end) = match self.width {
            Width::Fat12 if cluster & 1 == 1 => (value >> 4, 0xff8),
            Width::Fat12 => (value & 0xfff, 0xff8),
            Width::Fat16 => (value, 0xfff8),
            Width::Fat32 => (value & 0x0fff_ffff, 0x0fff_fff8),
        };
        Ok((value < end).then_some(value))
    }
}

fn parse_directory(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long: Vec<u16> = Vec::new();
    for entry in bytes.as_chunks::<32>().0.iter().take(MOST_ENTRIES) {
        match (entry[0], entry[11]) {
            (0, _) => break,
            (0xe5, _) => long.clear(),
            (order, 0x0f) => {
                if order & 0x40 != 0 {
                    long.clear();
                }
                // The parts come last part first.
                let units = [&entry[1..11], &entry[14..26], &entry[28..32]].concat();
                let units = units.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
                let mut part: Vec<u16> = units.collect();
                part.append(&mut long);
                long = part;
                long.truncate(260);
            }
            // A volume label.
            (_, attributes) if attributes & 0x08 != 0 => long.clear(),
            (_, attributes) => {
                let name = if long.is_empty() { short_name(entry) } else { long_name(&long) };
                long.clear();
                let high = u32::from(u16::from_le_bytes([entry[20], entry[21]]));
                let low = u32::from(u16::from_le_bytes([entry[26], entry[27]]));
                let size = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
                if name != "." && name != ".." {
                    entries.push(Entry {
                        name,
                        is_dir: attributes & 0x10 != 0,
                        size,
                        cluster: high << 16 | low,
                    });
                }
            }
        }
    }
    entries
}

fn long_name(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// A name without a long one: upper case on disk, with two bits in byte 12 that say what is shown in lower case (Windows
/// NT's, which Linux and mtools write too).
fn short_name(entry: &[u8; 32]) -> String {
    let part = |bytes: &[u8], lower: bool| {
        let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
        if lower { text.to_ascii_lowercase() } else { text }
    };
    let base = part(&entry[..8], entry[12] & 0x08 != 0);
    let extension = part(&entry[8..11], entry[12] & 0x10 != 0);
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}
