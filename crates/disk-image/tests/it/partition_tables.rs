//! Partition tables as `sgdisk` and `sfdisk` write and judge them.

use std::fs::{self, File, OpenOptions};
use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::path::Path;

use disk_image::Guid;
use disk_image::gpt::{Gpt, GptError};
use disk_image::mbr::{self, Mbr};
use proptest::prelude::*;

use crate::tool::{run, text};

fn create(path: &Path, size: u64) {
    File::create(path).unwrap().set_len(size).unwrap();
}

fn read(path: &Path, sector: u32) -> Gpt {
    let size = fs::metadata(path).unwrap().len();
    Gpt::read(&mut File::open(path).unwrap(), size, sector).unwrap().unwrap()
}

fn write(path: &Path, gpt: &Gpt) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut first = [0; 512];
    file.read_exact_at(&mut first, 0).unwrap();
    for (offset, bytes) in gpt.encode(&first) {
        file.write_all_at(&bytes, offset).unwrap();
    }
}

fn verify(path: &Path) {
    let text = run("sgdisk", &["-v", text(path)]);
    assert!(text.contains("No problems found"), "{text}");
}

#[test]
fn a_table_moves_to_a_larger_disk_and_takes_a_partition() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    create(&path, 64 << 20);
    run(
        "sgdisk",
        &[
            "-n1:2048:+1M",
            "-t1:ef02",
            "-n2:0:+16M",
            "-t2:ef00",
            "-c2:EFI",
            "-n3:0:0",
            "-c3:root",
            text(&path),
        ],
    );
    OpenOptions::new().write(true).open(&path).unwrap().set_len(200 << 20).unwrap();
    let mut gpt = read(&path, 512);
    assert!(!gpt.from_backup && !gpt.fits(200 << 20) && gpt.fits(64 << 20));
    let partitions = gpt.partitions();
    assert_eq!(partitions.len(), 3);
    assert_eq!((partitions[1].type_guid, partitions[1].name.as_str()), (Guid::EFI_SYSTEM, "EFI"));
    assert_eq!((partitions[0].first, partitions[0].last), (2048, 4095));
    gpt.fit(200 << 20).unwrap();
    write(&path, &gpt);
    verify(&path);
    let added = gpt.add_at_end(2 << 20, Guid::LINUX_DATA, Guid::from_random([9; 16]), "config-2").unwrap();
    assert_eq!((added.number, added.first % 2048), (4, 0));
    write(&path, &gpt);
    verify(&path);
    let info = run("sgdisk", &["-i4", text(&path)]);
    assert!(
        info.contains("config-2") && info.contains("4096 sectors") && info.contains("09090909-0909"),
        "{info}"
    );
    assert_eq!(read(&path, 512).partitions(), gpt.partitions());
    assert!(matches!(gpt.add_at_end(1 << 30, Guid::LINUX_DATA, Guid::NIL, ""), Err(GptError::NoRoom { .. })));
}

#[test]
fn either_copy_repairs_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    for damage in [512, 1024, (64 << 20) - 512, (64 << 20) - 33 * 512] {
        create(&path, 64 << 20);
        run("sgdisk", &["-o", "-n1:2048:+1M", "-n7:0:0", text(&path)]);
        let whole = read(&path, 512).partitions();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xff; 100], damage).unwrap();
        let mut gpt = read(&path, 512);
        assert_eq!(gpt.partitions(), whole);
        assert_eq!(gpt.from_backup, damage < 1 << 20);
        gpt.fit(64 << 20).unwrap();
        write(&path, &gpt);
        verify(&path);
    }
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 100], 512).unwrap();
    file.write_all_at(&[0xff; 100], (64 << 20) - 512).unwrap();
    let damaged = Gpt::read(&mut File::open(&path).unwrap(), 64 << 20, 512);
    assert!(matches!(damaged, Err(GptError::Damaged)));
}

/// Boards whose boot ROM wants its code where the entries usually are.
#[test]
fn entries_elsewhere_stay_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    create(&path, 64 << 20);
    run("sgdisk", &["-o", "-j", "1024", "-n1:2048:+1M", text(&path)]);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let code = vec![0x42; 100_000];
    file.write_all_at(&code, 1024).unwrap();
    file.set_len(80 << 20).unwrap();
    let mut gpt = read(&path, 512);
    gpt.fit(80 << 20).unwrap();
    write(&path, &gpt);
    verify(&path);
    let mut kept = vec![0; code.len()];
    file.read_exact_at(&mut kept, 1024).unwrap();
    assert!(kept == code);
}

