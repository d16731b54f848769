//! Erasing: nothing recognisable is left, and the evidence says what was done.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicBool;

use disk::erase::{Method, erase_device, erase_metadata};
use disk::{Control, DiskError};

use crate::tool::{Lab, MIB, device, run, text};

#[test]
fn metadata_of_disk_and_partitions() {
    let lab = Lab::new();
    let path = lab.os_image(64 * MIB);
    let part = lab.path("part");
    File::create(&part).unwrap().set_len(20 * MIB).unwrap();
    run("mkfs.ext4", &["-q", "-L", "root", text(&part)]);
    run(
        "dd",
        &[&format!("if={}", text(&part)), &format!("of={}", text(&path)), "bs=1M", "seek=6", "conv=notrunc"],
    );
    // RAID metadata 0.90 near the end of the third partition's disk.
    let device = device(&path);
    let listed = disk::partitions::list(&device).unwrap();
    let content = listed[2].content.clone().unwrap();
    assert_eq!((content.kind, content.label.as_deref()), ("ext4", Some("root")));
    let blkid = run("blkid", &["-p", "-o", "value", "-s", "UUID", text(&part)]);
    assert_eq!(content.uuid.as_deref(), Some(blkid.trim()));
    let evidence = erase_metadata(&device).unwrap();
    assert_eq!(evidence.found, ["gpt", "ext4"]);
    assert_eq!((evidence.methods.as_slice(), evidence.samples.len()), (&[Method::Overwrite][..], 7));
    assert!(run("wipefs", &[text(&path)]).is_empty());
    let left = fs::read(&path).unwrap();
    assert!(left.iter().any(|byte| *byte != 0), "only metadata was erased");
    for partition in listed {
        let (start, end) = (
            usize::try_from(partition.start).unwrap(),
            usize::try_from(partition.start + partition.size).unwrap(),
        );
        assert!(left[start..start + 4096].iter().chain(&left[end - 4096..end]).all(|byte| *byte == 0));
    }
    assert_eq!(erase_metadata(&device).unwrap().found, Vec::<String>::new());
}

#[test]
fn a_damaged_table_is_erased_as_well() {
    let lab = Lab::new();
    let path = lab.os_image(16 * MIB);
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 512], 512).unwrap();
    file.write_all_at(&[0xff; 512], 16 * MIB - 512).unwrap();
    erase_metadata(&device(&path)).unwrap();
    assert!(run("wipefs", &[text(&path)]).is_empty());
}

#[test]
fn the_whole_disk() {
    let lab = Lab::new();
    for size in [3 * MIB + 512, 300 * MIB] {
        let path = lab.used_disk(size);
        let device = device(&path);
        let (mut last, cancel) = (0, AtomicBool::new(false));
        let mut progress = |progress: disk::Progress| last = progress.written;
        let evidence =
            erase_device(&device, &mut Control { progress: &mut progress, cancel: &cancel }).unwrap();
        assert_eq!((evidence.bytes, last), (size, size));
        assert!(evidence.samples.len() > 60 && evidence.samples.contains(&(size - 4096)));
        assert!(fs::read(&path).unwrap().iter().all(|byte| *byte == 0));
        assert_eq!(evidence.methods.len(), 1);
    }
    let path = lab.used_disk(3 * MIB);
    let (mut progress, cancel) = (|_| {}, AtomicBool::new(true));
    let stopped = erase_device(&device(&path), &mut Control { progress: &mut progress, cancel: &cancel });
    assert!(matches!(stopped, Err(DiskError::Cancelled)));
}
