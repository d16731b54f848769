//! The header of a qcow2 file and the safety check. Knows nothing of the tables but where they are.

use super::{Limits, Qcow2Error};

const MAGIC: &[u8] = b"QFI\xfb";

/// Incompatible features (bits) of version 3.
mod feature {
    /// Reference counts may be stale: of no importance to a reader.
    pub(super) const DIRTY: u64 = 1;
    pub(super) const CORRUPT: u64 = 1 << 1;
    pub(super) const DATA_FILE: u64 = 1 << 2;
    pub(super) const COMPRESSION_TYPE: u64 = 1 << 3;
    pub(super) const EXTENDED_L2: u64 = 1 << 4;
}

/// Header extensions that matter here.
mod extension {
    pub(super) const END: u32 = 0;
    pub(super) const DATA_FILE_NAME: u32 = 0x4441_5441;
    pub(super) const ENCRYPTION: u32 = 0x0537_be77;
}

/// How compressed clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Raw deflate (RFC 1951) with a window of 4 KiB.
    Deflate,
    /// Zstandard.
    Zstd,
}

/// A checked header: an image that has one is safe to map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// Size of a cluster is 2 to this power: 9 to 21.
    pub cluster_bits: u32,
    /// Size of the disk in bytes.
    pub virtual_size: u64,
    /// Where the first-level table is.
    pub l1_offset: u64,
    /// Entries of the first-level table that the disk's size needs.
    pub l1_entries: usize,
    /// How compressed clusters are compressed.
    pub compression: Compression,
}

impl Header {
    /// Bytes at the start of a file that [`Header::parse`] must see: a cluster is read whole, but the fields and
    /// the extensions that matter are in the first 64 KiB of whatever `qemu-img` makes.
    pub const HEAD_LEN: usize = 64 * 1024;

    /// Parses and checks. `head` is the start of the file, [`Self::HEAD_LEN`] bytes or the whole of a shorter one.
    pub fn parse(head: &[u8], limits: &Limits) -> Result<Self, Qcow2Error> {
        if !head.starts_with(MAGIC) {
            return Err(Qcow2Error::BadMagic);
        }
        let version = be32(head, 4)?;
        if !matches!(version, 2 | 3) {
            return Err(Qcow2Error::Version { version });
        }
        if be64(head, 8)? != 0 || be32(head, 16)? != 0 {
            return Err(Qcow2Error::Refused { what: "it has a backing file" });
        }
        if be32(head, 32)? != 0 {
            return Err(Qcow2Error::Refused { what: "it is encrypted" });
        }
        let cluster_bits = be32(head, 20)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(broken("cluster size", cluster_bits.into()));
        }
        let compression = features(head, version)?;
        let header_length = if version == 2 { 72 } else { be32(head, 100)? as usize };
        if header_length < if version == 2 { 72 } else { 104 } || header_length > 1 << cluster_bits {
            return Err(broken("header length", header_length as u64));
        }
        check_extensions(head, header_length, 1 << cluster_bits)?;
        let virtual_size = be64(head, 24)?;
        if virtual_size > limits.virtual_size {
            let limit = limits.virtual_size;
            return Err(Qcow2Error::Limit { what: "its disk", value: virtual_size, limit });
        }
        let l1_entries = checked_l1(head, cluster_bits, virtual_size)?;
        Ok(Self { version, cluster_bits, virtual_size, l1_offset: be64(head, 40)?, l1_entries, compression })
    }

    /// Bytes in a cluster.
    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries in a second-level table, which fills a cluster.
    pub fn l2_entries(&self) -> u64 {
        self.cluster_size() / 8
    }

    /// Bytes of the disk that one second-level table maps.
    pub fn l2_span(&self) -> u64 {
        self.cluster_size() * self.l2_entries()
    }
}

fn features(head: &[u8], version: u32) -> Result<Compression, Qcow2Error> {
    if version == 2 {
        return Ok(Compression::Deflate);
    }
    let incompatible = be64(head, 72)?;
    if incompatible & feature::CORRUPT != 0 {
        return Err(Qcow2Error::Refused { what: "it is marked corrupt" });
    }
    if incompatible & feature::DATA_FILE != 0 {
        return Err(Qcow2Error::Refused { what: "it keeps its data in another file" });
    }
    if incompatible & feature::EXTENDED_L2 != 0 {
        return Err(Qcow2Error::Refused { what: "it has extended L2 entries" });
    }
    if incompatible & !(feature::DIRTY | feature::COMPRESSION_TYPE) != 0 {
        return Err(Qcow2Error::Refused { what: "it needs a feature that is not known" });
    }
    if incompatible & feature::COMPRESSION_TYPE == 0 {
        return Ok(Compression::Deflate);
    }
    let kind = *head.get(104).ok_or(Qcow2Error::Truncated { what: "header", end: head.len() as u64 })?;
    match kind {
        0 => Ok(Compression::Deflate),
        1 => Ok(Compression::Zstd),
        _ => Err(broken("compression type", kind.into())),
    }
}

