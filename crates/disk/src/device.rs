//! One disk, opened: its size, its sectors, reading and writing at an offset.
//! Does not know what is on it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use disk_image::ReadAt;

use crate::error::DiskError;

/// A disk (or, in tests, a regular file that stands for one).
#[derive(Debug)]
pub struct BlockDevice {
    path: PathBuf,
    file: File,
    size: u64,
    sector_size: u32,
    is_file: bool,
}

impl BlockDevice {
    /// Opens a block device exclusively (`O_EXCL`: fails with EBUSY while a file system on it is mounted) for
    /// reading and writing.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Open { path: path.to_path_buf(), source };
        let flags = rustix::fs::OFlags::EXCL.bits().cast_signed();
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.file_type().is_block_device() {
            return Err(DiskError::NotADisk { path: path.to_path_buf() });
        }
        let sector_size = rustix::fs::ioctl_blksszget(&file).map_err(|errno| failed(errno.into()))?;
        Self::with_file(path, file, sector_size, false)
    }

    /// A regular file as a disk with sectors of 512 bytes.
    pub fn file(path: &Path) -> Result<Self, DiskError> {
        Self::file_with_sectors(path, 512)
    }

    /// A regular file as a disk with sectors of `sector_size` bytes (512 or 4096).
    pub fn file_with_sectors(path: &Path, sector_size: u32) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Open { path: path.to_path_buf(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(DiskError::NotADisk { path: path.to_path_buf() });
        }
        Self::with_file(path, file, sector_size, true)
    }

    fn with_file(path: &Path, mut file: File, sector_size: u32, is_file: bool) -> Result<Self, DiskError> {
        let size = io::Seek::seek(&mut file, io::SeekFrom::End(0))
            .map_err(|source| DiskError::io("find the size of", path, 0, source))?;
        Ok(Self { path: path.to_path_buf(), file, size, sector_size, is_file })
    }

    /// The path it was opened by, e.g. `/dev/sda`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes in a logical sector: 512 or 4096.
    pub fn sector_size(&self) -> u32 {
        self.sector_size
    }

    /// Whether this is a regular file that stands for a disk.
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    pub(crate) fn raw(&self) -> &File {
        &self.file
    }

    /// Fills `buffer` from `offset`.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(|source| self.failed("read", offset, source))
    }

    /// Reads `len` bytes at `offset`, fewer when the disk ends before.
    pub fn read_vec(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; len.min(left)];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Writes all of `data` at `offset`. Never grows a regular file: beyond the end is [`DiskError::TooSmall`].
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let need = offset.saturating_add(data.len() as u64);
        if need > self.size {
            return Err(DiskError::TooSmall { path: self.path.clone(), need, have: self.size });
        }
        self.file.write_all_at(data, offset).map_err(|source| self.failed("write", offset, source))
    }

    /// Waits until everything written is on the medium; write errors that were deferred come up here.
    pub fn flush(&self) -> Result<(), DiskError> {
        self.file.sync_all().map_err(|source| self.failed("flush", 0, source))
    }

    /// An error of reading or writing. The kernel makes a disk that was pulled out as small as nothing, and then tells of
    /// no space (or of an end), and not of a missing device.
    pub(crate) fn failed(&self, action: &'static str, offset: u64, source: io::Error) -> DiskError {
        let gone = || {
            let now = rustix::fs::seek(&self.file, rustix::fs::SeekFrom::End(0));
            !self.is_file && now.is_ok_and(|size| size < self.size)
        };
        let no_room = source.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error())
            || source.kind() == io::ErrorKind::UnexpectedEof;
        if no_room && gone() {
            let source = io::Error::from(rustix::io::Errno::NODEV);
            return DiskError::Vanished { path: self.path.clone(), offset, source };
        }
        DiskError::io(action, &self.path, offset, source)
    }

    /// The path of partition `number` by the kernel's rule (`sda1`, `nvme0n1p1`).
    pub fn partition_path(&self, number: u32) -> PathBuf {
        let name = self.path.to_string_lossy();
        let separator = if name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        PathBuf::from(format!("{name}{separator}{number}"))
    }

    /// Asks the kernel to read the partition table again (BLKRRPART). Nothing to do for a regular file.
    pub fn reread_partitions(&self) -> Result<(), DiskError> {
        if self.is_file {
            return Ok(());
        }
        blkrrpart(&self.file)
            .map_err(|errno| DiskError::io("re-read the partition table of", &self.path, 0, errno.into()))
    }
}

#[expect(unsafe_code, reason = "rustix has no safe call for BLKRRPART")]
fn blkrrpart(file: &File) -> rustix::io::Result<()> {
    // linux/fs.h: BLKRRPART is _IO(0x12, 95).
    const BLKRRPART: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(0x12, 95);
    // SAFETY: BLKRRPART takes no argument and touches no memory of ours.
    unsafe { rustix::ioctl::ioctl(file, rustix::ioctl::NoArg::<BLKRRPART>::new()) }
}

/// A [`ReadAt`] over a borrowed device, for the partition table code.
#[derive(Debug)]
pub struct DeviceReader<'a>(pub &'a BlockDevice);

impl ReadAt for DeviceReader<'_> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.file.read_at(buffer, offset)
    }
}
