//! Config drives on disks: a partition at the end, on either kind of table and sector, used again when it is there.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use disk::configdrive::{existing, install};
use disk::{BlockDevice, DiskError};
use disk_image::Guid;
use disk_image::configdrive::{Identity, build};
use disk_image::gpt::Gpt;
use serde_json::json;

use crate::tool::{Lab, MIB, device, run, text};

fn iso(user_data: &str) -> Vec<u8> {
    build(&json!({ "user_data": user_data }), Identity { uuid: "u", name: None }).unwrap()
}

fn at(path: &Path, start: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    File::open(path).unwrap().read_exact_at(&mut bytes, start).unwrap();
    bytes
}

#[test]
fn a_gpt_gets_a_partition_once() {
    let lab = Lab::new();
    let path = lab.os_image(24 * MIB);
    // The image was written to a larger disk.
    File::options().write(true).open(&path).unwrap().set_len(64 * MIB).unwrap();
    let device = device(&path);
    assert_eq!(existing(&device).unwrap(), None);
    let first = iso(&"x".repeat(1_500_000));
    let installed = install(&device, &first).unwrap();
    assert_eq!((installed.number, installed.created, installed.size), (4, true, 3 * MIB));
    assert_eq!(installed.path.to_str().unwrap(), format!("{}4", text(&path)));
    assert!(at(&path, installed.start, first.len()) == first);
    let verdict = run("sgdisk", &["-v", text(&path)]);
    assert!(verdict.contains("No problems found"), "{verdict}");
    // A rebuild: the smaller second one replaces the first and leaves nothing of it.
    let second = iso("second");
    let again = install(&device, &second).unwrap();
    assert_eq!((again.start, again.number, again.created), (installed.start, 4, false));
    let content = at(&path, again.start, usize::try_from(again.size).unwrap());
    assert!(content.starts_with(&second) && content[second.len()..].iter().all(|byte| *byte == 0));
    let found = existing(&device).unwrap().unwrap();
    let content = found.content.unwrap();
    assert_eq!((content.kind, content.label.as_deref()), ("iso9660", Some("config-2")));
    let larger = install(&device, &iso(&"y".repeat(6_000_000))).unwrap_err();
    assert!(matches!(larger, DiskError::ConfigDrive { .. }), "{larger}");
}

#[test]
fn an_mbr_gets_a_partition_until_it_is_full() {
    let lab = Lab::new();
    let (path, script) = (lab.path("disk"), lab.path("script"));
    File::create(&path).unwrap().set_len(64 * MIB).unwrap();
    fs::write(&script, "label: dos\nlabel-id: 0x1234abcd\n2048,4096,83,*\n8192,4096,ef\n").unwrap();
    run("sh", &["-c", &format!("sfdisk -q {} < {}", text(&path), text(&script))]);
    let device = device(&path);
    let installed = install(&device, &iso("a")).unwrap();
    assert_eq!((installed.number, installed.start, installed.created), (3, 63 * MIB, true));
    let dump = run("sfdisk", &["-d", text(&path)]);
    assert!(dump.contains("0x1234abcd") && dump.contains("start=      129024"), "{dump}");
    assert!(!install(&device, &iso("b")).unwrap().created);
    assert_eq!(disk::partitions::list(&device).unwrap()[2].uuid, "1234abcd-03");
}

#[test]
fn large_sectors() {
    let lab = Lab::new();
    let path = lab.path("disk");
    File::create(&path).unwrap().set_len(64 * MIB).unwrap();
    let device = BlockDevice::file_with_sectors(&path, 4096).unwrap();
    let gpt = Gpt::empty(64 * MIB, 4096, Guid::from_random([5; 16])).unwrap();
    for (offset, bytes) in gpt.encode(&[0; 512]) {
        device.write_at(offset, &bytes).unwrap();
    }
    let installed = install(&device, &iso("a")).unwrap();
    assert_eq!((installed.number, installed.start, installed.size), (1, 62 * MIB, MIB));
    assert!(existing(&device).unwrap().is_some());
}

#[test]
fn what_cannot_be_is_refused() {
    let lab = Lab::new();
    let path = lab.path("disk");
    fs::write(&path, vec![0; 8 << 20]).unwrap();
    let error = install(&device(&path), &iso("a")).unwrap_err();
    assert!(matches!(error, DiskError::NoPartitionTable { .. }), "{error}");
    let error = install(&device(&path), &[]).unwrap_err();
    assert!(matches!(error, DiskError::ConfigDrive { .. }), "{error}");
    // The image fills its disk: no room at the end.
    let full = lab.os_image(24 * MIB);
    let error = install(&device(&full), &iso("a")).unwrap_err();
    assert!(matches!(error, DiskError::PartitionTable { .. }), "{error}");
}
