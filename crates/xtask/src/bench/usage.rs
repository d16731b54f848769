//! What a process and its children used of the computer, as `/proc` tells.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The kernel counts processor time in hundredths of a second for programs, whatever it does inside.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of `root` and of all below it so far, children that ended and were waited for included.
pub(super) fn processor_time(root: u32) -> Result<Duration> {
    let mut processes = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while the folder is read.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(stat) = Stat::parse(&text) {
            processes.insert(pid, stat);
        }
    }
    processes.get(&root).with_context(|| format!("process {root} is gone"))?;
    let is_below = |mut pid: u32| {
        while pid != root {
            match processes.get(&pid) {
                Some(stat) if stat.parent != 0 => pid = stat.parent,
                _ => return false,
            }
        }
        true
    };
    let ticks: u32 = processes.iter().filter(|(pid, _)| is_below(**pid)).map(|(_, stat)| stat.ticks).sum();
    Ok(TICK * ticks)
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Memory {
    /// All that is resident.
    pub(super) resident: u64,
    /// What of that is the process's own: no page of a file.
    pub(super) anonymous: u64,
}

impl Memory {
    /// The most of either.
    pub(super) fn max(self, other: Self) -> Self {
        Self { resident: self.resident.max(other.resident), anonymous: self.anonymous.max(other.anonymous) }
    }
}

/// Memory that the process has now.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        number.with_context(|| format!("{path} does not tell the memory ({name})"))
    };
    Ok(Memory { resident: kib("VmRSS:")?, anonymous: kib("RssAnon:")? })
}

struct Stat {
    parent: u32,
    ticks: u32,
}

impl Stat {
    /// From the text of `/proc/PID/stat`. The name of the program, in parentheses, may have anything in it.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        // From here on: state, parent, then nine more before the four times.
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let times = fields.get(11..15)?.iter().map(|field| field.parse::<u32>().ok());
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks: times.sum::<Option<u32>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let text = "7 (a) b) (c) S 3 7 7 0 -1 4194560 100 0 0 0 21 4 3 2 20 0 1 0 99 1000 10";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (3, 30));
        assert!(Stat::parse("7 (a) S").is_none());
    }

    #[test]
    fn this_process_has_used_something() {
        let own = std::process::id();
        let memory = memory(own).unwrap();
        assert!(memory.anonymous > 100 && memory.resident > memory.anonymous, "{memory:?}");
        assert!(processor_time(own).is_ok());
        assert!(processor_time(u32::MAX).is_err());
    }
}
