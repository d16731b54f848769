//! Images made and checked by the tools that everyone uses: `qemu-img`, `sgdisk`, `isoinfo`, `xorriso`, `bsdtar`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod config_drive;
mod iso;
mod partition_tables;
mod qcow2_broken;
mod qcow2_convert;
mod tool;
