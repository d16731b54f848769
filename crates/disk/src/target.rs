//! The destination of an image while it is written: holds back what would make the disk bootable, turns zeros
//! into holes, and checks the boundary. Does not know where the bytes come from.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::device::BlockDevice;
use crate::error::DiskError;

/// Bytes at each end of the disk that are written only when the image has proved to be the right one: MBR, both GPTs,
/// the start of an ISO or of a file system without partitions.
pub const HELD_BACK: u64 = 1 << 20;
/// Zeros are looked for in blocks of this size.
const BLOCK: usize = 64 * 1024;
/// Runs of zeros up to this length are written: a call to the device for each would take longer.
const SHORT_RUN: u64 = 1 << 20;
/// Zeroing in steps of this size, so that cancelling works in between.
const ZERO_STEP: u64 = 256 << 20;
/// After this many bytes the page cache is written out: deferred errors show early, and a small machine is not
/// filled with dirty pages.
const FLUSH_EVERY: u64 = 128 << 20;

static ZEROS: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; 1 << 20].into());

/// How the device is made to read as zeros; the first that works is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeroing {
    /// `FALLOC_FL_PUNCH_HOLE`: the device (or file system) unmaps and promises zeros.
    Unmap,
    /// `FALLOC_FL_ZERO_RANGE`: the kernel zeroes with the device's help or writes zeros itself (BLKZEROOUT).
    ZeroOut,
    /// Zeros are written from here.
    Write,
}

/// Makes `len` bytes at `offset` read as zeros by the cheapest sure way. Starts with `*method` and steps down.
pub(crate) fn zero_range(
    device: &BlockDevice,
    offset: u64,
    len: u64,
    method: &mut Zeroing,
    cancel: &AtomicBool,
) -> Result<(), DiskError> {
    let end = offset + len;
    let mut at = offset;
    while at < end {
        if cancel.load(Ordering::Relaxed) {
            return Err(DiskError::Cancelled);
        }
        let step = ZERO_STEP.min(end - at);
        // Devices take whole sectors only, and 4096 is a multiple of every sector.
        let aligned = at.is_multiple_of(4096) && step.is_multiple_of(4096);
        let flags = match method {
            Zeroing::Unmap if aligned => Some(FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE),
            Zeroing::ZeroOut if aligned => Some(FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE),
            _ => None,
        };
        let Some(flags) = flags else {
            at += write_zeros(device, at, step)?;
            continue;
        };
        match rustix::fs::fallocate(device.raw(), flags, at, step) {
            Ok(()) => at += step,
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => *method = method.next(),
            Err(errno) => return Err(device.failed("zero", at, errno.into())),
        }
    }
    Ok(())
}

/// Writes zeros up to the next alignment or the end of the step, whichever comes first; returns how many.
fn write_zeros(device: &BlockDevice, at: u64, step: u64) -> Result<u64, DiskError> {
    let until_aligned = if at.is_multiple_of(4096) { SHORT_RUN } else { 4096 - at % 4096 };
    let whole = if step >= 4096 { step - step % 4096 } else { step };
    let count = whole.min(until_aligned).min(SHORT_RUN);
    // At most SHORT_RUN.
    device.write_at(at, &ZEROS[..usize::try_from(count).unwrap_or(0)])?;
    Ok(count)
}

impl Zeroing {
    fn next(self) -> Self {
        if self == Self::Unmap { Self::ZeroOut } else { Self::Write }
    }
}

/// A disk that receives an image.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    device: &'a BlockDevice,
    cancel: &'a AtomicBool,
    head: Vec<u8>,
    /// Content of the end of the disk, only where the image reaches it.
    tail: Option<Vec<u8>>,
    tail_start: u64,
    zeroing: Zeroing,
    /// A run of zeros not yet carried out.
    hole: Option<(u64, u64)>,
    unflushed: u64,
    /// Bytes written as they are.
    pub(crate) written: u64,
    /// Bytes that were zeros.
    pub(crate) zeroed: u64,
    /// End of the image so far.
    pub(crate) end: u64,
}

impl<'a> Target<'a> {
    /// Wipes both ends of the disk and waits until that is on the medium: from now on nothing there boots.
    pub(crate) fn begin(device: &'a BlockDevice, cancel: &'a AtomicBool) -> Result<Self, DiskError> {
        let head_len = HELD_BACK.min(device.size());
        let tail_start = device.size().saturating_sub(HELD_BACK).max(head_len);
        for (start, end) in [(0, head_len), (tail_start, device.size())] {
            device.write_at(start, &ZEROS[..usize::try_from(end - start).unwrap_or(0)])?;
        }
        device.flush()?;
        Ok(Self {
            device,
            cancel,
            head: vec![0; usize::try_from(head_len).unwrap_or(0)],
            tail: None,
            tail_start,
            zeroing: Zeroing::Unmap,
            hole: None,
            unflushed: 0,
            written: 0,
            zeroed: 0,
            end: 0,
        })
    }

