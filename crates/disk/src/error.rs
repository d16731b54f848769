//! What can go wrong with a disk, each variant naming what was tried. Knows no HTTP and no agent command.

use std::io;
use std::path::{Path, PathBuf};

use disk_image::decode::DecodeError;
use disk_image::gpt::GptError;
use disk_image::qcow2::Qcow2Error;
use disk_image::{Checksum, Format};
use thiserror::Error;

/// A failed disk operation.
#[derive(Debug, Error)]
pub enum DiskError {
    /// Opening the device failed.
    #[error("cannot open {}", path.display())]
    Open {
        /// The device.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The device is neither a block device nor (in tests) a regular file.
    #[error("{} is not a block device", path.display())]
    NotADisk {
        /// The path given.
        path: PathBuf,
    },
    /// The disk stopped answering: it was pulled out, its controller died, or it fails to read or write.
    #[error("disk {} vanished or failed at byte {offset}", path.display())]
    Vanished {
        /// The device.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// EIO, ENODEV, ENXIO, EREMOTEIO or ENOMEDIUM.
        #[source]
        source: io::Error,
    },
    /// Another error of reading or writing the disk.
    #[error("cannot {action} {} at byte {offset}", path.display())]
    Io {
        /// `read`, `write`, `zero`, `flush`, ….
        action: &'static str,
        /// The device.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading below `/sys` or `/dev` failed.
    #[error("cannot read {}", path.display())]
    Sysfs {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The image does not fit. Found before the first write when the size was known, else at the boundary.
    #[error("the image needs {need} bytes, but disk {} has {have}", path.display())]
    TooSmall {
        /// The device.
        path: PathBuf,
        /// Bytes the image has, or at least has.
        need: u64,
        /// Size of the disk in bytes.
        have: u64,
    },
    /// The image's source failed.
    #[error("reading the image failed after {bytes} bytes")]
    Source {
        /// Bytes that had arrived.
        bytes: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The source ended before the promised size.
    #[error("the image ended after {got} bytes, {expected} were promised")]
    ShortImage {
        /// Promised, e.g. by `Content-Length`.
        expected: u64,
        /// Arrived.
        got: u64,
    },
    /// What was written is not what was ordered. The disk has been left without anything that boots.
    #[error("the image has checksum {actual}, not {expected}")]
    ChecksumMismatch {
        /// Ordered.
        expected: Checksum,
        /// Computed over the bytes as downloaded.
        actual: Checksum,
    },
    /// The content is of another format than declared.
    #[error("the image was declared {declared} but its content is {found}")]
    FormatMismatch {
        /// As declared.
        declared: Format,
        /// As found.
        found: Format,
    },
    /// A format that cannot be written to a disk by this agent.
    #[error("an image of format {found} cannot be written")]
    UnsupportedFormat {
        /// As found.
        found: Format,
    },
    /// The qcow2 image is broken, unsafe or out of order.
    #[error("the qcow2 image cannot be expanded")]
    Qcow2(#[from] Qcow2Error),
    /// Decompression could not start.
    #[error("the image cannot be decompressed")]
    Decode(#[from] DecodeError),
    /// The image's partition table counts in other sectors than the disk, so no firmware would find it.
    #[error("the image's partition table is made for {image}-byte sectors, disk {} has {disk}", path.display())]
    SectorSizeMismatch {
        /// The device.
        path: PathBuf,
        /// Bytes in a sector, as the image has it.
        image: u32,
        /// Bytes in a sector, as the disk has it.
        disk: u32,
    },
    /// The partition table cannot be read or changed.
    #[error("cannot {action} the partition table of {}", path.display())]
    PartitionTable {
        /// What was tried.
        action: &'static str,
        /// The device.
        path: PathBuf,
        /// Why.
        #[source]
        source: GptError,
    },
    /// There is no partition table where one is needed.
    #[error("{} has no partition table", path.display())]
    NoPartitionTable {
        /// The device.
        path: PathBuf,
    },
    /// No EFI system partition, or no loader in it.
    #[error("{}: {missing}", path.display())]
    NoLoader {
        /// The device.
        path: PathBuf,
        /// What was looked for and not found.
        missing: &'static str,
    },
    /// The EFI system partition's FAT file system is broken.
    #[error("cannot read the EFI system partition of {}", path.display())]
    Fat {
        /// The device.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::fat::FatError,
    },
    /// A firmware variable could not be read or written.
    #[error("cannot {action} firmware variable {name}")]
    EfiVariable {
        /// `read`, `write`, `remove`, `list`.
        action: &'static str,
        /// The variable.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The config drive is too large for the disk's free end, or larger than any config drive may be.
    #[error("a config drive of {size} bytes cannot be placed on {}: {why}", path.display())]
    ConfigDrive {
        /// The device.
        path: PathBuf,
        /// Size of the ISO.
        size: u64,
        /// Why not.
        why: &'static str,
    },
    /// After erasing, the disk still had data.
    #[error("{}: not erased, data was read back at byte {offset}", path.display())]
    NotErased {
        /// The device.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl DiskError {
    /// An error of reading or writing `path`, told apart by whether the disk is gone.
    pub(crate) fn io(action: &'static str, path: &Path, offset: u64, source: io::Error) -> Self {
        use rustix::io::Errno;
        let gone = [Errno::IO, Errno::NODEV, Errno::NXIO, Errno::REMOTEIO, Errno::NOMEDIUM];
        let path = path.to_path_buf();
        if source.raw_os_error().is_some_and(|code| gone.iter().any(|errno| errno.raw_os_error() == code)) {
            return Self::Vanished { path, offset, source };
        }
        Self::Io { action, path, offset, source }
    }

    /// Whether a qcow2 image must be read again with its metadata known beforehand
    /// ([`WriteRequest::metadata`](crate::WriteRequest)), because it cannot be expanded in one pass.
    pub fn needs_random_access(&self) -> bool {
        matches!(self, Self::Qcow2(Qcow2Error::OutOfOrder { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_gone_is_told_apart() {
        let of =
            |code| DiskError::io("write", Path::new("/dev/sda"), 4096, io::Error::from_raw_os_error(code));
        for errno in [rustix::io::Errno::IO, rustix::io::Errno::NODEV, rustix::io::Errno::NXIO] {
            let error = of(errno.raw_os_error());
            assert!(matches!(error, DiskError::Vanished { offset: 4096, .. }), "{error}");
        }
        let error = of(rustix::io::Errno::ACCESS.raw_os_error());
        assert_eq!(error.to_string(), "cannot write /dev/sda at byte 4096");
    }
}