#[test]
fn a_new_table_satisfies_sgdisk_and_large_sectors_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    create(&path, 32 << 20);
    let mut gpt = Gpt::empty(32 << 20, 512, Guid::from_random([1; 16])).unwrap();
    gpt.add_at_end(5 << 20, Guid::LINUX_DATA, Guid::from_random([2; 16]), "data").unwrap();
    write(&path, &gpt);
    verify(&path);
    let mut gpt = Gpt::empty(32 << 20, 4096, Guid::from_random([1; 16])).unwrap();
    let added = gpt.add_at_end(5 << 20, Guid::LINUX_DATA, Guid::from_random([2; 16]), "data").unwrap();
    create(&path, 32 << 20);
    write(&path, &gpt);
    let mut head = vec![0; 12288];
    File::open(&path).unwrap().read_exact_at(&mut head, 0).unwrap();
    assert_eq!(Gpt::sector_size_of(&head), Some(4096));
    let again = read(&path, 4096);
    assert_eq!(again.partitions(), [added]);
    assert!(again.fits(32 << 20));
    assert!(matches!(Gpt::read(&mut File::open(&path).unwrap(), 32 << 20, 512), Err(GptError::Damaged)));
    // UEFI 2.10, 5.3.1: 16 KiB of entries are four sectors, so sector 6 is the first usable, and the last usable one has
    // the backup's five behind it.
    let header = &head[4096..4096 + 92];
    assert_eq!(header[40..48], 6_u64.to_le_bytes());
    assert_eq!(header[48..56], (8192_u64 - 6).to_le_bytes());
}

#[test]
fn mbr_takes_a_fourth_partition_and_no_fifth() {
    let dir = tempfile::tempdir().unwrap();
    let (path, script) = (dir.path().join("disk"), dir.path().join("script"));
    create(&path, 64 << 20);
    fs::write(&script, "label: dos\nlabel-id: 0x1234abcd\n2048,4096,83,*\n8192,4096,ef\n16384,4096,83\n")
        .unwrap();
    run("sh", &["-c", &format!("sfdisk -q {} < {}", text(&path), text(&script))]);
    let mut sector = [0; 512];
    File::open(&path).unwrap().read_exact_at(&mut sector, 0).unwrap();
    let mut table = Mbr::parse(&sector).unwrap();
    assert_eq!((table.signature(), table.is_protective()), (0x1234_abcd, false));
    let partitions = table.partitions();
    assert_eq!(partitions.len(), 3);
    assert!(partitions[0].active && partitions[1].kind == mbr::EFI_SYSTEM);
    let added = table.add_at_end(1 << 20, 64 << 20, 512, mbr::LINUX).unwrap();
    assert_eq!((added.number, added.first, added.sectors), (4, (63 << 20) / 512, 2048));
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&table.encode(), 0).unwrap();
    let listed = run("sfdisk", &["-d", text(&path)]);
    assert!(listed.contains("start=      129024, size=        2048, type=83"), "{listed}");
    assert!(matches!(table.add_at_end(1 << 20, 64 << 20, 512, mbr::LINUX), Err(GptError::Full { count: 4 })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes anywhere: an answer, and what is read can be fitted or is refused.
    #[test]
    fn damaged_tables(changes in prop::collection::vec((0_usize..3 * 512, any::<u8>(), any::<bool>()), 0..8)) {
        let size: usize = 1 << 20;
        let mut gpt = Gpt::empty(size as u64, 512, Guid::from_random([3; 16])).unwrap();
        gpt.add_at_end(4096, Guid::LINUX_DATA, Guid::from_random([4; 16]), "x").ok();
        let mut disk = vec![0; size];
        for (offset, bytes) in gpt.encode(&[0; 512]) {
            let at = usize::try_from(offset).unwrap();
            disk[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        for (at, value, end) in changes {
            let at = if end { size - 1 - at } else { at };
            disk[at] = value;
        }
        if let Ok(Some(mut read)) = Gpt::read(&mut Cursor::new(&disk), size as u64, 512) {
            let _ = read.partitions();
            if read.fit(size as u64).is_ok() {
                prop_assert!(read.fits(size as u64));
            }
        }
    }
}
