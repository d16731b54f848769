//! Writing images: every format ends in the same disk, and whatever goes wrong leaves nothing that boots.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use disk::{BlockDevice, Control, DiskError, WriteRequest, Written, write_image};
use disk_image::hash::Hasher;
use disk_image::qcow2::{Limits, Tables};
use disk_image::{Algorithm, Checksum, Format};

use crate::tool::{Lab, MIB, device, run, text};

fn sum(bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish()
}

fn request<'a>(device: &'a BlockDevice, image: &[u8]) -> WriteRequest<'a> {
    WriteRequest {
        device,
        checksum: sum(image),
        declared: None,
        content_length: Some(image.len() as u64),
        tables: None,
        limits: Limits::default(),
    }
}

fn write(request: WriteRequest<'_>, source: &mut dyn Read) -> Result<Written, DiskError> {
    let (mut progress, cancel) = (|_| {}, AtomicBool::new(false));
    write_image(request, source, &mut Control { progress: &mut progress, cancel: &cancel })
}

/// The image's bytes are on the disk, the rest of it may be anything; the partition tables differ by the backup's place.
fn must_hold(disk: &Path, image: &[u8]) {
    let written = fs::read(disk).unwrap();
    assert_eq!(&written[..440], &image[..440], "boot code");
    let backup = image.len() - 33 * 512;
    assert!(written[1 << 20..backup] == image[1 << 20..backup], "content");
    let verdict = run("sgdisk", &["-v", text(disk)]);
    assert!(verdict.contains("No problems found"), "{verdict}");
    let partitions = run("sgdisk", &["-p", text(disk)]);
    assert!(partitions.contains("EF00") && partitions.contains("root"), "{partitions}");
}

/// Nothing at either end: no firmware and no kernel finds a partition table, boot code or file system.
fn must_be_unbootable(disk: &Path) {
    let file = File::open(disk).unwrap();
    let size = file.metadata().unwrap().len();
    for start in [0, size - MIB] {
        let mut end = vec![1; 1 << 20];
        file.read_exact_at(&mut end, start).unwrap();
        assert!(end.iter().all(|byte| *byte == 0), "bytes from {start}");
    }
}

/// On every read, the disk must be as harmless as if the power went away now.
struct Watch<'a, R> {
    inner: R,
    disk: &'a Path,
    reads: usize,
}

impl<R: Read> Read for Watch<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        let len = buffer.len().min(300_000);
        let count = self.inner.read(&mut buffer[..len])?;
        // The first reads look at the format, before the disk is touched.
        if self.reads > 2 {
            must_be_unbootable(self.disk);
        }
        Ok(count)
    }
}

fn variants(lab: &Lab, raw: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = fs::read(raw).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    let qcow2 = |options: &[&str]| {
        let path = lab.path("image.qcow2");
        let ends = ["-f", "raw", "-O", "qcow2", text(raw), text(&path)];
        run("qemu-img", &[&["convert"], options, &ends].concat());
        fs::read(path).unwrap()
    };
    vec![
        ("qcow2", qcow2(&[])),
        ("qcow2 zlib", qcow2(&["-c"])),
        ("qcow2 zstd", qcow2(&["-c", "-o", "compression_type=zstd"])),
        ("qcow2 small clusters", qcow2(&["-c", "-o", "cluster_size=4k"])),
        ("qcow2 inside zstd", zstd::encode_all(&qcow2(&[])[..], 1).unwrap()),
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(&bytes[..], 1).unwrap()),
        ("raw", bytes),
    ]
}

#[test]
fn every_format_ends_in_the_same_disk() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    let image = fs::read(&raw).unwrap();
    for (name, download) in variants(&lab, &raw) {
        for size in [24 * MIB, 40 * MIB + 512] {
            let path = lab.used_disk(size);
            let device = device(&path);
            let mut source = Watch { inner: &download[..], disk: &path, reads: 0 };
            let written = write(request(&device, &download), &mut source).unwrap();
            must_hold(&path, &image);
            assert_eq!(written.downloaded, download.len() as u64, "{name}");
            assert_eq!((written.virtual_size, written.gpt_moved), (24 * MIB, size > 24 * MIB), "{name}");
            assert!(written.zeroed > 10 * MIB, "{name}: zeros are not written: {written:?}");
            assert_eq!(written.format, if name.starts_with("qcow2") { Format::Qcow2 } else { Format::Gpt });
            let info = disk::partitions::list(&device).unwrap();
            assert_eq!(info.len(), 3);
            assert!(info[1].is_efi_system());
        }
    }
}

