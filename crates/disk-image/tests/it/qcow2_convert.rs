//! What `qemu-img` writes is read back to the byte, by offset, as a stream, and as a stream with its tables known.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use disk_image::qcow2::{Limits, Piece, Qcow2Error, Reader, Stream, Tables, check};

use crate::tool::{disk, run, text};

/// Takes every piece into a disk prefilled with 0xaa; each byte must be covered once.
fn expand(stream: &mut Stream, source: &mut dyn Read) -> Result<Vec<u8>, Qcow2Error> {
    let mut output: Vec<u8> = Vec::new();
    let mut covered = 0;
    loop {
        let (offset, len, bytes) = match stream.next(source)? {
            Some(Piece::Data { offset, bytes }) => (offset, bytes.len() as u64, Some(bytes.to_vec())),
            Some(Piece::Zero { offset, len }) => (offset, len, None),
            None => break,
        };
        let (start, end) = (usize::try_from(offset).unwrap(), usize::try_from(offset + len).unwrap());
        if output.len() < end {
            output.resize(end, 0xaa);
        }
        match bytes {
            Some(bytes) => output[start..end].copy_from_slice(&bytes),
            None => output[start..end].fill(0),
        }
        covered += len;
    }
    assert_eq!(
        covered,
        stream.header().map_or(0, |header| header.virtual_size),
        "pieces cover the disk once"
    );
    Ok(output)
}

/// Hands out a few bytes at a time.
struct Drip<R>(R, usize);

impl<R: Read> Read for Drip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(self.1);
        self.0.read(&mut buffer[..len])
    }
}

