//! How a fleet is made: how many, where, how fast, and what goes wrong.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::{Rng, RngExt as _};
use url::Url;

use crate::fault::FaultPlan;
use crate::identity::Credentials;

/// How a fleet is made.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Number of machines.
    pub nodes: usize,
    /// Decides identities, durations and faults. The same seed gives the same fleet.
    pub seed: u64,
    /// Where the BMCs listen. Agents listen on the same address as their machine's BMC, at a free port.
    pub bind: Bind,
    /// The API that agents call; without it they take `ipa-api-url` from the kernel command line that the boot
    /// server gives, and when there is none they stay silent.
    pub api: Option<ApiAccess>,
    /// Base URL of the network boot server that iPXE would ask. Without it every network boot starts the ramdisk.
    pub netboot_url: Option<Url>,
    /// How long things take.
    pub timing: Timing,
    /// What goes wrong from the start.
    pub faults: FaultPlan,
    /// Login of every BMC.
    pub credentials: Credentials,
}

impl FleetOptions {
    /// `nodes` healthy machines on free ports of 127.0.0.1, in a hurry, switched off, with no API.
    pub fn new(nodes: usize, seed: u64) -> Self {
        Self {
            nodes,
            seed,
            bind: Bind::Ephemeral(Ipv4Addr::LOCALHOST.into()),
            api: None,
            netboot_url: None,
            timing: Timing::hurried(),
            faults: FaultPlan::default(),
            credentials: Credentials { username: "admin".to_owned(), password: "password".to_owned() },
        }
    }
}

/// Where the BMCs listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// Each at a free port of one address.
    Ephemeral(IpAddr),
    /// Node `i` at port `first + i` of one address.
    Ports {
        /// The address.
        address: IpAddr,
        /// Port of node 0.
        first: u16,
    },
    /// Node `i` at address `first + i`, all at one port: as real BMCs are, with 127.0.0.0/8 for a fleet of millions.
    Addresses {
        /// Address of node 0.
        first: Ipv4Addr,
        /// The port.
        port: u16,
    },
}

impl Bind {
    /// Where node `index` listens; `None` when there is no such address or port.
    pub fn address(self, index: usize) -> Option<SocketAddr> {
        match self {
            Self::Ephemeral(address) => Some(SocketAddr::new(address, 0)),
            Self::Ports { address, first } => {
                let port = usize::from(first).checked_add(index)?;
                Some(SocketAddr::new(address, u16::try_from(port).ok()?))
            }
            Self::Addresses { first, port } => {
                let number = u32::from(first).checked_add(u32::try_from(index).ok()?)?;
                Some(SocketAddr::new(Ipv4Addr::from(number).into(), port))
            }
        }
    }
}

/// How agents reach the API.
#[derive(Clone)]
pub struct ApiAccess {
    /// Base URL, without `/v1`.
    pub url: Url,
    /// Certificate authorities (PEM) to trust beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Take any certificate.
    pub insecure: bool,
    /// User and password, for enrolment only: what agents call is open to all.
    pub login: Option<(String, String)>,
}

impl ApiAccess {
    /// Plain access to `url`.
    pub fn new(url: Url) -> Self {
        Self { url, ca_pem: None, insecure: false, login: None }
    }
}

impl fmt::Debug for ApiAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiAccess")
            .field("url", &self.url.as_str())
            .field("insecure", &self.insecure)
            .field("login", &self.login.as_ref().map(|(user, _)| user))
            .finish_non_exhaustive()
    }
}

/// A duration that varies: anything from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Shortest.
    pub min: Duration,
    /// Longest.
    pub max: Duration,
}

impl Span {
    /// From `min` to `max` milliseconds.
    pub const fn millis(min: u64, max: u64) -> Self {
        Self { min: Duration::from_millis(min), max: Duration::from_millis(max) }
    }

    pub(crate) fn sample(self, random: &mut impl Rng) -> Duration {
        if self.min >= self.max { self.min } else { random.random_range(self.min..=self.max) }
    }
}

/// How long things take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Power on to the firmware's choice of what to boot.
    pub firmware: Span,
    /// The ramdisk, from its first byte to the agent's first call.
    pub ramdisk: Span,
    /// A step that is none of those below.
    pub step: Span,
    /// Erasing the disks.
    pub erase: Span,
    /// Writing an image.
    pub write: Span,
    /// An operating system's orderly shutdown.
    pub shutdown: Span,
    /// Pause between heartbeats; without it 0.3 to 0.6 of what the API says, as the real agent.
    pub heartbeat: Option<Span>,
    /// Pause after a call to the API that failed.
    pub retry: Span,
    /// Shortest time between two heartbeats, for those that a finished command sends early.
    pub heartbeat_gap: Duration,
    /// How long an agent looks itself up before it gives up.
    pub lookup_deadline: Duration,
}

impl Timing {
    /// Milliseconds throughout: for tests.
    pub const fn hurried() -> Self {
        Self {
            firmware: Span::millis(5, 20),
            ramdisk: Span::millis(20, 80),
            step: Span::millis(10, 40),
            erase: Span::millis(40, 120),
            write: Span::millis(80, 240),
            shutdown: Span::millis(10, 40),
            heartbeat: Some(Span::millis(200, 400)),
            retry: Span::millis(50, 150),
            heartbeat_gap: Duration::from_millis(20),
            lookup_deadline: Duration::from_mins(1),
        }
    }

    /// As real servers: minutes. For trying out dashboards and timeouts.
    pub const fn lifelike() -> Self {
        Self {
            firmware: Span::millis(30_000, 120_000),
            ramdisk: Span::millis(20_000, 60_000),
            step: Span::millis(1_000, 10_000),
            erase: Span::millis(60_000, 600_000),
            write: Span::millis(30_000, 180_000),
            shutdown: Span::millis(5_000, 20_000),
            heartbeat: None,
            retry: Span::millis(5_000, 10_000),
            heartbeat_gap: Duration::from_secs(5),
            lookup_deadline: Duration::from_mins(10),
        }
    }

    /// A hurry until a disk is erased or written, which goes on for a day, with heartbeats as the API says: for many agents
    /// that wait.
    pub const fn endless() -> Self {
        const DAY: Span = Span::millis(86_400_000, 86_400_000);
        Self { erase: DAY, write: DAY, heartbeat: None, ..Self::hurried() }
    }

    /// As [`Timing::lifelike`], a minute taking about a second.
    pub const fn brisk() -> Self {
        Self {
            firmware: Span::millis(500, 2_000),
            ramdisk: Span::millis(500, 1_500),
            step: Span::millis(100, 500),
            erase: Span::millis(1_000, 5_000),
            write: Span::millis(1_000, 5_000),
            shutdown: Span::millis(200, 800),
            heartbeat: Some(Span::millis(5_000, 10_000)),
            retry: Span::millis(500, 2_000),
            heartbeat_gap: Duration::from_millis(500),
            lookup_deadline: Duration::from_mins(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_run_out_instead_of_wrapping() {
        let ports = Bind::Ports { address: Ipv4Addr::LOCALHOST.into(), first: 65_000 };
        assert_eq!(ports.address(535).unwrap().port(), 65_535);
        assert_eq!(ports.address(536), None);
        let addresses = Bind::Addresses { first: Ipv4Addr::new(127, 1, 0, 250), port: 623 };
        assert_eq!(addresses.address(10).unwrap().to_string(), "127.1.1.4:623");
        let last = Bind::Addresses { first: Ipv4Addr::BROADCAST, port: 623 };
        assert_eq!(last.address(1), None);
    }
}