    fn check(&mut self, offset: u64, len: u64) -> Result<(), DiskError> {
        let need = offset.saturating_add(len);
        if need > self.device.size() {
            let path = self.device.path().to_path_buf();
            return Err(DiskError::TooSmall { path, need, have: self.device.size() });
        }
        self.end = self.end.max(need);
        Ok(())
    }

    /// `data` belongs at `offset`.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.check(offset, data.len() as u64)?;
        let in_head = usize::try_from((self.head.len() as u64).saturating_sub(offset)).unwrap_or(usize::MAX);
        let (head, rest) = data.split_at(in_head.min(data.len()));
        if !head.is_empty() {
            let at = usize::try_from(offset).unwrap_or(0);
            self.head[at..at + head.len()].copy_from_slice(head);
        }
        let offset = offset + head.len() as u64;
        let in_body = usize::try_from(self.tail_start.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (body, tail) = rest.split_at(in_body.min(rest.len()));
        self.write_body(offset, body)?;
        if !tail.is_empty() {
            let tail_len = usize::try_from(self.device.size() - self.tail_start).unwrap_or(0);
            let at = usize::try_from(offset + body.len() as u64 - self.tail_start).unwrap_or(0);
            let held = self.tail.get_or_insert_with(|| vec![0; tail_len]);
            held[at..at + tail.len()].copy_from_slice(tail);
        }
        Ok(())
    }

    /// Splits into runs of zeros and runs of data, at multiples of a block of the disk.
    fn write_body(&mut self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let mut start = 0;
        while start < data.len() {
            let zero = is_zero(block(offset, data, start));
            let mut end = start;
            while end < data.len() && is_zero(block(offset, data, end)) == zero {
                end += block(offset, data, end).len();
            }
            let at = offset + start as u64;
            if zero {
                self.add_hole(at, (end - start) as u64)?;
            } else {
                self.device.write_at(at, &data[start..end])?;
                self.count((end - start) as u64)?;
            }
            start = end;
        }
        Ok(())
    }

    fn count(&mut self, len: u64) -> Result<(), DiskError> {
        self.written += len;
        self.unflushed += len;
        if self.unflushed >= FLUSH_EVERY {
            self.unflushed = 0;
            self.device.flush()?;
        }
        Ok(())
    }

    /// The disk reads as zeros there.
    pub(crate) fn zero(&mut self, offset: u64, len: u64) -> Result<(), DiskError> {
        self.check(offset, len)?;
        // Both ends are zeros already, until something is written to them.
        let start = offset.max(self.head.len() as u64);
        let end = (offset + len).min(self.tail_start);
        if start < end { self.add_hole(start, end - start) } else { Ok(()) }
    }

    fn add_hole(&mut self, offset: u64, len: u64) -> Result<(), DiskError> {
        if let Some((start, before)) = &mut self.hole
            && *start + *before == offset
        {
            *before += len;
            return Ok(());
        }
        self.fill_hole()?;
        self.hole = Some((offset, len));
        Ok(())
    }

    fn fill_hole(&mut self) -> Result<(), DiskError> {
        let Some((offset, len)) = self.hole.take() else { return Ok(()) };
        self.zeroed += len;
        let mut method = if len < SHORT_RUN { Zeroing::Write } else { self.zeroing };
        zero_range(self.device, offset, len, &mut method, self.cancel)?;
        if len >= SHORT_RUN {
            self.zeroing = method;
        }
        Ok(())
    }

    /// The start of the image, as far as it is held back.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// All but both ends is on the medium when this returns.
    pub(crate) fn settle(&mut self) -> Result<(), DiskError> {
        self.fill_hole()?;
        self.device.flush()
    }

    /// Writes what was held back, the first sector last: that one write makes the disk bootable.
    pub(crate) fn commit(self) -> Result<(u64, u64), DiskError> {
        let first = (self.device.sector_size() as usize).min(self.head.len());
        if let Some(tail) = &self.tail {
            self.device.write_at(self.tail_start, tail)?;
        }
        self.device.write_at(first as u64, &self.head[first..])?;
        self.device.flush()?;
        self.device.write_at(0, &self.head[..first])?;
        self.device.flush()?;
        let held = self.head.len() + self.tail.map_or(0, |tail| tail.len());
        Ok((self.written + held as u64, self.zeroed))
    }
}

/// The block of the disk that byte `start` of `data` is in, as far as `data` has it.
fn block(offset: u64, data: &[u8], start: usize) -> &[u8] {
    let into = usize::try_from((offset + start as u64) % BLOCK as u64).unwrap_or(0);
    let end = (start + BLOCK - into).min(data.len());
    &data[start..end]
}

fn is_zero(block: &[u8]) -> bool {
    let (words, rest) = block.as_chunks::<32>();
    words.iter().all(|word| *word == [0; 32]) && rest.iter().all(|byte| *byte == 0)
}
