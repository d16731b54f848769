//! Erasing: the metadata that makes a disk look used, or everything on it, with evidence of what was done.
//! Does not speak ATA secure erase or `NVMe` sanitize.

use std::fs::File;
use std::sync::atomic::Ordering;

use rustix::io::Errno;
use serde::Serialize;

use crate::device::BlockDevice;
use crate::error::DiskError;
use crate::partitions;
use crate::target::{Zeroing, zero_range};
use crate::write::{Control, Progress};

/// Bytes cleared at the start and at the end of the disk and of every partition. Holds MBR, GPT and its entries, and
/// the signatures of every file system, RAID and volume manager that Linux knows, but for the spare copies
/// that file systems keep deep inside, which nothing finds without these.
const ENDS: u64 = 1 << 20;
/// Reads back this many places of an erased disk.
const SAMPLES: u64 = 64;
const SAMPLE_LEN: u64 = 4096;
/// Zeroing goes forward in such steps, with a report of progress after each.
const STEP: u64 = 256 << 20;

/// How a disk was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The device discarded its content for good (BLKSECDISCARD).
    SecureDiscard,
    /// The device unmapped its content and promises zeros.
    Unmap,
    /// The kernel zeroed it, with the device's help where it has any (BLKZEROOUT).
    ZeroOut,
    /// Zeros were written over it.
    Overwrite,
}

/// What erasing did, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The disk.
    pub device: String,
    /// Every method carried out, in order.
    pub methods: Vec<Method>,
    /// Bytes erased.
    pub bytes: u64,
    /// Offsets that were read back and found to be zero, 4096 bytes each.
    pub samples: Vec<u64>,
    /// Signatures that had been there (`gpt`, `ext4`, …), of the metadata erase only.
    pub found: Vec<String>,
}

/// Clears partition tables and the signatures at both ends of the disk and of each of its partitions, and reads all of it
/// back.
pub fn erase_metadata(device: &BlockDevice) -> Result<Evidence, DiskError> {
    let mut found = Vec::new();
    // A broken table must not keep a disk from being cleaned: its partitions' ends then stay, but out of reach.
    let listed = partitions::list(device).or_else(|error| match error {
        DiskError::PartitionTable { .. } => Ok(Vec::new()),
        error => Err(error),
    })?;
    if let Ok(Some(table)) = partitions::table(device) {
        found.push(if matches!(table, partitions::Table::Gpt(_)) { "gpt" } else { "mbr" }.to_owned());
    }
    let mut ranges = Vec::new();
    for partition in &listed {
        found.extend(partition.content.as_ref().map(|content| content.kind.to_owned()));
        ranges.extend(ends(partition.start, partition.size.min(device.size() - partition.start)));
    }
    found.extend(crate::signature::probe(device, 0, device.size())?.map(|content| content.kind.to_owned()));
    // The disk's own ends last: until then a second attempt still finds the partitions.
    ranges.extend(ends(0, device.size()));
    let mut bytes = 0;
    for (start, len) in &ranges {
        device.write_at(*start, &vec![0; *len])?;
        bytes += *len as u64;
    }
    device.flush()?;
    let mut samples = Vec::new();
    for (start, len) in ranges {
        must_be_zero(device, start, len)?;
        samples.push(start);
    }
    device.reread_partitions()?;
    let methods = vec![Method::Overwrite];
    Ok(Evidence { device: device.path().display().to_string(), methods, bytes, samples, found })
}

/// Start and length of both ends of a range; a range shorter than both is one.
fn ends(start: u64, size: u64) -> Vec<(u64, usize)> {
    let narrow = |len: u64| usize::try_from(len).unwrap_or(0);
    if size <= 2 * ENDS {
        return vec![(start, narrow(size))];
    }
    vec![(start, narrow(ENDS)), (start + size - ENDS, narrow(ENDS))]
}

/// Erases everything: secure discard where the device has it, then in any case zeros, unmapped by the device or
/// written; then reads back both ends and places in between.
pub fn erase_device(device: &BlockDevice, control: &mut Control<'_>) -> Result<Evidence, DiskError> {
    let mut methods = Vec::new();
    if !device.is_file() && secure_discard(device)? {
        methods.push(Method::SecureDiscard);
    }
    // On a real disk unmapping alone would leave the old data in the flash, where it can be had with some effort:
    // only after a secure discard is it enough. A file has nothing below it.
    let mut zeroing = if device.is_file() || !methods.is_empty() { Zeroing::Unmap } else { Zeroing::ZeroOut };
    let mut done = 0;
    while done < device.size() {
        if control.cancel.load(Ordering::Relaxed) {
            return Err(DiskError::Cancelled);
        }
        let step = STEP.min(device.size() - done);
        zero_range(device, done, step, &mut zeroing, control.cancel)?;
        device.flush()?;
        done += step;
        (control.progress)(Progress { downloaded: 0, total: Some(device.size()), written: done });
    }
    methods.push(match zeroing {
        Zeroing::Unmap => Method::Unmap,
        Zeroing::ZeroOut => Method::ZeroOut,
        Zeroing::Write => Method::Overwrite,
    });
    let samples = sample(device)?;
    device.reread_partitions()?;
    let name = device.path().display().to_string();
    tracing::info!(device = name, ?methods, bytes = done, "disk erased");
    Ok(Evidence { device: name, methods, bytes: done, samples, found: Vec::new() })
}

/// Reads back evenly spread places, the first and the last bytes among them.
fn sample(device: &BlockDevice) -> Result<Vec<u64>, DiskError> {
    let span = device.size().saturating_sub(SAMPLE_LEN);
    let mut offsets: Vec<u64> = (0..=SAMPLES).map(|index| span / SAMPLES * index).collect();
    offsets.push(span);
    offsets.dedup();
    for offset in &offsets {
        let len = SAMPLE_LEN.min(device.size());
        must_be_zero(device, *offset, usize::try_from(len).unwrap_or(0))?;
    }
    Ok(offsets)
}

fn must_be_zero(device: &BlockDevice, start: u64, len: usize) -> Result<(), DiskError> {
    let bytes = device.read_vec(start, len)?;
    match bytes.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(at) => Err(DiskError::NotErased { path: device.path().into(), offset: start + at as u64 }),
    }
}

/// `Ok(false)` when the device cannot.
fn secure_discard(device: &BlockDevice) -> Result<bool, DiskError> {
    match blksecdiscard(device.raw(), [0, device.size()]) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => Ok(false),
        Err(errno) => Err(device.failed("securely discard", 0, errno.into())),
    }
}

#[expect(unsafe_code, reason = "rustix has no safe call for BLKSECDISCARD")]
fn blksecdiscard(file: &File, range: [u64; 2]) -> rustix::io::Result<()> {
    // linux/fs.h: BLKSECDISCARD is _IO(0x12, 125) and takes a pointer to two u64: start and length in bytes.
    const BLKSECDISCARD: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(0x12, 125);
    // SAFETY: the kernel reads two u64 through the pointer, which is what the array is; it writes nothing.
    unsafe { rustix::ioctl::ioctl(file, rustix::ioctl::Setter::<BLKSECDISCARD, [u64; 2]>::new(range)) }
}