#[test]
fn a_wrong_checksum_leaves_nothing_that_boots() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    for (name, download) in variants(&lab, &raw) {
        // The same size as the image, so that the image's backup GPT would be at the disk's end.
        let path = lab.used_disk(24 * MIB);
        let device = device(&path);
        let mut wrong = request(&device, &download);
        wrong.checksum = Checksum::by_length(&"0".repeat(64)).unwrap();
        let error = write(wrong, &mut &download[..]).unwrap_err();
        assert!(matches!(error, DiskError::ChecksumMismatch { .. }), "{name}: {error}");
        assert!(error.to_string().contains(&sum(&download).hex));
        must_be_unbootable(&path);
        assert!(disk::partitions::list(&device).unwrap().is_empty());
    }
}

/// One bit changed on the way: found by the hash, or by a decoder before it.
#[test]
fn one_changed_bit_leaves_nothing_that_boots() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    for (name, download) in variants(&lab, &raw) {
        for part in [3, 50, 97] {
            let path = lab.used_disk(24 * MIB);
            let device = device(&path);
            let mut changed = download.clone();
            let at = changed.len() * part / 100;
            changed[at] ^= 4;
            write(request(&device, &download), &mut &changed[..]).expect_err(name);
            must_be_unbootable(&path);
        }
    }
}

struct Broken<R>(R);

impl<R: Read> Read for Broken<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "peer went away")),
            count => Ok(count),
        }
    }
}

#[test]
fn interrupted_downloads_leave_nothing_that_boots() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    for (name, download) in variants(&lab, &raw) {
        let half = &download[..download.len() / 2];
        let path = lab.used_disk(24 * MIB);
        let device = device(&path);
        let error = write(request(&device, &download), &mut Broken(half)).unwrap_err();
        assert!(matches!(error, DiskError::Source { .. }), "{name}: {error:?}");
        must_be_unbootable(&path);
        let error = write(request(&device, &download), &mut &half[..]).expect_err(name);
        assert!(!matches!(error, DiskError::Io { .. } | DiskError::Vanished { .. }), "{name}: {error:?}");
        must_be_unbootable(&path);
    }
}

#[test]
fn cancelling_stops_at_once() {
    let lab = Lab::new();
    let image = fs::read(lab.os_image(24 * MIB)).unwrap();
    let path = lab.used_disk(24 * MIB);
    let device = device(&path);
    let cancel = AtomicBool::new(false);
    let mut calls = 0;
    let mut progress = |progress: disk::Progress| {
        calls += 1;
        if progress.downloaded > 5 * MIB {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let mut control = Control { progress: &mut progress, cancel: &cancel };
    let error = write_image(request(&device, &image), &mut &image[..], &mut control).unwrap_err();
    assert!(matches!(error, DiskError::Cancelled));
    assert!(calls < 10, "{calls}");
    must_be_unbootable(&path);
}

#[test]
fn a_disk_too_small_is_found_before_it_is_touched_where_the_size_is_known() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    for (name, download) in variants(&lab, &raw) {
        let path = lab.used_disk(24 * MIB - 512);
        let before = fs::read(&path).unwrap();
        let device = device(&path);
        let error = write(request(&device, &download), &mut &download[..]).unwrap_err();
        let DiskError::TooSmall { need, have, .. } = error else { panic!("{name}: {error:?}") };
        assert!(need > have && have == 24 * MIB - 512, "{name}");
        if name == "raw" || name.starts_with("qcow2") {
            assert_eq!(need, 24 * MIB, "{name}");
            assert!(fs::read(&path).unwrap() == before, "{name}: the disk was touched");
        } else {
            must_be_unbootable(&path);
        }
    }
}

#[test]
fn formats_are_judged_by_content() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    let path = lab.used_disk(24 * MIB);
    let device = device(&path);
    let before = fs::read(&path).unwrap();
    let try_as = |declared: Format, download: &[u8]| {
        let mut request = request(&device, download);
        request.declared = Some(declared);
        write(request, &mut &download[..])
    };
    let images = variants(&lab, &raw);
    let qcow2 = &images[0].1;
    let error = try_as(Format::Raw, qcow2).unwrap_err();
    assert!(matches!(error, DiskError::FormatMismatch { found: Format::Qcow2, .. }), "{error}");
    for (head, format) in
        [(&b"KDMV"[..], Format::Vmdk), (b"vhdxfile", Format::Vhdx), (b"LUKS\xba\xbe", Format::Luks)]
    {
        let image = [head, &[0; 1000]].concat();
        let error = try_as(format, &image).unwrap_err();
        assert!(matches!(error, DiskError::UnsupportedFormat { .. }), "{error}");
    }
    let backing = lab.path("backing.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-b", text(&raw), "-F", "raw", text(&backing)]);
    let error = try_as(Format::Qcow2, &fs::read(&backing).unwrap()).unwrap_err();
    assert!(matches!(error, DiskError::Qcow2(_)), "{error}");
    assert!(fs::read(&path).unwrap() == before, "refused before the disk is touched");
    try_as(Format::Raw, &images[7].1).unwrap();
    must_hold(&path, &images[7].1);
}

