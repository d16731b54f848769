//! Writing an image to a disk in one pass: download, hash, decompress, expand, write; and nothing on the disk
//! boots before the hash of all that was downloaded has matched.
//!
//! One thread: on the machines that this is slow on there is one CPU, where hashing, decompressing and copying into
//! the page cache take turns anyway and the kernel writes behind. The network belongs to another thread of the
//! caller's, which hands its bytes over through the [`Read`] given here.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use disk_image::decode::Decoder;
use disk_image::gpt::{Gpt, GptError};
use disk_image::qcow2::{Header, Limits, Piece, Qcow2Error, Stream, Tables};
use disk_image::read_at::read_full;
use disk_image::{Checksum, Format, HashingReader, SNIFF_LEN, sniff};

use crate::device::{BlockDevice, DeviceReader};
use crate::error::DiskError;
use crate::target::Target;

/// Bytes asked of a raw image's source at once.
const CHUNK: usize = 1 << 20;

/// What to write where, and how to know that it is right.
#[derive(Debug)]
pub struct WriteRequest<'a> {
    /// The disk. Everything on it is lost from the first moment.
    pub device: &'a BlockDevice,
    /// Expected digest of the bytes as downloaded.
    pub checksum: Checksum,
    /// The declared format (`image_info.disk_format`); `None` takes what is found.
    pub declared: Option<Format>,
    /// Size of the download where known (`Content-Length`): a raw image that does not fit is refused before the
    /// disk is touched, and a shorter download is an error.
    pub content_length: Option<u64>,
    /// A qcow2 image's tables, loaded by range requests; needed only after an attempt without them ended in an error
    /// for which [`DiskError::needs_random_access`] is true.
    pub tables: Option<Tables>,
    /// Bounds on what an image may cost.
    pub limits: Limits,
}

/// How far a write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the image downloaded.
    pub downloaded: u64,
    /// All bytes to download, where known.
    pub total: Option<u64>,
    /// Bytes of the disk done, zeros included.
    pub written: u64,
}

/// The caller's hands on a running operation.
pub struct Control<'a> {
    /// Called after each piece (about every MiB).
    pub progress: &'a mut dyn FnMut(Progress),
    /// Set to stop: the operation ends with [`DiskError::Cancelled`] and the disk stays unbootable.
    pub cancel: &'a AtomicBool,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancel", self.cancel).finish_non_exhaustive()
    }
}

/// An image that is on the disk, verified and flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What the image was (inside its compression).
    pub format: Format,
    /// How it was compressed as a whole.
    pub compression: Option<Format>,
    /// Digest of the download; equal to what was asked for.
    pub checksum: Checksum,
    /// Bytes downloaded.
    pub downloaded: u64,
    /// Size of the disk image in bytes.
    pub virtual_size: u64,
    /// Bytes written as data.
    pub data: u64,
    /// Bytes made zero.
    pub zeroed: u64,
    /// Whether the backup partition table was moved to the end of the disk.
    pub gpt_moved: bool,
}

/// Writes an image. When this returns `Ok`, the disk has the image, flushed, its backup GPT in place, and the
/// kernel knows its partitions. On every error the disk is left without a boot sector and without partition
/// tables.
pub fn write_image(
    request: WriteRequest<'_>,
    source: &mut dyn Read,
    control: &mut Control<'_>,
) -> Result<Written, DiskError> {
    let device = request.device;
    let mut hashing = HashingReader::new(source, request.checksum.algorithm);
    let head = read_head(&mut hashing)?;
    let outer = sniff(&head);
    let mut job = Job { request, control, downloaded: head.len() as u64 };
    let (format, target) = if outer.is_compression() {
        // The disk's size bounds what a raw image may decompress to; a qcow2 file inside cannot be much larger either.
        let limit = device.size().saturating_add(device.size() / 8).saturating_add(1 << 30);
        let mut decoder = Decoder::new(outer, (&head[..]).chain(&mut hashing), limit)?;
        let inner_head = read_head(&mut decoder)?;
        job.run(outer, &inner_head, &mut decoder)?
    } else {
        job.run(outer, &head, &mut hashing)?
    };
    let Job { request, control, .. } = job;
    let (checksum, downloaded) = verify(hashing, &request, control)?;
    if format == Format::Qcow2 {
        check_sectors(device, target.head())?;
    }
    let virtual_size = target.end;
    let (data, zeroed) = target.commit()?;
    let gpt_moved = format != Format::Iso && settle_partition_table(device)?;
    device.flush()?;
    device.reread_partitions()?;
    let compression = outer.is_compression().then_some(outer);
    tracing::info!(device = %device.path().display(), %format, downloaded, virtual_size, data, "image written");
    Ok(Written { format, compression, checksum, downloaded, virtual_size, data, zeroed, gpt_moved })
}

/// A GPT that counts in other sectors than the disk would be found by no firmware.
fn check_sectors(device: &BlockDevice, head: &[u8]) -> Result<(), DiskError> {
    match Gpt::sector_size_of(head) {
        Some(image) if image != device.sector_size() => {
            let (path, disk) = (device.path().into(), device.sector_size());
            Err(DiskError::SectorSizeMismatch { path, image, disk })
        }
        _ => Ok(()),
    }
}

fn read_head(source: &mut dyn Read) -> Result<Vec<u8>, DiskError> {
    let mut head = vec![0; SNIFF_LEN];
    let count = read_full(source, &mut head).map_err(|source| DiskError::Source { bytes: 0, source })?;
    head.truncate(count);
    Ok(head)
}

