//! Hostile qcow2 images: whatever the bytes, an answer, never a panic, and memory within the limits.

use std::io::{Cursor, Read};
use std::sync::OnceLock;

use disk_image::qcow2::{Limits, Reader, Stream, Tables};
use disk_image::sniff;
use proptest::prelude::*;

use crate::tool::{disk, run, text};

const LIMITS: Limits = Limits { virtual_size: 1 << 32, extents: 10_000, lookback: 1 << 20 };

/// A few images to break: plain, compressed both ways, small clusters.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("raw"), dir.path().join("qcow2"));
        std::fs::write(&from, disk(400_000 / 512 * 512, 3)).unwrap();
        let options = [
            &["-o", "cluster_size=4k"][..],
            &["-c", "-o", "cluster_size=4k"],
            &["-c", "-o", "cluster_size=8k,compression_type=zstd"],
            &["-o", "cluster_size=512,compat=0.10"],
        ];
        options
            .iter()
            .map(|options| {
                let ends = ["-f", "raw", "-O", "qcow2", text(&from), text(&to)];
                run("qemu-img", &[&["convert"], *options, &ends].concat());
                std::fs::read(&to).unwrap()
            })
            .collect()
    })
}

/// Reads everything every way; errors are fine.
fn read_all(bytes: &[u8]) {
    let _ = sniff(bytes);
    let mut stream = Stream::new(&LIMITS);
    let mut source = Cursor::new(bytes);
    let mut pieces = 0;
    while let Ok(Some(_)) = stream.next(&mut source) {
        pieces += 1;
        assert!(pieces < 100_000, "a stream must end");
    }
    let tables = Tables::load(&mut Cursor::new(bytes), &LIMITS);
    if let Ok(mut stream) = tables.and_then(|tables| Stream::with_tables(tables, &LIMITS)) {
        let mut source = Cursor::new(bytes);
        while let Ok(Some(_)) = stream.next(&mut source) {}
    }
    if let Ok(reader) = Reader::new(Cursor::new(bytes), &LIMITS) {
        let _ = std::io::copy(&mut reader.take(1 << 22), &mut std::io::sink());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes changed anywhere, most often in header and tables.
    #[test]
    fn damaged_images(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<u32>(), any::<u8>(), any::<bool>()), 1..6),
        keep in prop::option::of(any::<u32>()),
    ) {
        let mut bytes = samples()[which].clone();
        for (at, value, early) in changes {
            let reach = if early { 112 } else { bytes.len().min(40_000) };
            let at = at as usize % reach;
            bytes[at] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep as usize % (bytes.len() + 1));
        }
        read_all(&bytes);
    }

    /// Headers of nothing but noise after the magic.
    #[test]
    fn noise(version in 2_u8..4, cluster_bits in 8_u8..23, tail in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut bytes = b"QFI\xfb\0\0\0".to_vec();
        bytes.push(version);
        bytes.extend([0; 12]);
        bytes.extend([0, 0, 0, cluster_bits]);
        bytes.extend(tail);
        read_all(&bytes);
    }

    /// A valid header over noise: tables point anywhere.
    #[test]
    fn wild_tables(which in 0_usize..4, entries in prop::collection::vec(any::<u64>(), 1..64), at in any::<u32>()) {
        let mut bytes = samples()[which].clone();
        let room = bytes.len() - entries.len() * 8 - 1024;
        let start = (at as usize % room / 512) * 512 + 512;
        for (entry, place) in entries.iter().zip(bytes[start..].chunks_exact_mut(8)) {
            // Half of them near: offsets that exist.
            let entry = if entry & 1 == 0 { entry & 0xc000_0000_0007_fe01 } else { *entry };
            place.copy_from_slice(&entry.to_be_bytes());
        }
        read_all(&bytes);
    }
}
