//! Follows a machine's serial console as lines, woken by the kernel when the file grows (inotify).
//!
//! Knows nothing of what machines print; [`Console::wait_for`] looks for a piece of text.

use anyhow::{Context as _, Result, bail};
use rustix::fs::inotify;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::unix::pipe;

/// How many lines are shown when a wait ends in vain.
const SHOWN: usize = 15;
/// A line that never ends (a firmware's progress bar) is cut here.
const LONGEST_LINE: usize = 4096;

/// A reader with a position of its own; several may follow one console.
#[derive(Debug)]
pub struct Console {
    path: PathBuf,
    file: File,
    /// The kernel's queue of changes. It reads like a pipe, so that Tokio's pipe reader serves.
    watch: pipe::Receiver,
    unfinished: Vec<u8>,
    lines: VecDeque<String>,
}

/// What [`Console::wait_for`] read.
#[derive(Debug)]
pub struct Waited {
    /// Every line up to the one that was waited for, that one included.
    pub lines: Vec<String>,
}

impl Waited {
    /// The line that was waited for.
    pub fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }
}

impl Console {
    /// Follows from the beginning. Must be called inside a Tokio runtime.
    pub fn from_start(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open console {}", path.display()))?;
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            watch: pipe::Receiver::from_owned_fd_unchecked(watch)?,
            unfinished: Vec::new(),
            lines: VecDeque::new(),
        })
    }

    /// Follows what is printed from now on.
    pub fn from_now(path: &Path) -> Result<Self> {
        let mut console = Self::from_start(path)?;
        console.file.seek(SeekFrom::End(0))?;
        Ok(console)
    }

    /// The next line, without line end and terminal control sequences; waits for it.
    pub async fn next_line(&mut self) -> Result<String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(line);
            }
            if !self.read_more()? {
                self.changed().await?;
            }
        }
    }

    /// Reads lines until one contains `text`; an error with the last lines when `deadline` passes first.
    pub async fn wait_for(&mut self, text: &str, deadline: Duration) -> Result<Waited> {
        let mut lines = Vec::new();
        let search = async {
            loop {
                let line = self.next_line().await?;
                let found = line.contains(text);
                lines.push(line);
                if found {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(deadline, search).await {
            Ok(done) => done.map(|()| Waited { lines }),
            Err(_) => bail!(
                "{}: no {text:?} within {} s; the last lines:\n{}",
                self.path.display(),
                deadline.as_secs(),
                lines[lines.len().saturating_sub(SHOWN)..].join("\n")
            ),
        }
    }

    /// Takes what the file has; whether there was anything.
    fn read_more(&mut self) -> Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let length = self.file.read(&mut buffer)?;
        for &byte in &buffer[..length] {
            if byte == b'\n' || self.unfinished.len() >= LONGEST_LINE {
                self.lines.push_back(plain(&self.unfinished));
                self.unfinished.clear();
            }
            if byte != b'\n' {
                self.unfinished.push(byte);
            }
        }
        Ok(length > 0)
    }

    /// Waits until the file is written to. Never misses a write: the kernel queues events from `from_start` on.
    async fn changed(&self) -> Result<()> {
        let mut events = [0; 4096];
        loop {
            self.watch.readable().await?;
            match self.watch.try_read(&mut events) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Ok(done.map(drop)?),
            }
        }
    }
}

/// Text without carriage returns and ANSI sequences, which firmware and GRUB print in plenty.
fn plain(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let source = String::from_utf8_lossy(bytes);
    let mut rest = source.chars().peekable();
    while let Some(letter) = rest.next() {
        if letter == '\u{1b}' {
            if rest.next_if_eq(&'[').is_some() {
                while rest.next_if(|c| !c.is_ascii_alphabetic()).is_some() {}
            }
            rest.next();
        } else if !letter.is_control() || letter == '\t' {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn control_sequences_vanish() {
        assert_eq!(plain(b"\x1b[2J\x1b[01;01HBdsDxe: loading\r"), "BdsDxe: loading");
        assert_eq!(plain(b"\x1bcLAB-OS-UP\r"), "LAB-OS-UP");
        assert_eq!(plain("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
    }

    #[tokio::test]
    async fn a_line_is_seen_when_it_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        writeln!(&file, "old").unwrap();
        let mut console = Console::from_now(file.path()).unwrap();
        let writer = async {
            tokio::task::yield_now().await;
            write!(&file, "first\nhalf ").unwrap();
            tokio::task::yield_now().await;
            writeln!(&file, "and half").unwrap();
        };
        let (waited, ()) = tokio::join!(console.wait_for("and half", Duration::from_secs(10)), writer);
        let waited = waited.unwrap();
        assert_eq!(waited.lines, ["first", "half and half"]);
        assert_eq!(waited.last(), "half and half");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_in_vain_shows_the_last_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        writeln!(&file, "kernel panic").unwrap();
        let mut console = Console::from_start(file.path()).unwrap();
        let error = console.wait_for("login", Duration::from_secs(5)).await.unwrap_err();
        assert!(format!("{error}").contains("kernel panic"), "{error}");
    }

    #[tokio::test]
    async fn an_endless_line_is_cut() {
        let file = tempfile::NamedTempFile::new().unwrap();
        (&file).write_all(&vec![b'.'; LONGEST_LINE + 10]).unwrap();
        let mut console = Console::from_start(file.path()).unwrap();
        assert_eq!(console.next_line().await.unwrap().len(), LONGEST_LINE);
    }
}
