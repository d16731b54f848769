//! `EFI_LOAD_OPTION` and the device path of a file on a partition (UEFI specification 2.10, sections 3.1.3, 10.3.5.1 and
//! 10.3.5.4).

use disk_image::Guid;

/// A `Boot####` variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    /// Whether firmware tries it by itself.
    pub active: bool,
    /// What a boot menu shows.
    pub description: String,
    /// Partition that holds the loader.
    pub drive: HardDrive,
    /// Path in it, with backslashes.
    pub file: String,
    /// Optional data, handed to the loader as it is.
    pub data: Vec<u8>,
}

/// A hard drive media device path node, without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardDrive {
    number: u32,
    first: u64,
    sectors: u64,
    signature: [u8; 16],
    /// 1 MBR, 2 GPT.
    format: u8,
    /// 1 a 32-bit disk signature, 2 a GUID.
    signature_kind: u8,
}

impl HardDrive {
    /// Partition `number` of a GPT: first sector, length in sectors, its GUID.
    pub fn gpt(number: u32, first: u64, sectors: u64, guid: Guid) -> Self {
        Self { number, first, sectors, signature: guid.0, format: 2, signature_kind: 2 }
    }

    /// Partition `number` of an MBR with the disk's signature.
    pub fn mbr(number: u32, first: u64, sectors: u64, disk: u32) -> Self {
        let mut signature = [0; 16];
        signature[..4].copy_from_slice(&disk.to_le_bytes());
        Self { number, first, sectors, signature, format: 1, signature_kind: 1 }
    }
}

/// Type 4 "media", end of path.
const MEDIA: u8 = 0x04;
const MEDIA_HARD_DRIVE: u8 = 0x01;
const MEDIA_FILE_PATH: u8 = 0x04;
const END: [u8; 4] = [0x7f, 0xff, 0x04, 0x00];

impl LoadOption {
    /// The variable's value, without the attributes that efivarfs puts before it.
    pub fn encode(&self) -> Vec<u8> {
        let mut path = Vec::new();
        let HardDrive { number, first, sectors, signature, format, signature_kind } = self.drive;
        let drive = [
            &number.to_le_bytes()[..],
            &first.to_le_bytes(),
            &sectors.to_le_bytes(),
            &signature,
            &[format, signature_kind],
        ];
        push_node(&mut path, MEDIA_HARD_DRIVE, &drive.concat());
        push_node(&mut path, MEDIA_FILE_PATH, &utf16(&self.file));
        path.extend_from_slice(&END);
        let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
        let mut bytes = u32::from(self.active).to_le_bytes().to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&utf16(&self.description));
        bytes.extend_from_slice(&path);
        bytes.extend_from_slice(&self.data);
        bytes
    }
}

fn push_node(path: &mut Vec<u8>, subtype: u8, body: &[u8]) {
    let length = u16::try_from(body.len() + 4).unwrap_or(u16::MAX);
    path.extend_from_slice(&[MEDIA, subtype]);
    path.extend_from_slice(&length.to_le_bytes());
    path.extend_from_slice(body);
}

/// UTF-16LE with a terminating zero; cut to 512 units.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().take(512).chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The description in a `Boot####` value.
pub fn description(value: &[u8]) -> Option<String> {
    let units = value.get(6..)?.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    Some(String::from_utf16_lossy(&units))
}
