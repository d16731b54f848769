//! Writes the "newc" cpio archives that the kernel unpacks as its first root file system.
//!
//! Reproducible: entries in the order of their names, no times, everything owned by root, inode numbers counted up.
//! Format: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeMap;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    File { content: Vec<u8>, executable: bool },
    Link { target: String },
    CharDevice { major: u32, minor: u32 },
}

/// A tree of files in memory. Parent folders are made as needed.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    entries: BTreeMap<String, Kind>,
}

impl Archive {
    /// Adds an empty folder. Paths have no leading `/`.
    pub(crate) fn folder(&mut self, path: &str) -> &mut Self {
        self.insert(path, Kind::Folder)
    }

    /// Adds a file with mode 0755 or 0644.
    pub(crate) fn file(&mut self, path: &str, content: impl Into<Vec<u8>>, executable: bool) -> &mut Self {
        self.insert(path, Kind::File { content: content.into(), executable })
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> &mut Self {
        self.insert(path, Kind::Link { target: target.to_owned() })
    }

    /// Adds a character device with mode 0600.
    pub(crate) fn char_device(&mut self, path: &str, major: u32, minor: u32) -> &mut Self {
        self.insert(path, Kind::CharDevice { major, minor })
    }

    fn insert(&mut self, path: &str, kind: Kind) -> &mut Self {
        let mut parent = path;
        while let Some((above, _)) = parent.rsplit_once('/') {
            self.entries.entry(above.to_owned()).or_insert(Kind::Folder);
            parent = above;
        }
        self.entries.insert(path.to_owned(), kind);
        self
    }

    /// The archive's bytes, uncompressed.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Names sort as the kernel needs them: "a" comes before "a/b".
        for (number, (path, kind)) in (1..).zip(&self.entries) {
            let (mode, device, content) = match kind {
                Kind::Folder => (0o040_755, (0, 0), &[][..]),
                Kind::File { content, executable: true } => (0o100_755, (0, 0), content.as_slice()),
                Kind::File { content, executable: false } => (0o100_644, (0, 0), content.as_slice()),
                Kind::Link { target } => (0o120_777, (0, 0), target.as_bytes()),
                Kind::CharDevice { major, minor } => (0o020_600, (*major, *minor), &[][..]),
            };
            entry(&mut out, number, path, mode, device, content);
        }
        entry(&mut out, 0, "TRAILER!!!", 0, (0, 0), &[]);
        out
    }
}

/// One header, name and content, each padded to four bytes.
fn entry(out: &mut Vec<u8>, inode: u32, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
    let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let fields =
        [inode, mode, 0, 0, links, 0, size(content.len()), 0, 0, device.0, device.1, size(path.len() + 1), 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(content);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command;
    use std::io::Write as _;
    use std::process::Stdio;

    fn sample() -> Archive {
        let mut archive = Archive::default();
        archive
            .file("init", b"#!/bin/true\n".to_vec(), true)
            .file("etc/wrought/modules", b"always x\n".to_vec(), false)
            .folder("proc")
            .link("lib/modules/current", "6.1")
            .char_device("dev/console", 5, 1);
        archive
    }

    #[test]
    fn cpio_of_another_maker_reads_it() {
        let mut cpio = command("cpio")
            .args(["-itv", "--quiet", "--numeric-uid-gid"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(&sample().to_bytes()).unwrap();
        let done = cpio.wait_with_output().unwrap();
        assert!(done.status.success());
        let listing = String::from_utf8(done.stdout).unwrap();
        let lines: Vec<Vec<&str>> = listing.lines().map(|line| line.split_whitespace().collect()).collect();
        let names: Vec<&str> =
            lines.iter().map(|words| words[if words[0].starts_with('c') { 9 } else { 8 }]).collect();
        assert_eq!(
            names,
            [
                "dev",
                "dev/console",
                "etc",
                "etc/wrought",
                "etc/wrought/modules",
                "init",
                "lib",
                "lib/modules",
                "lib/modules/current",
                "proc"
            ]
        );
        let modes: Vec<&str> = lines.iter().map(|words| words[0]).collect();
        assert_eq!(modes[1], "crw-------");
        assert_eq!(modes[5], "-rwxr-xr-x");
        assert_eq!(modes[8], "lrwxrwxrwx");
        assert!(lines.iter().all(|words| words[2] == "0" && words[3] == "0"), "{listing}");
        assert!(listing.contains("1970"), "{listing}");
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let (mut one, mut other) = (Archive::default(), Archive::default());
        one.file("a", "1", false).file("b/c", "2", true);
        other.file("b/c", "2", true).file("a", "1", false);
        assert_eq!(one.to_bytes(), other.to_bytes());
    }

    #[test]
    fn everything_is_aligned() {
        assert_eq!(sample().to_bytes().len() % 4, 0);
    }
}
