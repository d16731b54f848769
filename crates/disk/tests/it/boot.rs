//! Boot entries: the bytes, the choice of the loader, and the order.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use disk::DiskError;
use disk::boot::load_option::{HardDrive, LoadOption};
use disk::boot::variables::EfiVars;
use disk::boot::{Architecture, find_loader, install_efi_entry};
use disk::fat::Fat;
use disk_image::Guid;
use disk_image::hash::to_hex;
use proptest::prelude::*;

use crate::tool::{Lab, MIB, device, run, text};

/// Bytes made by virt-firmware 26.10 for the same entry.
#[test]
fn load_option_bytes() {
    let guid: Guid = "0f0e0d0c-0b0a-0908-0706-050403020100".parse().unwrap();
    let option = LoadOption {
        active: true,
        description: "debian".into(),
        drive: HardDrive::gpt(2, 4096, 32768, guid),
        file: "\\EFI\\debian\\shimx64.efi".into(),
        data: Vec::new(),
    };
    let golden = "010000006200640065006200690061006e00000004012a00020000000010000000000000008000000000\
                  00000c0d0e0f0a0b080907060504030201000202040434005c004500460049005c006400650062006900\
                  61006e005c007300680069006d007800360034002e0065006600690000007fff0400";
    assert_eq!(to_hex(&option.encode()), golden);
    let mbr =
        LoadOption { drive: HardDrive::mbr(1, 2048, 100, 0x1234_abcd), data: vec![1, 2], ..option }.encode();
    let node = "04012a00010000000008000000000000640000000000000\
                0cdab341200000000000000000000000001010404";
    assert!(to_hex(&mbr).contains(&node.replace(' ', "")), "{}", to_hex(&mbr));
    assert!(mbr.ends_with(&[0x7f, 0xff, 4, 0, 1, 2]));
}

