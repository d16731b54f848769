//! Volume descriptors (ECMA-119, 8.4 and 8.5; Joliet specification, version 1).

use super::record::{Hierarchy, both16, both32, root};
use super::{Layout, SECTOR, Tree, narrow};

const PRIMARY_SECTOR: usize = 16;
const DATE: &[u8; 17] = b"2000010100000000\0";
const NO_DATE: &[u8; 17] = b"0000000000000000\0";
/// Text fields between the root's record and the dates: offset and length.
const TEXTS: [(usize, usize); 7] =
    [(190, 128), (318, 128), (446, 128), (574, 128), (702, 37), (739, 37), (776, 37)];

pub(super) fn write_descriptors(image: &mut [u8], volume: &str, layouts: &[Layout], tree: &Tree) {
    let sectors = narrow(image.len() / SECTOR);
    for (number, layout) in layouts.iter().enumerate() {
        let at = (PRIMARY_SECTOR + number) * SECTOR;
        describe(&mut image[at..at + SECTOR], volume, layout, tree, sectors);
    }
    let at = (PRIMARY_SECTOR + layouts.len()) * SECTOR;
    image[at..at + 7].copy_from_slice(b"\xffCD001\x01");
}

fn describe(sector: &mut [u8], volume: &str, layout: &Layout, tree: &Tree, sectors: u32) {
    let joliet = layout.kind == Hierarchy::Joliet;
    sector[..7].copy_from_slice(if joliet { b"\x02CD001\x01" } else { b"\x01CD001\x01" });
    put_text(&mut sector[8..40], if joliet { "" } else { "LINUX" }, joliet);
    put_text(&mut sector[40..72], volume, joliet);
    sector[80..88].copy_from_slice(&both32(sectors));
    if joliet {
        // UCS-2, level 3.
        sector[88..91].copy_from_slice(b"%/E");
    }
    sector[120..124].copy_from_slice(&both16(1));
    sector[124..128].copy_from_slice(&both16(1));
    sector[128..132].copy_from_slice(&both16(2048));
    let (little, big, size) = layout.tables;
    sector[132..140].copy_from_slice(&both32(size));
    sector[140..144].copy_from_slice(&little.to_le_bytes());
    sector[148..152].copy_from_slice(&big.to_be_bytes());
    sector[156..190].copy_from_slice(&root(layout, tree));
    for (at, len) in TEXTS {
        put_text(&mut sector[at..at + len], "", joliet);
    }
    for (at, date) in [(813, DATE), (830, DATE), (847, NO_DATE), (864, DATE)] {
        sector[at..at + 17].copy_from_slice(date);
    }
    sector[881] = 1;
}

/// Text, padded with spaces; in UCS-2 for Joliet (an odd last byte stays zero).
fn put_text(field: &mut [u8], text: &str, joliet: bool) {
    if joliet {
        let mut units = text.encode_utf16();
        for pair in field.chunks_exact_mut(2) {
            pair.copy_from_slice(&units.next().unwrap_or(0x20).to_be_bytes());
        }
    } else {
        field.fill(b' ');
        field[..text.len()].copy_from_slice(text.as_bytes());
    }
}