/// Walks the header extensions as far as `head` reaches; they end in the first cluster.
fn check_extensions(head: &[u8], start: usize, cluster: usize) -> Result<(), Qcow2Error> {
    let mut at = start;
    while at + 8 <= head.len().min(cluster) {
        let (kind, length) = (be32(head, at)?, be32(head, at + 4)? as usize);
        match kind {
            extension::END => return Ok(()),
            extension::DATA_FILE_NAME => {
                return Err(Qcow2Error::Refused { what: "it names a data file" });
            }
            extension::ENCRYPTION => return Err(Qcow2Error::Refused { what: "it is encrypted" }),
            _ if length > cluster => return Err(broken("header extension length", length as u64)),
            _ => at += 8 + length.next_multiple_of(8),
        }
    }
    Ok(())
}

/// The number of first-level entries the disk needs, checked against what the file has.
fn checked_l1(head: &[u8], cluster_bits: u32, virtual_size: u64) -> Result<usize, Qcow2Error> {
    /// As QEMU: 32 MiB of entries.
    const MOST: u64 = (32 << 20) / 8;
    let offset = be64(head, 40)?;
    let present = u64::from(be32(head, 36)?);
    let needed = virtual_size.div_ceil(1 << (2 * cluster_bits - 3));
    if needed > MOST || present > MOST {
        return Err(Qcow2Error::Limit {
            what: "its first-level table",
            value: needed.max(present),
            limit: MOST,
        });
    }
    if present < needed {
        return Err(broken("first-level table size", present));
    }
    if offset % (1 << cluster_bits) != 0 || offset >> 56 != 0 || (needed > 0 && offset == 0) {
        return Err(broken("first-level table offset", offset));
    }
    usize::try_from(needed).map_err(|_| broken("first-level table size", needed))
}

pub(super) fn broken(what: &'static str, value: u64) -> Qcow2Error {
    Qcow2Error::Broken { what, value }
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Qcow2Error> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    let end = bytes.len() as u64;
    field.map(|field| u32::from_be_bytes(*field)).ok_or(Qcow2Error::Truncated { what: "header", end })
}

fn be64(bytes: &[u8], at: usize) -> Result<u64, Qcow2Error> {
    Ok(u64::from(be32(bytes, at)?) << 32 | u64::from(be32(bytes, at + 4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version 3 header with 64 KiB clusters and a disk of 1 GiB.
    fn head() -> Vec<u8> {
        let mut head = vec![0; 65536];
        head[..4].copy_from_slice(MAGIC);
        head[4..8].copy_from_slice(&3_u32.to_be_bytes());
        head[20..24].copy_from_slice(&16_u32.to_be_bytes());
        head[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
        head[36..40].copy_from_slice(&2_u32.to_be_bytes());
        head[40..48].copy_from_slice(&0x30000_u64.to_be_bytes());
        head[100..104].copy_from_slice(&104_u32.to_be_bytes());
        head
    }

    fn refusal(change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut head = head();
        change(&mut head);
        Header::parse(&head, &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_plain_header_is_accepted() {
        let header = Header::parse(&head(), &Limits::default()).unwrap();
        assert_eq!((header.cluster_size(), header.l1_entries), (65536, 2));
        assert_eq!(header.l2_span(), 512 << 20);
    }

    #[test]
    fn what_is_unsafe_is_refused() {
        assert!(refusal(|h| h[15] = 1).contains("backing"));
        assert!(refusal(|h| h[19] = 1).contains("backing"));
        assert!(refusal(|h| h[35] = 1).contains("encrypted"));
        assert!(refusal(|h| h[79] = 2).contains("corrupt"));
        assert!(refusal(|h| h[79] = 4).contains("another file"));
        assert!(refusal(|h| h[79] = 16).contains("extended"));
        assert!(refusal(|h| h[79] = 32).contains("not known"));
        assert!(refusal(|h| h[72] = 128).contains("not known"));
        assert!(refusal(|h| h[104..112].copy_from_slice(b"DATA\0\0\0\x04")).contains("data file"));
        assert!(refusal(|h| h[23] = 8).contains("cluster size"));
        assert!(refusal(|h| h[23] = 22).contains("cluster size"));
        assert!(refusal(|h| h[39] = 1).contains("first-level"));
        assert!(refusal(|h| h[47] = 1).contains("offset"));
        assert!(refusal(|h| h[24] = 1).contains("too large"));
        assert!(refusal(|h| h[7] = 4).contains("version 4"));
        assert!(refusal(|h| h.truncate(90)).contains("ends at"));
        let mut compressed = head();
        compressed[79] = 8;
        compressed[103] = 112;
        compressed[104] = 1;
        let header = Header::parse(&compressed, &Limits::default()).unwrap();
        assert_eq!(header.compression, Compression::Zstd);
        compressed[104] = 2;
        assert!(Header::parse(&compressed, &Limits::default()).is_err());
    }
}
