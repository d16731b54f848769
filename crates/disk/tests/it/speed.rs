//! How fast images are written, next to `dd`: printed with `--nocapture`, and bounded generously, so that a copy or a hash too many
//! shows.

use std::fs::{self, File};
use std::io::Read;
use std::sync::atomic::AtomicBool;

use disk::{Control, WriteRequest, write_image};
use disk_image::qcow2::Limits;
use disk_image::{Algorithm, HashingReader};

use crate::tool::{Lab, MIB, device, noise, run, text};

/// CPU seconds of this thread so far, from the scheduler, not from a clock.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
fn cpu_time_is_little_more_than_hashing() {
    let lab = Lab::new();
    let (raw, qcow2, disk) = (lab.path("raw"), lab.path("qcow2"), lab.path("disk"));
    let mut content = noise(96 << 20, 3);
    content.resize(192 << 20, 0);
    fs::write(&raw, &content).unwrap();
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", text(&raw), text(&qcow2)]);
    File::create(&disk).unwrap().set_len(256 * MIB).unwrap();
    let device = device(&disk);
    for (name, path) in [("raw", &raw), ("qcow2", &qcow2)] {
        let start = cpu_seconds();
        let mut hashing = HashingReader::new(File::open(path).unwrap(), Algorithm::Sha256);
        let mut buffer = vec![0; 1 << 20];
        while hashing.read(&mut buffer).unwrap() > 0 {}
        let checksum = hashing.finish();
        let hash_time = cpu_seconds() - start;
        let request = WriteRequest {
            device: &device,
            checksum,
            declared: None,
            content_length: None,
            tables: None,
            limits: Limits::default(),
        };
        let (mut progress, cancel) = (|_| {}, AtomicBool::new(false));
        let start = cpu_seconds();
        let mut control = Control { progress: &mut progress, cancel: &cancel };
        let written = write_image(request, &mut File::open(path).unwrap(), &mut control).unwrap();
        let time = cpu_seconds() - start;
        println!(
            "{name}: {} MiB downloaded, hash {hash_time:.3} s, write {time:.3} s of CPU",
            written.downloaded / MIB
        );
        assert!(time < hash_time * 12.0 + 2.0, "{name}: {time} s, of which hashing {hash_time} s");
    }
}
