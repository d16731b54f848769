//! GUIDs in the byte order of UEFI's tables (RFC 4122 text, first three fields little-endian on disk).
//! Makes none: randomness comes from whoever needs a new one.

use std::fmt;
use std::str::FromStr;

/// A GUID as its sixteen bytes on disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Guid(pub [u8; 16]);

/// Position in the text of each byte on disk.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl Guid {
    /// The GUID of no partition.
    pub const NIL: Self = Self([0; 16]);
    /// Partition type "EFI system partition".
    pub const EFI_SYSTEM: Self = Self::from_text_order(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
    /// Partition type "Linux file system data".
    pub const LINUX_DATA: Self = Self::from_text_order(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);
    /// Partition type "BIOS boot", where GRUB keeps its core on GPT disks.
    pub const BIOS_BOOT: Self = Self::from_text_order(0x2168_6148_6449_6e6f_744e_6565_6445_4649);
    /// Partition type "`PReP` boot" of POWER machines.
    pub const PREP_BOOT: Self = Self::from_text_order(0x9e1a_2d38_c612_4316_aa26_8b49_521e_5a8b);

    /// From the 128-bit number that the text spells.
    pub const fn from_text_order(value: u128) -> Self {
        let text = value.to_be_bytes();
        let mut bytes = [0; 16];
        let mut index = 0;
        while index < 16 {
            bytes[index] = text[ORDER[index]];
            index += 1;
        }
        Self(bytes)
    }

    /// A random (version 4) GUID out of sixteen random bytes.
    pub fn from_random(mut random: [u8; 16]) -> Self {
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        Self::from_text_order(u128::from_be_bytes(random))
    }

    fn text_order(self) -> [u8; 16] {
        let mut text = [0; 16];
        for (byte, place) in self.0.into_iter().zip(ORDER) {
            text[place] = byte;
        }
        text
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.text_order().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a GUID of the form 01234567-89ab-cdef-0123-456789abcdef")]
pub struct NotAGuid;

impl FromStr for Guid {
    type Err = NotAGuid;

    fn from_str(text: &str) -> Result<Self, NotAGuid> {
        let dashes_fit = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23));
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        if !dashes_fit || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAGuid);
        }
        u128::from_str_radix(&digits, 16).map(Self::from_text_order).map_err(|_| NotAGuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes() {
        // UEFI 2.10, table 5.7: the ESP type, and its bytes as every ESP on a disk has them.
        assert_eq!(Guid::EFI_SYSTEM.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(Guid::EFI_SYSTEM.0[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!("C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse(), Ok(Guid::EFI_SYSTEM));
        assert_eq!(&Guid::BIOS_BOOT.0, b"Hah!IdontNeedEFI");
        assert!("c12a7328-f81f-11d2-ba4b00a0-c93ec93b".parse::<Guid>().is_err());
        assert_eq!(Guid::from_random([0xff; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
