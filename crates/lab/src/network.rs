//! The lab's network: one namespace per run, with a bridge and a tap per machine.
//!
//! Addresses and ports are the same in every lab, because each has a network of its own: labs run side by side, and
//! nothing they send leaves the machine. Knows no machine and no process.

use anyhow::{Context as _, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The provisioning network's bridge: the interface that the service under test listens on.
pub const BRIDGE: &str = "br-prov";
/// The bridge's address: where the service under test and the lab's own servers listen.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 22, 0, 1);
/// Of the provisioning network.
pub const PREFIX_LENGTH: u8 = 24;
/// So that machines find a router: iPXE waits 16 seconds for one.
const GATEWAY_V6: &str = "fd22::1/64";

/// A network namespace made by `ip netns`, so that a person can enter it, too: `ip netns exec NAME ...`.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes the namespace with its bridge and `taps` taps (`tap0`, `tap1`, ...). Needs root.
    pub fn create(name: &str, taps: usize) -> Result<Self> {
        ip(&["netns", "add", name])?;
        let namespace = Self { name: name.to_owned() };
        if let Err(error) = namespace.furnish(taps) {
            namespace.delete().ok();
            return Err(error);
        }
        Ok(namespace)
    }

    /// One that exists already.
    pub fn existing(name: &str) -> Result<Self> {
        if !file(name).exists() {
            bail!("there is no network namespace {name}");
        }
        Ok(Self { name: name.to_owned() })
    }

    fn furnish(&self, taps: usize) -> Result<()> {
        let ip_in = |arguments: &[&str]| ip(&[&["-n", &self.name], arguments].concat());
        ip_in(&["link", "set", "lo", "up"])?;
        // No forwarding delay: a port that comes up carries frames at once, as firmware's DHCP expects.
        ip_in(&[
            "link",
            "add",
            BRIDGE,
            "type",
            "bridge",
            "forward_delay",
            "0",
            "stp_state",
            "0",
            "mcast_snooping",
            "0",
        ])?;
        ip_in(&["addr", "add", &format!("{GATEWAY}/{PREFIX_LENGTH}"), "brd", "+", "dev", BRIDGE])?;
        // A container may have IPv6 switched off: then iPXE waits a little, and all works.
        ip_in(&["addr", "add", GATEWAY_V6, "dev", BRIDGE, "nodad"]).ok();
        ip_in(&["link", "set", BRIDGE, "up"])?;
        for tap in (0..taps).map(|number| format!("tap{number}")) {
            ip_in(&["tuntap", "add", &tap, "mode", "tap"])?;
            ip_in(&["link", "set", &tap, "master", BRIDGE, "up"])?;
        }
        Ok(())
    }

    /// The name that `ip netns` knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside.
    #[expect(
        clippy::disallowed_methods,
        reason = "the lab starts and stops machines; it is no part of the product"
    )]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Moves the calling thread inside; threads and processes that it starts are inside as well.
    pub fn enter(&self) -> Result<()> {
        let namespace =
            File::open(file(&self.name)).with_context(|| format!("open network namespace {}", self.name))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("enter network namespace {} (needs root)", self.name))
    }

    /// Runs `work` in a thread of its own inside the namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Processes inside.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let listing = output(&["netns", "pids", &self.name]).unwrap_or_default();
        listing.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Removes it, with bridge and taps. Processes inside keep it alive, nameless, until they end.
    pub fn delete(&self) -> Result<()> {
        ip(&["netns", "del", &self.name])
    }
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new("/run/netns").join(name)
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(arguments).map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lab starts and stops machines; it is no part of the product"
)]
fn output(arguments: &[&str]) -> Result<String> {
    let done = Command::new("ip").args(arguments).stdin(Stdio::null()).output().context("start `ip`")?;
    if !done.status.success() {
        bail!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
