//! The tables of an image, loaded beforehand from a source that can be read at any offset.
//! Does not keep what the tables map beyond what the caller makes of it.

use super::cluster::{entries, l2_offset};
use super::{Header, Limits, Qcow2Error};
use crate::ReadAt;

/// Header and second-level tables of an image, for [`Stream::with_tables`](super::Stream::with_tables).
#[derive(Debug)]
pub struct Tables {
    pub(super) header: Header,
    /// Offset and bytes of the first-level table.
    pub(super) l1: Vec<u8>,
    /// Per second-level table: its place in the first-level table, its offset, its bytes.
    pub(super) l2: Vec<(u64, u64, Vec<u8>)>,
}

impl Tables {
    /// Reads the header and every table: one read each. A table takes a cluster and maps 512 MiB of the disk at
    /// the usual cluster size, so an image of 100 GiB has 200 tables of 64 KiB. Their memory is held until the stream is
    /// set up, and is bounded by `limits.extents`, of which each table entry counts as one.
    pub fn load(source: &mut dyn ReadAt, limits: &Limits) -> Result<Self, Qcow2Error> {
        let mut head = vec![0; Header::HEAD_LEN];
        let count = source.fill_at(0, &mut head).map_err(|source| Qcow2Error::Read { offset: 0, source })?;
        let header = Header::parse(&head[..count], limits)?;
        let l1 = read(source, header.l1_offset, header.l1_entries * 8, "first-level table")?;
        let cluster = usize::try_from(header.cluster_size()).unwrap_or(usize::MAX);
        let mut l2 = Vec::new();
        for (index, entry) in (0_u64..).zip(entries(&l1)) {
            let Some(offset) = l2_offset(entry, &header)? else { continue };
            let needed = (l2.len() + 1) as u64 * header.l2_entries();
            if needed > limits.extents as u64 {
                let limit = limits.extents as u64;
                return Err(Qcow2Error::Limit { what: "its number of table entries", value: needed, limit });
            }
            l2.push((index, offset, read(source, offset, cluster, "second-level table")?));
        }
        Ok(Self { header, l1, l2 })
    }

    /// The checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

/// Exactly `len` bytes at `offset`. Grows with what is there, not with what a header claims.
pub(super) fn read(
    source: &mut dyn ReadAt,
    offset: u64,
    len: usize,
    what: &'static str,
) -> Result<Vec<u8>, Qcow2Error> {
    const STEP: usize = 1 << 20;
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let start = bytes.len();
        bytes.resize(len.min(start + STEP), 0);
        let at = offset + start as u64;
        let count = source
            .fill_at(at, &mut bytes[start..])
            .map_err(|source| Qcow2Error::Read { offset: at, source })?;
        if start + count < bytes.len() {
            return Err(Qcow2Error::Truncated { what, end: at + count as u64 });
        }
    }
    Ok(bytes)
}
