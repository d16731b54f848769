//! Disks as regular files, images made by `qemu-img`, tables judged by `sgdisk`, EFI partitions made by `mtools`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod boot;
mod config_drive;
mod erase;
mod listing;
mod speed;
mod tool;
mod write;
