//! `log.collect_system_logs`: kernel log, agent log and inventory as base64 of a gzipped tar.

use crate::{
    agent::Agent,
    clock,
    command::{Failure, Outcome},
    console, inventory,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use rustix::{
    fs::{Mode, OFlags, open},
    io::{Errno, read},
};
use serde_json::json;
use std::io::{self, Write};

/// Bytes of kernel log that are taken.
const KERNEL_LOG: usize = 2 << 20;

/// The logs of this boot.
pub fn collect(agent: &Agent) -> Outcome {
    let inventory = serde_json::to_vec_pretty(&inventory::gather(agent)).unwrap_or_default();
    let commands = serde_json::to_vec_pretty(&agent.commands.results()).unwrap_or_default();
    let files = [
        ("agent.log", console::recent().into_bytes()),
        ("kernel.log", kernel_log().into_bytes()),
        ("inventory.json", inventory),
        ("commands.json", commands),
    ];
    let tar = archive(&files).map_err(|error| Failure::because(&error))?;
    Ok(json!({ "system_logs": STANDARD.encode(tar) }))
}

fn archive(files: &[(&str, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for (name, content) in files {
        out.write_all(&header(name, content.len()))?;
        out.write_all(content)?;
        out.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()])?;
    }
    out.write_all(&[0; 1024])?;
    out.finish()
}

/// A header of POSIX.1-1988 "ustar".
fn header(name: &str, length: usize) -> [u8; 512] {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds since 1970")]
    let now = clock::unix_seconds() as u64;
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, &name[..name.len().min(99)]);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{length:011o}\0"));
    put(136, &format!("{now:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The kernel's messages, one a line, oldest first; the reason when there are none to be had.
fn kernel_log() -> String {
    let file = match open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(errno) => return format!("/dev/kmsg: {errno}\n"),
    };
    let mut text = String::new();
    let mut record = [0; 8192];
    while text.len() < KERNEL_LOG {
        match read(&file, &mut record) {
            Ok(length) => text.extend(kernel_line(&record[..length])),
            // Messages were overwritten before they were read: go on with the oldest there are.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(_) => break,
        }
    }
    text
}

/// `6,339,5140900,-;NET: Registered …` as `[    5.140900] NET: Registered …`.
fn kernel_line(record: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(record);
    let (prefix, message) = text.split_once(';')?;
    let micros: u64 = prefix.split(',').nth(2)?.parse().ok()?;
    let line = message.lines().next().unwrap_or_default();
    Some(format!("[{:5}.{:06}] {line}\n", micros / 1_000_000, micros % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn kernel_records() {
        let line = kernel_line(b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n");
        assert_eq!(line.as_deref(), Some("[    5.140900] NET: Registered\n"));
        assert_eq!(kernel_line(b"rubbish"), None);
    }

    #[test]
    fn archives_are_tar() {
        let files = [("a.log", b"hello".to_vec()), ("b.log", vec![7; 512])];
        let mut tar = Vec::new();
        let packed = archive(&files).expect("archive");
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut tar).expect("gzip");
        assert_eq!(tar.len(), 512 + 512 + 512 + 512 + 1024);
        assert_eq!(&tar[..5], b"a.log");
        assert_eq!(&tar[257..265], b"ustar\x0000");
        let sum: u32 = tar[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(&tar[148..154], format!("{sum:06o}").as_bytes());
        assert_eq!(&tar[512..517], b"hello");
    }
}