fn by_offset(path: &Path) -> Vec<u8> {
    let mut reader = Reader::new(File::open(path).unwrap(), &Limits::default()).unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

fn with_tables(path: &Path, source: &mut dyn Read) -> Result<Vec<u8>, Qcow2Error> {
    let limits = Limits::default();
    let tables = Tables::load(&mut File::open(path).unwrap(), &limits)?;
    expand(&mut Stream::with_tables(tables, &limits)?, source)
}

fn one_pass(path: &Path) -> Vec<u8> {
    expand(&mut Stream::new(&Limits::default()), &mut File::open(path).unwrap()).unwrap()
}

fn must_equal(path: &Path, expected: &[u8], what: &str) {
    assert!(by_offset(path) == expected, "by offset: {what}");
    assert!(one_pass(path) == expected, "in one pass: {what}");
    assert!(with_tables(path, &mut File::open(path).unwrap()).unwrap() == expected, "with tables: {what}");
}

struct Images {
    dir: tempfile::TempDir,
}

impl Images {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn convert(&self, raw: &[u8], args: &[&str]) -> PathBuf {
        let (from, to) = (self.path("raw"), self.path("qcow2"));
        fs::write(&from, raw).unwrap();
        let mut all = vec!["convert", "-f", "raw", "-O", "qcow2"];
        all.extend(args);
        all.extend([text(&from), text(&to)]);
        run("qemu-img", &all);
        to
    }
}

#[test]
fn versions_clusters_compressions_and_odd_sizes() {
    let images = Images::new();
    let options = [
        "compat=0.10",
        "compat=1.1",
        "compat=1.1,cluster_size=512",
        "compat=0.10,cluster_size=4k",
        "cluster_size=2M",
        "compat=1.1,lazy_refcounts=on",
        "cluster_size=4k,refcount_bits=1",
        "preallocation=metadata",
        "preallocation=full",
    ];
    let compressed =
        ["compression_type=zlib", "compression_type=zstd", "compression_type=zstd,cluster_size=4k"];
    let sizes = [512, 65536, 3 << 20, (7 << 20) + 3 * 512, (2 << 20) - 512];
    for (seed, size) in (1..).zip(sizes) {
        let raw = disk(size, seed);
        for option in options {
            let path = images.convert(&raw, &["-o", option]);
            must_equal(&path, &raw, &format!("{option} of {size} bytes"));
        }
        for option in compressed.into_iter().chain(["compat=0.10", "cluster_size=512", "cluster_size=2M"]) {
            let path = images.convert(&raw, &["-c", "-o", option]);
            must_equal(&path, &raw, &format!("compressed {option} of {size} bytes"));
        }
    }
}

#[test]
fn many_tables_in_one_pass_with_little_memory() {
    // With clusters of 4 KiB a table maps 2 MiB, so this disk has 20 of them.
    let images = Images::new();
    let raw = disk(40 << 20, 99);
    for args in [&["-o", "cluster_size=4k"][..], &["-c", "-o", "cluster_size=4k"], &["-c", "-W", "-m", "8"]] {
        let path = images.convert(&raw, args);
        let limits = Limits { lookback: 1 << 20, ..Limits::default() };
        let mut source = Drip(File::open(&path).unwrap(), 70_001);
        let output = expand(&mut Stream::new(&limits), &mut source).unwrap();
        assert!(output == raw, "{args:?}");
    }
}

#[test]
fn empty_and_sparse_disks() {
    let images = Images::new();
    let path = images.path("empty");
    run("qemu-img", &["create", "-q", "-f", "qcow2", text(&path), "5G"]);
    let mut stream = Stream::new(&Limits::default());
    let mut file = File::open(&path).unwrap();
    assert_eq!(stream.next(&mut file).unwrap(), Some(Piece::Zero { offset: 0, len: 5 << 30 }));
    assert_eq!(stream.next(&mut file).unwrap(), None);
    run("qemu-img", &["create", "-q", "-f", "qcow2", text(&path), "0"]);
    must_equal(&path, &[], "nothing");
}

/// Zero clusters, discarded clusters, overwritten clusters, and a snapshot that shares some.
#[test]
fn lived_in_images() {
    let images = Images::new();
    let (path, raw) = (images.path("lived"), images.path("lived.raw"));
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", text(&path), "9M"]);
    run(
        "qemu-io",
        &[
            "-f",
            "qcow2",
            "-c",
            "write -P 1 0 5M",
            "-c",
            "write -z 1M 64k",
            "-c",
            "write -P 2 8M 1000k",
            "-c",
            "discard 2M 100k",
            "-c",
            "write -P 3 2M 8k",
            text(&path),
        ],
    );
    run("qemu-img", &["snapshot", "-c", "before", text(&path)]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 4 3M 1M", "-c", "write -P 5 100k 10k", text(&path)]);
    run("qemu-img", &["convert", "-f", "qcow2", "-O", "raw", text(&path), text(&raw)]);
    must_equal(&path, &fs::read(&raw).unwrap(), "with a snapshot");
}

/// The first-level table of a disk that has grown is at the end of the file.
#[test]
fn tables_after_data_need_random_access() {
    let images = Images::new();
    let (path, raw) = (images.path("grown"), images.path("grown.raw"));
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", text(&path), "1M"]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 7 0 1M", text(&path)]);
    run("qemu-img", &["resize", "-q", "-f", "qcow2", text(&path), "20M"]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 9 15M 3M", text(&path)]);
    run("qemu-img", &["convert", "-f", "qcow2", "-O", "raw", text(&path), text(&raw)]);
    let raw = fs::read(&raw).unwrap();
    must_equal(&path, &raw, "remembered");
    // Not remembered: the stream says so, and with the tables loaded it is read all the same.
    let limits = Limits { lookback: 16 << 10, ..Limits::default() };
    let mut source = Drip(File::open(&path).unwrap(), 8192);
    let error = expand(&mut Stream::new(&limits), &mut source).unwrap_err();
    assert!(matches!(error, Qcow2Error::OutOfOrder { .. }), "{error}");
}

#[test]
fn a_server_that_shows_other_tables_than_it_streams_is_caught() {
    let images = Images::new();
    let path = images.convert(&disk(3 << 20, 5), &["-o", "cluster_size=4k"]);
    let bytes = fs::read(&path).unwrap();
    let header = check(&bytes, &Limits::default()).unwrap();
    for offset in [24 + 4, usize::try_from(header.l1_offset).unwrap() + 6] {
        let mut other = bytes.clone();
        other[offset] ^= 0x10;
        let error = with_tables(&path, &mut Cursor::new(other)).unwrap_err();
        let changed = matches!(error, Qcow2Error::Changed { .. } | Qcow2Error::Broken { .. });
        assert!(changed, "byte {offset}: {error}");
    }
}

#[test]
fn what_reads_other_files_is_refused() {
    let images = Images::new();
    let (base, path, data) = (images.path("base"), images.path("image"), images.path("data"));
    run("qemu-img", &["create", "-q", "-f", "raw", text(&base), "1M"]);
    let refused = |part: &str| {
        let error = Reader::new(File::open(&path).unwrap(), &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-b", text(&base), "-F", "raw", text(&path)]);
    refused("backing file");
    let data_file = format!("data_file={}", text(&data));
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-o", &data_file, text(&path), "1M"]);
    refused("another file");
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-o", "extended_l2=on", text(&path), "1M"]);
    refused("extended L2");
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "--object",
            "secret,id=s,data=x",
            "-o",
            "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
            text(&path),
            "1M",
        ],
    );
    refused("encrypted");
}

#[test]
fn a_truncated_file_is_an_error_everywhere() {
    let images = Images::new();
    let raw = disk(3 << 20, 17);
    for args in [&["-o", "cluster_size=4k"][..], &["-c"]] {
        let path = images.convert(&raw, args);
        let bytes = fs::read(&path).unwrap();
        for keep in [3, 100, 5000, 70_000, bytes.len() / 2, bytes.len() - 70_000] {
            let cut = &bytes[..keep];
            let streamed = expand(&mut Stream::new(&Limits::default()), &mut Cursor::new(cut));
            assert!(streamed.is_err(), "{args:?} cut to {keep} of {}", bytes.len());
            let read = Reader::new(Cursor::new(cut), &Limits::default())
                .map_err(std::io::Error::other)
                .and_then(|mut reader| std::io::copy(&mut reader, &mut std::io::sink()));
            assert!(read.is_err(), "{args:?} cut to {keep} of {}", bytes.len());
        }
    }
}
