//! A file to serve, open, with its size and entity tag.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::source::{FileContent, ServedFile};

/// Bytes to serve.
#[derive(Debug, Clone)]
pub(super) struct Content {
    bytes: Source,
    size: u64,
    etag: String,
}

#[derive(Debug, Clone)]
enum Source {
    File(Arc<File>),
    Memory(Bytes),
}

/// Opens what a file source names. Blocks.
pub(super) fn of_source(served: ServedFile) -> Option<Content> {
    match served.content {
        FileContent::Path(path) => of_file(File::open(path).ok()?, served.etag),
        FileContent::File(file) => of_shared(file, served.etag),
        FileContent::Bytes(bytes) => {
            let etag = served.etag.unwrap_or_else(|| format!("{:x}-{:x}", bytes.len(), fingerprint(&bytes)));
            Some(Content { size: bytes.len() as u64, bytes: Source::Memory(bytes), etag })
        }
    }
}

/// An open file; none if it is no regular file. Blocks.
pub(super) fn of_file(file: File, etag: Option<String>) -> Option<Content> {
    of_shared(Arc::new(file), etag)
}

fn of_shared(file: Arc<File>, etag: Option<String>) -> Option<Content> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let etag = etag.unwrap_or_else(|| {
        let (inode, size) = (metadata.ino(), metadata.len());
        format!("{inode:x}-{size:x}-{:x}-{:x}", metadata.mtime(), metadata.mtime_nsec())
    });
    Some(Content { size: metadata.len(), bytes: Source::File(file), etag })
}

/// FNV-1a of 64 bits: tells versions of small generated files apart.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Content {
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Without quotes.
    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// The bytes if they are in memory.
    pub(super) fn memory(&self) -> Option<&Bytes> {
        match &self.bytes {
            Source::File(_) => None,
            Source::Memory(bytes) => Some(bytes),
        }
    }

    /// Reads `length` bytes of a file. Blocks.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        match &self.bytes {
            Source::File(file) => {
                let mut buffer = BytesMut::zeroed(length);
                file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer.freeze())
            }
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
                let end = start.checked_add(length).filter(|end| *end <= bytes.len());
                Ok(bytes.slice(start..end.ok_or(io::ErrorKind::UnexpectedEof)?))
            }
        }
    }
}
