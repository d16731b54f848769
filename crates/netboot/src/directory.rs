//! A directory of files to serve: the kernel keeps every name inside of it.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::source::{Area, FileContent, FileSource, ServedFile};

/// Serves the files below one directory for each area.
#[derive(Debug)]
pub struct Directory {
    files: Option<OwnedFd>,
    images: Option<OwnedFd>,
}

impl Directory {
    /// Opens the directories. An area without one has no files.
    pub fn open(files: Option<&Path>, images: Option<&Path>) -> io::Result<Self> {
        let open = |path: &Path| -> io::Result<OwnedFd> {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(rustix::fs::open(path, flags, Mode::empty())?)
        };
        Ok(Self { files: files.map(open).transpose()?, images: images.map(open).transpose()? })
    }
}

impl FileSource for Directory {
    fn open(&self, area: Area, name: &str, _client: IpAddr) -> Option<ServedFile> {
        let root = match area {
            Area::Files => self.files.as_ref()?,
            Area::Images => self.images.as_ref()?,
        };
        // Non-blocking, so that a FIFO put there cannot hold a thread.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = rustix::fs::openat2(root, name, flags, Mode::empty(), resolve).ok()?;
        Some(ServedFile { content: FileContent::File(Arc::new(File::from(file))), etag: None })
    }
}