#[test]
fn sectors_of_another_size_are_refused() {
    let lab = Lab::new();
    let raw = lab.os_image(24 * MIB);
    for (name, image) in variants(&lab, &raw) {
        let path = lab.used_disk(24 * MIB);
        let device = BlockDevice::file_with_sectors(&path, 4096).unwrap();
        let error = write(request(&device, &image), &mut &image[..]).unwrap_err();
        let fits = matches!(error, DiskError::SectorSizeMismatch { image: 512, disk: 4096, .. });
        assert!(fits, "{name}: {error}");
    }
}

/// An image whose tables come last is written with its tables loaded beforehand, and says that it needs that.
#[test]
fn a_grown_image_needs_its_tables() {
    let lab = Lab::new();
    let path: PathBuf = lab.path("grown.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", text(&path), "4M"]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 7 0 4M", text(&path)]);
    run("qemu-img", &["resize", "-q", "-f", "qcow2", text(&path), "20M"]);
    run("qemu-img", &["convert", "-f", "qcow2", "-O", "raw", text(&path), text(&lab.path("grown.raw"))]);
    let download = fs::read(&path).unwrap();
    let disk = lab.used_disk(20 * MIB);
    let device = device(&disk);
    let limits = Limits { lookback: 64 << 10, ..Limits::default() };
    let error =
        write(WriteRequest { limits, ..request(&device, &download) }, &mut &download[..]).unwrap_err();
    assert!(error.needs_random_access(), "{error}");
    must_be_unbootable(&disk);
    let tables = Tables::load(&mut File::open(&path).unwrap(), &limits).unwrap();
    let again = WriteRequest { limits, tables: Some(tables), ..request(&device, &download) };
    write(again, &mut &download[..]).unwrap();
    assert!(fs::read(&disk).unwrap() == fs::read(lab.path("grown.raw")).unwrap());
}

/// Images smaller than what is held back, and the empty one.
#[test]
fn tiny_images_and_tiny_disks() {
    let lab = Lab::new();
    for (image_size, disk_size) in
        [(0, 4096), (1, 4096), (4096, 4096), (700_000, MIB + 4096), (MIB + 4096, MIB + 4096)]
    {
        let image = vec![0x5a; usize::try_from(image_size).unwrap()];
        let path = lab.path("tiny");
        fs::write(&path, vec![0xa5; usize::try_from(disk_size).unwrap()]).unwrap();
        let device = device(&path);
        let written = write(request(&device, &image), &mut &image[..]).unwrap();
        assert_eq!(written.virtual_size, image_size);
        assert!(fs::read(&path).unwrap().starts_with(&image));
    }
}

/// A device that fails is told apart from one that is full.
#[test]
fn a_missing_disk_is_an_error() {
    let missing = BlockDevice::open(Path::new("/dev/does-not-exist")).unwrap_err();
    assert!(matches!(missing, DiskError::Open { .. }), "{missing}");
    let lab = Lab::new();
    let no_disk = BlockDevice::open(&lab.os_image(16 * MIB)).unwrap_err();
    assert!(matches!(no_disk, DiskError::NotADisk { .. }), "{no_disk}");
}
