//! qcow2 images (QEMU's `docs/interop/qcow2.rst`), versions 2 and 3, read-only: by offset or as a stream.
//!
//! A qcow2 file maps clusters of the guest's disk to clusters of the file through two levels of tables, and the
//! tables may lie anywhere. There are two readers:
//!
//! - [`Reader`] reads any guest offset from a source that can be read at any offset ([`ReadAt`](crate::ReadAt)).
//! - [`Stream`] takes the file from front to back, once, and yields every piece of the disk as its bytes come by.
//!
//! Decision: how a stream can be expanded in bounded memory. Tables precede the data they describe in what
//! `qemu-img convert` writes (the first cluster of a table's range allocates the table, then itself), with
//! or without `-c`, so one pass suffices for the images that clouds publish. Compressed clusters that share a
//! host cluster across two tables lie a little *before* the second table; therefore the stream remembers the last
//! [`Limits::lookback`] bytes for as long as some table has not come by. What lies further back than that (an
//! image grown later, whose first-level table was moved to the end) ends in [`Qcow2Error::OutOfOrder`], and
//! the caller starts again with [`Tables`] loaded beforehand through range requests. Such a stream still
//! compares each table with what was loaded as it comes by, so that the hash of the stream vouches for the mapping
//! that was used, and not only for bytes that a server showed once.
//!
//! Refused: backing files, external data files, encryption, extended L2 entries, unknown incompatible features,
//! images marked corrupt. None of them belongs in an image to deploy; the first two read other files.

mod cluster;
mod header;
mod reader;
mod stream;
mod tables;

use std::io;

use thiserror::Error;

pub use header::{Compression, Header};
pub use reader::Reader;
pub use stream::{Piece, Stream};
pub use tables::Tables;

/// Bounds on what an image may make its reader allocate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest disk, in bytes.
    pub virtual_size: u64,
    /// Runs of allocated clusters that may be known and not yet read; about 40 bytes of memory each.
    pub extents: usize,
    /// Bytes remembered while a table has not come by; twice as much memory at most.
    pub lookback: usize,
}

impl Default for Limits {
    /// 64 TiB; 2 million runs (80 MB, 128 GiB of scattered clusters); 24 MiB.
    fn default() -> Self {
        Self { virtual_size: 1 << 46, extents: 2_000_000, lookback: 24 << 20 }
    }
}

/// Why an image was refused or could not be read.
#[derive(Debug, Error)]
pub enum Qcow2Error {
    /// The source failed.
    #[error("reading the image at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The source ended inside something that the image needs.
    #[error("the image ends at byte {end}, inside or before its {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Length of the source.
        end: u64,
    },
    /// Not a qcow2 header.
    #[error("not a qcow2 image")]
    BadMagic,
    /// A version other than 2 and 3.
    #[error("qcow2 version {version} is not supported")]
    Version {
        /// As found.
        version: u32,
    },
    /// A feature that is unsafe or not supported.
    #[error("the image is refused: {what}")]
    Refused {
        /// Which feature.
        what: &'static str,
    },
    /// A field or table entry contradicts the format.
    #[error("the image is broken: {what} (value {value:#x})")]
    Broken {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// More than the [`Limits`] allow.
    #[error("the image is too large: {what} is {value}, at most {limit} is allowed")]
    Limit {
        /// Of what.
        what: &'static str,
        /// Found.
        value: u64,
        /// Allowed.
        limit: u64,
    },
    /// A compressed cluster does not decompress to a cluster.
    #[error("the compressed cluster at byte {offset} cannot be decompressed")]
    Decompress {
        /// Where in the file.
        offset: u64,
    },
    /// A stream needs bytes that have passed: use [`Tables::load`] and [`Stream::with_tables`].
    #[error("the image's tables come after their data (byte {offset} is needed, but has passed)")]
    OutOfOrder {
        /// Where in the file.
        offset: u64,
    },
    /// A table in the stream is not what had been loaded before.
    #[error("the image changed while it was read: the table at byte {offset} differs")]
    Changed {
        /// Where in the file.
        offset: u64,
    },
}

/// Whether an image that starts with `head` (at least the first cluster, or 64 KiB) is a qcow2 image that can be
/// deployed: known version and features, no backing file, no data file, sane sizes.
pub fn check(head: &[u8], limits: &Limits) -> Result<Header, Qcow2Error> {
    Header::parse(head, limits)
}
