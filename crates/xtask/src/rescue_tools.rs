//! What the ramdisk needs beyond the agent for a rescuer to log in: an SSH server, a shell and its commands, file copies,
//! and the libraries of those. Taken from this computer's packages when the ramdisk is built; none of it is in the
//! project or in its binaries. Started by the agent alone, and only once a rescue was asked for (`agent/src/rescue.rs`).

use crate::cpio::Archive;
use crate::process::{command, output};
use crate::setup;
use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;

/// Debian packages: Dropbear, busybox, and what `scp` and `sftp` talk to.
pub(crate) const PACKAGES: &[&str] = &["dropbear-bin", "busybox-static", "openssh-sftp-server"];

/// Programs: where this computer has them, and where the ramdisk gets them.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/sbin/dropbear", "usr/sbin/dropbear"),
    ("/bin/busybox", "bin/busybox"),
    // Dropbear looks there.
    ("/usr/lib/openssh/sftp-server", "usr/lib/sftp-server"),
];
const SHELL: &str = "/bin/busybox";
/// The dynamic loader, which tells which libraries a program needs.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// Kernel modules for what disks hold. Loaded when a machine is rescued.
pub(crate) const MODULES: &[&str] = &[
    // asked for by the file systems by name only, and there is no modprobe
    "crc32c_generic",
    "ext4",
    "xfs",
    "btrfs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    "nls_utf8",
    "isofs",
    "loop",
];

const MOTD: &str = "The rescue ramdisk: this system is in memory, changes to it are lost.\n\
The machine's disks are in /dev (see /proc/partitions, blkid); mount them below /mnt.\n";

/// All files and links.
#[derive(Debug)]
pub(crate) struct RescueTools {
    /// Path in the ramdisk → content; programs and libraries.
    files: BTreeMap<String, Vec<u8>>,
    /// busybox's commands.
    commands: Vec<String>,
}

impl RescueTools {
    /// From this computer's packages; installs those that are missing.
    pub(crate) fn get() -> Result<Self> {
        setup::ensure_packages(PACKAGES)?;
        let mut files = BTreeMap::new();
        for (from, to) in PROGRAMS {
            files.insert((*to).to_owned(), read(from)?);
            if *from == SHELL {
                continue;
            }
            for library in libraries(&output(command(LOADER).args(["--list", from]))?) {
                let content = read(&library)?;
                files.insert(library.trim_start_matches('/').to_owned(), content);
            }
        }
        let commands: Vec<String> =
            output(command(SHELL).arg("--list"))?.lines().map(str::to_owned).collect();
        ensure!(commands.iter().any(|name| name == "sh"), "{SHELL} has no shell");
        Ok(Self { files, commands })
    }

    /// Puts everything where it belongs.
    pub(crate) fn add_to(&self, archive: &mut Archive) {
        for (path, content) in &self.files {
            archive.file(path, content.as_slice(), true);
        }
        for name in self.commands.iter().filter(|name| *name != "busybox") {
            archive.link(&format!("bin/{name}"), "busybox");
        }
        archive.file("etc/motd", MOTD, false);
        archive.folder("dev/pts").folder("sbin").folder("usr/bin");
    }

    /// All content as one hash.
    pub(crate) fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(MOTD);
        for (path, content) in &self.files {
            hash.update(path);
            hash.update(Sha256::digest(content));
        }
        for name in &self.commands {
            hash.update(name);
        }
        hash.finalize().to_vec()
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {path}, which goes into the ramdisk"))
}

/// Paths in what the loader lists: `libz.so.1 => /lib/libz.so.1 (0x…)` and `/lib64/ld-linux… (0x…)`. What the kernel itself
/// provides (`linux-vdso.so.1`) has none.
fn libraries(listing: &str) -> Vec<String> {
    let path = |line: &str| {
        let target = line.split_once("=>").map_or(line, |(_, target)| target);
        let path = target.split_whitespace().next()?;
        path.starts_with('/').then(|| path.to_owned())
    };
    listing.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_understood() {
        let listing = "\tlinux-vdso.so.1 (0x00007f3b)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x7f)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        assert_eq!(
            libraries(listing),
            [
                "/lib/x86_64-linux-gnu/libz.so.1",
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }

    #[test]
    fn everything_that_the_server_needs_is_there() {
        let tools = RescueTools::get().unwrap();
        for path in ["usr/sbin/dropbear", "bin/busybox", "usr/lib/sftp-server"] {
            assert!(tools.files.contains_key(path), "{path}");
        }
        let library = |name: &str| tools.files.keys().any(|path| path.rsplit('/').next() == Some(name));
        assert!(library("ld-linux-x86-64.so.2") && library("libc.so.6") && library("libcrypt.so.1"));
        assert_eq!(tools.digest(), RescueTools::get().unwrap().digest());
        let mut archive = Archive::default();
        tools.add_to(&mut archive);
        let bytes = archive.to_bytes();
        assert!(bytes.windows(6).any(|part| part == b"bin/sh"));
    }
}
