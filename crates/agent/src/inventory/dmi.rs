//! The firmware's tables of the machine (SMBIOS 3, DSP0134), read from what the kernel exports.

use std::fs;

/// Structures that are read at most; real machines have some hundreds.
const MOST: usize = 4096;

/// The structures of one machine.
#[derive(Debug, Default)]
pub struct Tables {
    structures: Vec<Structure>,
}

/// One structure: its type, its bytes, and the strings after it.
#[derive(Debug)]
struct Structure {
    kind: u8,
    bytes: Vec<u8>,
    strings: Vec<String>,
}

impl Structure {
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn word(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes.get(at..at + 2)?.try_into().ok()?))
    }

    fn double(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }

    /// The string that the byte at `at` names; none for 0.
    fn text(&self, at: usize) -> Option<String> {
        let number = usize::from(self.byte(at)?);
        let text = self.strings.get(number.checked_sub(1)?)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Tables {
    /// Those of this machine; empty where the firmware has none.
    pub fn of_machine() -> Self {
        Self::parse(&fs::read("/sys/firmware/dmi/tables/DMI").unwrap_or_default())
    }

    /// Reads structures until their end marker, or until one is malformed.
    pub fn parse(mut bytes: &[u8]) -> Self {
        let mut structures = Vec::new();
        while structures.len() < MOST {
            let Some((structure, rest)) = split(bytes) else { break };
            let end = structure.kind == 127;
            structures.push(structure);
            bytes = rest;
            if end {
                break;
            }
        }
        Self { structures }
    }

    fn first(&self, kind: u8) -> Option<&Structure> {
        self.structures.iter().find(|structure| structure.kind == kind)
    }

    /// MiB of all memory modules (type 17, 7.18); none when there are no modules in the tables.
    pub fn memory_mb(&self) -> Option<u64> {
        let modules: Vec<u64> =
            self.structures.iter().filter(|structure| structure.kind == 17).filter_map(module_mb).collect();
        (!modules.is_empty()).then(|| modules.iter().sum())
    }

    /// Processor sockets with something in them (type 4, 7.5).
    pub fn sockets(&self) -> Option<u64> {
        let populated = |structure: &&Structure| {
            structure.kind == 4 && structure.byte(0x18).is_none_or(|status| status & 0x40 != 0)
        };
        Some(self.structures.iter().filter(populated).count() as u64).filter(|count| *count > 0)
    }

    /// Who made the firmware (type 0).
    pub fn firmware_vendor(&self) -> Option<String> {
        self.first(0)?.text(4)
    }

    /// The firmware's version.
    pub fn firmware_version(&self) -> Option<String> {
        self.first(0)?.text(5)
    }

    /// The firmware's date, `mm/dd/yyyy`.
    pub fn firmware_date(&self) -> Option<String> {
        self.first(0)?.text(8)
    }

    /// Who made the machine (type 1).
    pub fn manufacturer(&self) -> Option<String> {
        self.first(1)?.text(4)
    }

    /// The machine's model.
    pub fn product_name(&self) -> Option<String> {
        self.first(1)?.text(5)
    }

    /// The machine's serial number.
    pub fn serial_number(&self) -> Option<String> {
        self.first(1)?.text(7)
    }
}

fn module_mb(structure: &Structure) -> Option<u64> {
    match structure.word(0x0c)? {
        // Empty, or unknown.
        0 | 0xffff => None,
        0x7fff => structure.double(0x1c).map(|mb| u64::from(mb & 0x7fff_ffff)),
        size if size & 0x8000 != 0 => Some(u64::from(size & 0x7fff) / 1024),
        size => Some(u64::from(size)),
    }
}

fn split(bytes: &[u8]) -> Option<(Structure, &[u8])> {
    let (kind, length) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let body = bytes.get(..length).filter(|body| body.len() >= 4)?;
    let tail = bytes.get(length..)?;
    // Strings end with an empty one; without any there are two zeros.
    let end = tail.windows(2).position(|pair| pair == [0, 0])?;
    let strings = tail[..end].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let structure = Structure { kind, bytes: body.to_vec(), strings: strings.collect() };
    Some((structure, &tail[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn structure(kind: u8, body: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, u8::try_from(body.len() + 4).expect("short"), 0, 0];
        bytes.extend(body);
        for text in strings {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
        bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
        bytes
    }

    fn module(size: u16, extended: u32) -> Vec<u8> {
        let mut body = vec![0; 0x1c];
        body[8..10].copy_from_slice(&size.to_le_bytes());
        body[0x18..0x1c].copy_from_slice(&extended.to_le_bytes());
        structure(17, &body, &["DIMM 0"])
    }

    #[test]
    fn a_machine() {
        let bytes = [
            structure(0, &[1, 2, 0, 0, 3], &["SeaBIOS", "1.16", "04/01/2014"]),
            structure(1, &[1, 2, 0, 3], &["QEMU", "Standard PC", " "]),
            module(1024, 0),
            module(0, 0),
            module(0x7fff, 65_536),
            module(0x8000 | 2048, 0),
            structure(127, &[], &[]),
            structure(1, &[1], &["after the end"]),
        ]
        .concat();
        let tables = Tables::parse(&bytes);
        assert_eq!(tables.memory_mb(), Some(1024 + 65_536 + 2));
        assert_eq!(tables.firmware_vendor().as_deref(), Some("SeaBIOS"));
        assert_eq!(tables.firmware_date().as_deref(), Some("04/01/2014"));
        assert_eq!(tables.product_name().as_deref(), Some("Standard PC"));
        assert_eq!(tables.serial_number(), None);
        assert_eq!(tables.structures.len(), 7);
    }

    #[test]
    fn nothing_is_nothing() {
        let tables = Tables::parse(&[]);
        assert_eq!((tables.memory_mb(), tables.manufacturer(), tables.sockets()), (None, None, None));
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let tables = Tables::parse(&bytes);
            let _ = (tables.memory_mb(), tables.sockets(), tables.serial_number());
        }
    }
}