/// Reads the source to its end and compares.
fn verify(
    mut hashing: HashingReader<&mut dyn Read>,
    request: &WriteRequest<'_>,
    control: &mut Control<'_>,
) -> Result<(Checksum, u64), DiskError> {
    let mut rest = vec![0; 64 * 1024];
    loop {
        stop_if_asked(control)?;
        let bytes = hashing.count();
        match hashing.read(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(DiskError::Source { bytes, source }),
        }
    }
    let got = hashing.count();
    if let Some(expected) = request.content_length.filter(|expected| *expected != got) {
        return Err(DiskError::ShortImage { expected, got });
    }
    let actual = hashing.finish();
    if actual == request.checksum {
        return Ok((actual, got));
    }
    Err(DiskError::ChecksumMismatch { expected: request.checksum.clone(), actual })
}

fn stop_if_asked(control: &Control<'_>) -> Result<(), DiskError> {
    if control.cancel.load(Ordering::Relaxed) { Err(DiskError::Cancelled) } else { Ok(()) }
}

/// Puts the backup GPT at the end of the disk. An image whose table is damaged is not ours to judge: it is what was
/// ordered, and some firmware may know what to do with it.
fn settle_partition_table(device: &BlockDevice) -> Result<bool, DiskError> {
    let failed =
        |action| move |source| DiskError::PartitionTable { action, path: device.path().into(), source };
    let table = match Gpt::read(&mut DeviceReader(device), device.size(), device.sector_size()) {
        Ok(Some(table)) => table,
        Ok(None) => return Ok(false),
        Err(GptError::Damaged) => {
            tracing::warn!(device = %device.path().display(), "the image's GPT is damaged in both copies");
            return Ok(false);
        }
        Err(error) => return Err(failed("read")(error)),
    };
    if table.fits(device.size()) {
        return Ok(false);
    }
    let mut table = table;
    table.fit(device.size()).map_err(failed("extend"))?;
    crate::partitions::write_gpt(device, &table)?;
    Ok(true)
}

struct Job<'a, 'c, 'd> {
    request: WriteRequest<'a>,
    control: &'c mut Control<'d>,
    downloaded: u64,
}

impl<'a, 'd: 'a> Job<'a, '_, 'd> {
    /// Checks what can be checked by the first bytes, wipes the disk's ends and writes the rest.
    fn run(
        &mut self,
        outer: Format,
        head: &[u8],
        source: &mut dyn Read,
    ) -> Result<(Format, Target<'a>), DiskError> {
        let format = if outer.is_compression() { sniff(head) } else { outer };
        self.check_format(outer, format)?;
        let size = match format {
            Format::Qcow2 => Some(Header::parse(head, &self.request.limits)?.virtual_size),
            _ if outer.is_compression() => Some(head.len() as u64),
            _ => self.request.content_length,
        };
        let device = self.request.device;
        if let Some(need) = size.filter(|need| *need > device.size()) {
            return Err(DiskError::TooSmall { path: device.path().into(), need, have: device.size() });
        }
        if format == Format::Gpt {
            check_sectors(device, head)?;
        }
        stop_if_asked(self.control)?;
        let cancel: &'d AtomicBool = self.control.cancel;
        let mut target = Target::begin(device, cancel)?;
        match format {
            Format::Qcow2 => self.expand(head, source, &mut target)?,
            _ => self.copy(head, source, &mut target)?,
        }
        target.settle()?;
        Ok((format, target))
    }

    fn check_format(&self, outer: Format, found: Format) -> Result<(), DiskError> {
        if let Some(declared) = self.request.declared
            && !found.satisfies(declared)
            && outer != declared
        {
            return Err(DiskError::FormatMismatch { declared, found });
        }
        if found.is_raw_bytes() || found == Format::Qcow2 {
            return Ok(());
        }
        Err(DiskError::UnsupportedFormat { found })
    }

    fn tell(&mut self, target: &Target<'_>) -> Result<(), DiskError> {
        stop_if_asked(self.control)?;
        let total = self.request.content_length;
        (self.control.progress)(Progress {
            downloaded: self.downloaded,
            total,
            written: target.written + target.zeroed,
        });
        Ok(())
    }

    fn copy(&mut self, head: &[u8], source: &mut dyn Read, target: &mut Target<'_>) -> Result<(), DiskError> {
        target.write(0, head)?;
        let mut at = head.len() as u64;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count =
                read_full(source, &mut buffer).map_err(|source| DiskError::Source { bytes: at, source })?;
            if count == 0 {
                return Ok(());
            }
            target.write(at, &buffer[..count])?;
            at += count as u64;
            self.downloaded = at;
            self.tell(target)?;
        }
    }

    fn expand(
        &mut self,
        head: &[u8],
        source: &mut dyn Read,
        target: &mut Target<'_>,
    ) -> Result<(), DiskError> {
        let limits = self.request.limits;
        let mut stream = match self.request.tables.take() {
            Some(tables) => Stream::with_tables(tables, &limits)?,
            None => Stream::new(&limits),
        };
        let mut source = Counted { inner: head.chain(source), bytes: 0 };
        loop {
            let piece = stream.next(&mut source).map_err(|error| match error {
                Qcow2Error::Read { offset, source } => DiskError::Source { bytes: offset, source },
                error => DiskError::Qcow2(error),
            })?;
            match piece {
                Some(Piece::Data { offset, bytes }) => target.write(offset, bytes)?,
                Some(Piece::Zero { offset, len }) => target.zero(offset, len)?,
                None => return Ok(()),
            }
            self.downloaded = source.bytes;
            self.tell(target)?;
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
