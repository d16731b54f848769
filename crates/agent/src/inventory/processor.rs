//! Processors, by `/proc/cpuinfo`.

use super::dmi::Tables;
use agent_api::inventory::Cpu;
use std::fs;

/// All processors as one description: machines with several kinds are not known to the protocol.
pub(super) fn all(tables: &Tables) -> Cpu {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let highest = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").ok();
    let mhz = highest.and_then(|text| text.trim().parse::<f64>().ok()).map(|khz| khz / 1000.0);
    let mut cpu = parse(&text);
    if let Some(mhz) = mhz {
        cpu.frequency = Some(format!("{mhz:.4}"));
    }
    cpu.socket_count = tables.sockets().or(cpu.socket_count);
    cpu.architecture = rustix::system::uname().machine().to_string_lossy().into_owned();
    cpu
}

fn parse(text: &str) -> Cpu {
    let values = |wanted: &'static str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(move |(key, _)| key.trim() == wanted)
            .map(|(_, value)| value.trim().to_owned())
    };
    let mut sockets: Vec<String> = values("physical id").collect();
    sockets.sort();
    sockets.dedup();
    let flags = values("flags").chain(values("Features")).next().unwrap_or_default();
    Cpu {
        model_name: values("model name").next(),
        frequency: values("cpu MHz").next(),
        count: values("processor").count() as u64,
        architecture: String::new(),
        flags: flags.split_whitespace().map(str::to_owned).collect(),
        socket_count: Some(sockets.len() as u64).filter(|count| *count > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_in_one_socket() {
        let one = "processor\t: 0\nmodel name\t: QEMU Virtual CPU\ncpu MHz\t\t: 2000.1\nphysical id\t: 0\nflags\t\t: fpu vme\n\n";
        let cpu = parse(&(one.to_owned() + &one.replace(": 0\nmodel", ": 1\nmodel")));
        assert_eq!((cpu.count, cpu.socket_count), (2, Some(1)));
        assert_eq!(cpu.flags, ["fpu", "vme"]);
        assert_eq!(cpu.frequency.as_deref(), Some("2000.1"));
    }
}
