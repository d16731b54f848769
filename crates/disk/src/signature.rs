//! File systems, RAID members, volume groups and encryption by their signatures. Enough to name what a
//! partition holds (label, UUID) and to find what erasing must remove; not a replacement for blkid.

use crate::device::BlockDevice;
use crate::error::DiskError;

/// What a signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// As `blkid` calls it: `ext4`, `xfs`, `btrfs`, `vfat`, `swap`, `iso9660`, `crypto_LUKS`, `LVM2_member`,
    /// `linux_raid_member`.
    pub kind: &'static str,
    /// Volume label.
    pub label: Option<String>,
    /// UUID (for FAT the serial number, `1234-ABCD`).
    pub uuid: Option<String>,
}

/// Where to find a kind: magic at an offset, label and UUID at others (0 means none).
struct Kind {
    name: &'static str,
    magic_at: usize,
    magic: &'static [u8],
    uuid_at: usize,
    label_at: usize,
    label_len: usize,
}

const fn kind(
    name: &'static str,
    magic_at: usize,
    magic: &'static [u8],
    uuid_at: usize,
    label: (usize, usize),
) -> Kind {
    Kind { name, magic_at, magic, uuid_at, label_at: label.0, label_len: label.1 }
}

const KINDS: &[Kind] = &[
    kind("ext4", 0x438, b"\x53\xef", 0x468, (0x478, 16)),
    kind("xfs", 0, b"XFSB", 0x20, (0x6c, 12)),
    kind("btrfs", 0x1_0040, b"_BHRfS_M", 0x1_0020, (0x1_012b, 256)),
    kind("swap", 4086, b"SWAPSPACE2", 0x40c, (0x41c, 16)),
    kind("crypto_LUKS", 0, b"LUKS\xba\xbe", 0, (0, 0)),
    kind("iso9660", 0x8001, b"CD001", 0, (0x8028, 32)),
    kind("LVM2_member", 0x200, b"LABELONE", 0, (0, 0)),
    kind("LVM2_member", 0, b"LABELONE", 0, (0, 0)),
    // Metadata 1.1 at the start, 1.2 after 4 KiB; both little-endian a92b4efc.
    kind("linux_raid_member", 0x1000, b"\xfc\x4e\x2b\xa9", 0x1010, (0x1020, 32)),
    kind("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9", 0x10, (0x20, 32)),
];

/// Bytes at the start that hold every signature known here.
const HEAD: u64 = 0x1_1000;

/// What the `size` bytes at `start` of the disk hold; `None` when nothing is recognised.
pub fn probe(device: &BlockDevice, start: u64, size: u64) -> Result<Option<Signature>, DiskError> {
    let len = HEAD.min(size).min(device.size().saturating_sub(start));
    let head = device.read_vec(start, usize::try_from(len).unwrap_or(0))?;
    if let Some(found) = KINDS.iter().find(|kind| has(&head, kind.magic_at, kind.magic)) {
        return Ok(Some(Signature {
            kind: found.name,
            label: text(&head, found.label_at, found.label_len),
            uuid: uuid(&head, found.uuid_at),
        }));
    }
    if let Some(found) = fat(&head) {
        return Ok(Some(found));
    }
    raid_at_end(device, start, size)
}

fn has(head: &[u8], at: usize, magic: &[u8]) -> bool {
    head.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

fn text(head: &[u8], at: usize, len: usize) -> Option<String> {
    let bytes = head.get(at..at + len).filter(|_| at != 0)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(len);
    let text = String::from_utf8_lossy(&bytes[..end]).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn uuid(head: &[u8], at: usize) -> Option<String> {
    let bytes: [u8; 16] =
        head.get(at..)?.first_chunk().copied().filter(|bytes| at != 0 && *bytes != [0; 16])?;
    let hex = disk_image::hash::to_hex(&bytes);
    Some(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// FAT's serial number and label are in the boot sector, at another offset for FAT32 (Microsoft's FAT
/// specification 1.03, section 3). The label in the root directory, which may differ, is not looked for.
fn fat(head: &[u8]) -> Option<Signature> {
    let is_fat32 = has(head, 0x52, b"FAT32   ");
    if !is_fat32 && !has(head, 0x36, b"FAT1") || !has(head, 510, &[0x55, 0xaa]) {
        return None;
    }
    let (serial_at, label_at) = if is_fat32 { (0x43, 0x47) } else { (0x27, 0x2b) };
    let serial = u32::from_le_bytes(head.get(serial_at..)?.first_chunk().copied()?);
    let label = text(head, label_at, 11).filter(|label| label != "NO NAME");
    let uuid = Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    Some(Signature { kind: "vfat", label, uuid })
}

/// RAID metadata 0.90 lies in the last full 64 KiB, 1.0 8 KiB before the end, at a multiple of 4 KiB.
fn raid_at_end(device: &BlockDevice, start: u64, size: u64) -> Result<Option<Signature>, DiskError> {
    let size = size.min(device.size().saturating_sub(start));
    if size < 0x2_0000 {
        return Ok(None);
    }
    let old = (size & !0xffff) - 0x1_0000;
    let new = (size - 0x2000) & !0xfff;
    for at in [old, new] {
        let head = device.read_vec(start + at, 64)?;
        if has(&head, 0, b"\xfc\x4e\x2b\xa9") {
            let uuid = (at == new).then(|| uuid(&head, 0x10)).flatten();
            let label = (at == new).then(|| text(&head, 0x20, 32)).flatten();
            return Ok(Some(Signature { kind: "linux_raid_member", label, uuid }));
        }
    }
    Ok(None)
}
