//! The listing on a tree of files like sysfs, as seen on real machines of each kind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use disk::{DiskInfo, Hints, Roots, list, select};
use serde_json::json;

use crate::tool::Lab;

/// Makes `/sys/devices/<way>/<name>`, its attributes, and the links that lead there.
fn add(sys: &Path, way: &str, name: &str, attributes: &[(&str, &[u8])]) {
    let real = sys.join("devices").join(way).join("block").join(name);
    fs::create_dir_all(&real).unwrap();
    fs::create_dir_all(sys.join("block")).unwrap();
    symlink(&real, sys.join("block").join(name)).unwrap();
    symlink(sys.join("devices").join(way), real.join("device")).unwrap();
    for (attribute, value) in attributes {
        let path = real.join(attribute);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }
}

fn machine(lab: &Lab) -> Roots {
    let sys = lab.path("sys");
    let common: [(&str, &[u8]); 3] = [
        ("size", b"41943040\n"),
        ("queue/logical_block_size", b"512\n"),
        ("queue/physical_block_size", b"4096\n"),
    ];
    let with = |more: &[(&'static str, &'static [u8])]| [&common[..], more].concat();
    add(
        &sys,
        "pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0",
        "sda",
        &with(&[
            ("device/model", b"ST1000NM0033-9ZM\n"),
            ("device/vendor", b"ATA     \n"),
            ("queue/rotational", b"1\n"),
            ("device/wwid", b"naa.5000c500a1b2c3d4\n"),
            ("device/vpd_pg80", b"\0\x80\0\x14            Z1W0ABCD"),
        ]),
    );
    fs::create_dir_all(sys.join("class/ata_port/ata3")).unwrap();
    fs::write(sys.join("class/ata_port/ata3/port_no"), "1\n").unwrap();
    add(
        &sys,
        "pci0000:00/0000:00:05.0/virtio2/host0/target0:0:1/0:0:1:3",
        "sdb",
        &with(&[
            ("device/model", b"QEMU HARDDISK   \n"),
            ("device/vendor", b"QEMU    \n"),
            ("queue/rotational", b"0\n"),
            ("device/wwid", b"naa.6001405c1a2b3c4d5e6f708192a3b4c5\n"),
        ]),
    );
    add(&sys, "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host7/target7:0:0/7:0:0:0", "sdc", &with(&[]));
    add(
        &sys,
        "pci0000:00/0000:00:04.0/virtio1",
        "vda",
        &with(&[("serial", b"disk-0001\n"), ("device/vendor", b"0x1af4\n"), ("queue/rotational", b"1\n")]),
    );
    add(
        &sys,
        "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0",
        "nvme0n1",
        &with(&[
            ("wwid", b"eui.0025385b71b0a4d0\n"),
            ("device/model", b"Samsung SSD 980 PRO 1TB                 \n"),
            ("device/serial", b"S5GXNX0W123456      \n"),
            ("queue/rotational", b"0\n"),
        ]),
    );
    add(&sys, "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0", "nvme0c0n1", &with(&[("hidden", b"1\n")]));
    for name in ["loop0", "ram0", "zram0", "sr0", "fd0", "dm-0", "nbd3", "mmcblk0boot0"] {
        add(&sys, &format!("virtual/{name}"), name, &with(&[]));
    }
    add(
        &sys,
        "pci0000:00/0000:00:15.0/usb2/2-1/2-1:1.0/host8/target8:0:0/8:0:0:0",
        "sdd",
        &[("size", b"0\n")],
    );
    let dev = lab.path("dev");
    fs::create_dir_all(dev.join("disk/by-path")).unwrap();
    symlink("../../vda", dev.join("disk/by-path/virtio-pci-0000:00:04.0")).unwrap();
    symlink("../../vda", dev.join("disk/by-path/pci-0000:00:04.0")).unwrap();
    Roots { sys, dev }
}

#[test]
fn every_kind_of_disk() {
    let lab = Lab::new();
    let disks = list(&machine(&lab)).unwrap();
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/vda", "/dev/nvme0n1"]);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        disks[0],
        DiskInfo {
            name: "/dev/sda".into(),
            model: some("ST1000NM0033-9ZM"),
            size: 20 << 30,
            rotational: true,
            wwn: some("0x5000c500a1b2c3d4"),
            serial: some("Z1W0ABCD"),
            vendor: some("ATA"),
            wwn_with_extension: some("0x5000c500a1b2c3d4"),
            wwn_vendor_extension: None,
            hctl: some("2:0:0:0"),
            by_path: some("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"),
            logical_sectors: Some(512),
            physical_sectors: Some(4096),
            tran: some("sata"),
        }
    );
    assert_eq!(disks[1].wwn, some("0x6001405c1a2b3c4d"));
    assert_eq!(disks[1].wwn_vendor_extension, some("0x5e6f708192a3b4c5"));
    assert_eq!(disks[1].wwn_with_extension, some("0x6001405c1a2b3c4d5e6f708192a3b4c5"));
    assert_eq!((disks[1].hctl.clone(), disks[1].tran.clone()), (some("0:0:1:3"), some("scsi")));
    assert_eq!(disks[1].by_path, some("/dev/disk/by-path/pci-0000:00:05.0-scsi-0:0:1:3"));
    assert_eq!(disks[2].by_path, some("/dev/disk/by-path/pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0"));
    assert_eq!((disks[3].serial.clone(), disks[3].tran.clone()), (some("disk-0001"), some("virtio")));
    assert_eq!(disks[3].by_path, some("/dev/disk/by-path/pci-0000:00:04.0"));
    assert_eq!((disks[3].hctl.clone(), disks[3].vendor.clone()), (None, some("0x1af4")));
    assert_eq!(disks[4].wwn, some("eui.0025385b71b0a4d0"));
    assert_eq!((disks[4].serial.clone(), disks[4].tran.clone()), (some("S5GXNX0W123456"), some("nvme")));
    assert_eq!(disks[4].by_path, some("/dev/disk/by-path/pci-0000:01:00.0-nvme-1"));
}

#[test]
fn hints_on_a_listing_and_its_json() {
    let lab = Lab::new();
    let disks = list(&machine(&lab)).unwrap();
    for (hints, expected) in [
        (json!({"wwn": "0x6001405c1a2b3c4d", "rotational": false}), "/dev/sdb"),
        (json!({"by_path": "/dev/disk/by-path/pci-0000:00:04.0"}), "/dev/vda"),
        (json!({"model": "<in> samsung", "size": ">= 20"}), "/dev/nvme0n1"),
        (json!({}), "/dev/nvme0n1"),
    ] {
        assert_eq!(select(&Hints::parse(&hints).unwrap(), &disks).unwrap().name, expected, "{hints}");
    }
    let json = serde_json::to_value(&disks[3]).unwrap();
    assert_eq!(json["wwn"], json!(null));
    assert_eq!(json["size"], json!(21_474_836_480_u64));
    assert_eq!(json["logical_sectors"], json!(512));
}

#[test]
fn no_sysfs_is_an_error() {
    let lab = Lab::new();
    let error = list(&Roots { sys: lab.path("none"), dev: lab.path("none") }).unwrap_err();
    assert!(error.to_string().contains("none/block"), "{error}");
}