/// A disk with an EFI system partition of `size` MiB that holds `files`.
fn disk_with(lab: &Lab, size: u64, fat: &str, files: &[(&str, &[u8])]) -> std::path::PathBuf {
    let (path, esp) = (lab.path("disk"), lab.path("esp"));
    File::create(&path).unwrap().set_len((size + 4) * MIB).unwrap();
    let end = format!("-n2:4096:+{size}M");
    run(
        "sgdisk",
        &[
            "-o",
            "-n1:2048:4095",
            "-t1:ef02",
            &end,
            "-t2:ef00",
            "-u2:0f0e0d0c-0b0a-0908-0706-050403020100",
            text(&path),
        ],
    );
    File::create(&esp).unwrap().set_len(size * MIB).unwrap();
    run("mkfs.vfat", &["-F", fat, "-n", "ESP", text(&esp)]);
    let mut made = BTreeSet::new();
    for (name, content) in files {
        for (at, _) in name.match_indices('/') {
            if made.insert(&name[..at]) {
                run("mmd", &["-i", text(&esp), &format!("::/{}", &name[..at])]);
            }
        }
        let source = lab.path("file");
        fs::write(&source, content).unwrap();
        run("mcopy", &["-o", "-i", text(&esp), text(&source), &format!("::/{name}")]);
    }
    run(
        "dd",
        &[&format!("if={}", text(&esp)), &format!("of={}", text(&path)), "bs=1M", "seek=2", "conv=notrunc"],
    );
    path
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn the_vendors_loader_comes_before_the_removable_path() {
    let lab = Lab::new();
    let csv = utf16("shimx64.efi,debian,,This is the boot entry for debian\n");
    for fat in ["12", "16", "32"] {
        let size = match fat {
            "12" => 4,
            "16" => 20,
            _ => 40,
        };
        let path = disk_with(
            &lab,
            size,
            fat,
            &[
                ("EFI/BOOT/BOOTX64.EFI", b"removable"),
                ("EFI/BOOT/fbx64.efi", b"fallback"),
                ("EFI/debian/a rather long name that takes several entries.txt", b"x"),
                ("EFI/debian/grubx64.efi", b"grub"),
                ("EFI/debian/shimx64.efi", b"shim"),
                ("EFI/debian/BOOTX64.CSV", &csv),
            ],
        );
        let loader = find_loader(&device(&path), Architecture::X64).unwrap();
        assert_eq!(loader.path, "\\EFI\\debian\\shimx64.efi", "FAT{fat}");
        assert_eq!((loader.label.as_deref(), loader.partition.number), (Some("debian"), 2));
        assert_eq!(loader.partition.content.as_ref().unwrap().label.as_deref(), Some("ESP"));
        let missing = find_loader(&device(&path), Architecture::Aa64).unwrap_err();
        assert!(matches!(missing, DiskError::NoLoader { .. }), "{missing}");
    }
}

#[test]
fn the_removable_path_then_any_vendors_grub() {
    let lab = Lab::new();
    let path = disk_with(&lab, 16, "16", &[("EFI/BOOT/BOOTX64.EFI", b"x"), ("EFI/fedora/BOOTX64.CSV", b"")]);
    let loader = find_loader(&device(&path), Architecture::X64).unwrap();
    assert_eq!((loader.path.as_str(), loader.label), ("\\EFI\\BOOT\\BOOTX64.EFI", None));
    let path = disk_with(&lab, 16, "16", &[("EFI/ubuntu/grubx64.efi", b"x")]);
    assert_eq!(find_loader(&device(&path), Architecture::X64).unwrap().path, "\\EFI\\ubuntu\\grubx64.efi");
    let path = lab.os_image(24 * MIB);
    let error = find_loader(&device(&path), Architecture::X64).unwrap_err();
    assert!(matches!(error, DiskError::Fat { .. }), "an ESP without a file system: {error}");
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().split('-').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn our_entry_is_first_and_alone_of_its_label() {
    let lab = Lab::new();
    let path = disk_with(&lab, 16, "16", &[("EFI/BOOT/BOOTX64.EFI", b"x")]);
    let variables = EfiVars { directory: lab.path("efivars") };
    let device = device(&path);
    assert_eq!(install_efi_entry(&device, &variables, Architecture::X64).unwrap(), None, "BIOS");
    fs::create_dir(&variables.directory).unwrap();
    // An attribute word, then: attributes, length of the path, description.
    let entry = |label: &str| {
        let text: Vec<u8> = label.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        [&[1, 0, 0, 0, 4, 0][..], &text, &[0x7f, 0xff, 4, 0]].concat()
    };
    variables.write("Boot0000", &entry("UiApp")).unwrap();
    variables.write("Boot0002", &entry("wrought")).unwrap();
    variables.write("Boot000A", &entry("wrought")).unwrap();
    variables.write("BootOrder", &[0, 0, 10, 0, 2, 0, 7, 0]).unwrap();
    variables.write("BootCurrent", &[0, 0]).unwrap();
    let installed = install_efi_entry(&device, &variables, Architecture::X64).unwrap().unwrap();
    assert_eq!(
        (installed.number, &installed.removed[..], installed.label.as_str()),
        (2, &[10][..], "wrought")
    );
    assert_eq!(names(&variables.directory), ["Boot0000", "Boot0002", "BootCurrent", "BootOrder"]);
    assert_eq!(variables.boot_order().unwrap(), [2, 0, 7]);
    let value = variables.read("Boot0002").unwrap().unwrap();
    let guid = to_hex(&"0f0e0d0c-0b0a-0908-0706-050403020100".parse::<Guid>().unwrap().0);
    assert!(to_hex(&value).contains(&format!("04012a000200000000100000000000000080000000000000{guid}0202")));
    let again = install_efi_entry(&device, &variables, Architecture::X64).unwrap().unwrap();
    assert_eq!((again.number, again.removed.len()), (2, 0));
    // In a store without our label, the lowest free number.
    fs::remove_dir_all(&variables.directory).unwrap();
    fs::create_dir(&variables.directory).unwrap();
    variables.write("Boot0000", &entry("UiApp")).unwrap();
    assert_eq!(install_efi_entry(&device, &variables, Architecture::X64).unwrap().unwrap().number, 1);
    assert_eq!(variables.boot_order().unwrap(), [1]);
}

fn walk(bytes: &[u8]) {
    let Ok(mut fat) = Fat::open(std::io::Cursor::new(bytes)) else { return };
    for entry in fat.root().unwrap_or_default().iter().take(8) {
        let _ = fat.read_file(entry);
        let _ = fat.read_dir(entry);
    }
    let _ = fat.find(&["EFI", "BOOT", "BOOTX64.EFI"]);
}

fn sample() -> &'static [u8] {
    static SAMPLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let lab = Lab::new();
        let path =
            disk_with(&lab, 4, "12", &[("EFI/BOOT/BOOTX64.EFI", &[7; 9000]), ("a long name.txt", b"x")]);
        fs::read(path).unwrap()[2 << 20..].to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes in boot sector, tables and directories: an answer in bounded time.
    #[test]
    fn broken_fat(changes in prop::collection::vec((0_usize..40_000, any::<u8>(), any::<bool>()), 1..30)) {
        let mut bytes = sample().to_vec();
        for (at, value, early) in changes {
            let at = if early { at % 64 } else { at };
            bytes[at] = value;
        }
        walk(&bytes);
    }
}
