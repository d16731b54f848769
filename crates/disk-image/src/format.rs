//! What an image is, judged by its first bytes, never by its name or by what somebody declared.
//! Knows signatures only; whether a qcow2 file is safe to read is asked of [`crate::qcow2`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many bytes from the start of an image [`sniff`] wants to see (fewer when the image is shorter).
pub const SNIFF_LEN: usize = 64 * 1024;

/// An image format, by the name that Ironic and Glance use for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Bytes of a disk without any signature known here (an unpartitioned file system counts).
    Raw,
    /// Bytes of a disk that starts with a partition table: GPT, or an MBR alone (Ironic's inspector calls both so).
    Gpt,
    /// QEMU copy-on-write, version 2 or 3.
    Qcow2,
    /// ISO 9660, also when it is a hybrid with a partition table.
    Iso,
    /// `VMware` virtual disk.
    Vmdk,
    /// Microsoft virtual hard disk (`vpc` in QEMU), dynamic or differencing.
    Vhd,
    /// Microsoft virtual hard disk, version 2.
    Vhdx,
    /// `VirtualBox` disk image.
    Vdi,
    /// QEMU enhanced disk, long abandoned.
    Qed,
    /// Linux Unified Key Setup: encrypted, so nothing here can look inside.
    Luks,
    /// Compressed by gzip (RFC 1952); the format of what is inside must be sniffed again.
    Gzip,
    /// Compressed by Zstandard (RFC 8878); sniff again inside.
    Zstd,
    /// Compressed by xz.
    Xz,
}

impl Format {
    /// Every format, in no particular order.
    pub const ALL: [Self; 13] = [
        Self::Raw,
        Self::Gpt,
        Self::Qcow2,
        Self::Iso,
        Self::Vmdk,
        Self::Vhd,
        Self::Vhdx,
        Self::Vdi,
        Self::Qed,
        Self::Luks,
        Self::Gzip,
        Self::Zstd,
        Self::Xz,
    ];

    /// Ironic's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Gpt => "gpt",
            Self::Qcow2 => "qcow2",
            Self::Iso => "iso",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Qed => "qed",
            Self::Luks => "luks",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    /// Whether content of this format may be called `declared`: the same, or a partitioned disk called `raw`.
    pub fn satisfies(self, declared: Self) -> bool {
        self == declared || (declared == Self::Raw && self == Self::Gpt)
    }

    /// Whether this is a compression around an image rather than an image.
    pub fn is_compression(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd | Self::Xz)
    }

    /// Whether the image's bytes are the disk's bytes.
    pub fn is_raw_bytes(self) -> bool {
        matches!(self, Self::Raw | Self::Gpt | Self::Iso)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is of no format known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image format {name:?} is not known")]
pub struct UnknownFormat {
    /// The name as given, cut to 32 characters.
    pub name: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let lower = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| format.name() == lower)
            .ok_or_else(|| UnknownFormat { name: text.chars().take(32).collect() })
    }
}

/// Signatures at a fixed offset. The first that fits wins; ISO comes before partition tables because hybrids
/// have both.
const SIGNATURES: &[(usize, &[u8], Format)] = &[
    (0, b"QFI\xfb", Format::Qcow2),
    (0, b"QED\0", Format::Qed),
    (0, b"KDMV", Format::Vmdk),
    (0, b"COWD", Format::Vmdk),
    (0, b"# Disk DescriptorFile", Format::Vmdk),
    (0, b"vhdxfile", Format::Vhdx),
    (0, b"conectix", Format::Vhd),
    (0x40, b"\x7f\x10\xda\xbe", Format::Vdi),
    (0, b"LUKS\xba\xbe", Format::Luks),
    (0, b"\x1f\x8b\x08", Format::Gzip),
    (0, b"\x28\xb5\x2f\xfd", Format::Zstd),
    (0, b"\xfd7zXZ\0", Format::Xz),
    (0x8001, b"CD001", Format::Iso),
];

/// The format of an image that starts with `head` (the first [`SNIFF_LEN`] bytes, or all of a shorter image).
///
/// ```
/// # use disk_image::{Format, sniff};
/// assert_eq!(sniff(b"QFI\xfb\0\0\0\x03"), Format::Qcow2);
/// assert_eq!(sniff(b"anything else"), Format::Raw);
/// ```
pub fn sniff(head: &[u8]) -> Format {
    let signed = SIGNATURES
        .iter()
        .find(|(offset, magic, _)| head.get(*offset..).is_some_and(|rest| rest.starts_with(magic)));
    match signed {
        Some((_, _, format)) => *format,
        None if has_partition_table(head) => Format::Gpt,
        None => Format::Raw,
    }
}

/// A boot sector whose four partition entries make sense. A FAT boot sector ends with the same two bytes, but
/// has code or text where the entries would be.
fn has_partition_table(head: &[u8]) -> bool {
    let Some(sector) = head.get(..512) else { return false };
    if sector[510..] != [0x55, 0xaa] {
        return false;
    }
    let entries: Vec<&[u8]> = sector[446..510].chunks_exact(16).collect();
    entries.iter().all(|entry| matches!(entry[0], 0 | 0x80)) && entries.iter().any(|entry| entry[4] != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_is_found_alone() {
        for (offset, magic, format) in SIGNATURES {
            let mut head = vec![0; SNIFF_LEN];
            head[*offset..*offset + magic.len()].copy_from_slice(magic);
            assert_eq!(sniff(&head), *format);
            assert_eq!(format.name().parse(), Ok(*format));
        }
    }

    #[test]
    fn hybrid_iso_is_iso_and_mbr_is_gpt_and_fat_is_raw() {
        let mut head = vec![0; SNIFF_LEN];
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(sniff(&head), Format::Raw, "an empty table is no table");
        head[446 + 4] = 0xee;
        assert_eq!(sniff(&head), Format::Gpt);
        head[446] = 0x41;
        assert_eq!(sniff(&head), Format::Raw, "a boot indicator is 0x00 or 0x80");
        head[446] = 0x80;
        head[0x8001..0x8006].copy_from_slice(b"CD001");
        assert_eq!(sniff(&head), Format::Iso);
    }

    #[test]
    fn only_raw_is_generous() {
        assert!(Format::Gpt.satisfies(Format::Raw));
        assert!(!Format::Qcow2.satisfies(Format::Raw));
        assert!(!Format::Iso.satisfies(Format::Raw));
        assert!(!Format::Raw.satisfies(Format::Gpt));
        assert!(sniff(&[]) == Format::Raw && sniff(&[0; 511]) == Format::Raw);
    }
}
