//! The server's configuration and what must hold of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::wire::{Packet, code};

/// The most addresses in a pool: a /16.
const MAX_POOL: u32 = 65_536;

/// What the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Leases addresses and names boot files: the only DHCP server of its networks.
    Full,
    /// Names boot files beside another server that leases addresses.
    Proxy,
}

/// Addresses to lease, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    first: u32,
    last: u32,
}

impl Pool {
    /// A pool of 1 to 65,536 addresses.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, ConfigError> {
        let (low, high) = (first.to_bits(), last.to_bits());
        if low > high || high - low >= MAX_POOL {
            return Err(ConfigError::PoolRange { first, last });
        }
        Ok(Self { first: low, last: high })
    }

    pub(crate) const fn len(self) -> u32 {
        self.last - self.first + 1
    }

    pub(crate) fn nth(self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + index)
    }

    /// Whether the address belongs to the pool.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address.to_bits())
    }
}

/// One network that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Any address of the network.
    pub network: Ipv4Addr,
    /// Prefix length, 1 to 30.
    pub prefix: u8,
    /// Addresses for machines without a reservation; none: reservations only.
    pub pool: Option<Pool>,
    /// The default router to tell.
    pub gateway: Option<Ipv4Addr>,
}

impl Subnet {
    /// The netmask.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX << (32 - u32::from(self.prefix)))
    }

    /// Whether the address belongs to the network and is not its network or broadcast address.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.mask().to_bits();
        let host = address.to_bits() & !mask;
        address.to_bits() & mask == self.network.to_bits() & mask && host != 0 && host != !mask
    }

    /// The network's broadcast address.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !self.mask().to_bits())
    }
}

/// All that the server needs to know beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Full or proxy.
    pub mode: Mode,
    /// The server's own address: its identifier (option 54) and the address clients renew at.
    pub server: Ipv4Addr,
    /// Full mode: the interface's own network first, then those behind relay agents. Unused in proxy mode.
    pub subnets: Vec<Subnet>,
    /// Name servers to tell.
    pub dns: Vec<Ipv4Addr>,
    /// DNS domain to tell.
    pub domain: Option<String>,
    /// How long an address is granted: 60 s to a year.
    pub lease_time: Duration,
    /// How long an address rests that a client found in use.
    pub quarantine: Duration,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The pool is empty, upside down or of more than 65,536 addresses.
    #[error("the pool {first} to {last} is empty or has more than 65536 addresses")]
    PoolRange {
        /// The configured first address.
        first: Ipv4Addr,
        /// The configured last address.
        last: Ipv4Addr,
    },
    /// The pool reaches out of its network.
    #[error("the pool is not inside of the network {network}/{prefix}")]
    PoolOutside {
        /// The network.
        network: Ipv4Addr,
        /// Its prefix length.
        prefix: u8,
    },
    /// The prefix leaves no room for hosts.
    #[error("a prefix length of {0} is not from 1 to 30")]
    Prefix(u8),
    /// The gateway is unreachable for the clients.
    #[error("the gateway {0} is not inside of its network")]
    GatewayOutside(Ipv4Addr),
    /// Full mode without the interface's own network.
    #[error("no network contains the server's address {0}")]
    ServerOutside(Ipv4Addr),
    /// Lease time out of range.
    #[error("a lease time of {0:?} is not from 60 s to 365 days")]
    LeaseTime(Duration),
}

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.mode == Mode::Proxy {
            return Ok(());
        }
        if !(60..=365 * 86_400).contains(&self.lease_time.as_secs()) {
            return Err(ConfigError::LeaseTime(self.lease_time));
        }
        for subnet in &self.subnets {
            let Subnet { network, prefix, pool, gateway } = *subnet;
            if !(1..=30).contains(&prefix) {
                return Err(ConfigError::Prefix(prefix));
            }
            if let Some(pool) = pool
                && !(subnet.contains(pool.nth(0)) && subnet.contains(pool.nth(pool.len() - 1)))
            {
                return Err(ConfigError::PoolOutside { network, prefix });
            }
            if let Some(gateway) = gateway
                && !subnet.contains(gateway)
            {
                return Err(ConfigError::GatewayOutside(gateway));
            }
        }
        if !self.subnets.iter().any(|subnet| subnet.contains(self.server)) {
            return Err(ConfigError::ServerOutside(self.server));
        }
        Ok(())
    }

    /// The network that the sender is on: the one its relay agent names (RFC 3527 link selection, else `giaddr`), else the
    /// server's own.
    pub(super) fn subnet_of(&self, packet: &Packet) -> Option<&Subnet> {
        let place = match link_selection(packet) {
            Some(link) => link,
            None if packet.giaddr.is_unspecified() => self.server,
            None => packet.giaddr,
        };
        let masked = |subnet: &Subnet, address: Ipv4Addr| address.to_bits() & subnet.mask().to_bits();
        self.subnets.iter().find(|subnet| masked(subnet, place) == masked(subnet, subnet.network))
    }

    /// Addresses of a network that no client may have.
    pub(super) fn taken(&self, subnet: &Subnet) -> Vec<Ipv4Addr> {
        subnet.gateway.into_iter().chain([self.server]).collect()
    }
}

/// Sub-option 5 of the relay agent's option.
fn link_selection(packet: &Packet) -> Option<Ipv4Addr> {
    let mut field = packet.options.bytes(code::RELAY_AGENT)?;
    while let [code, length, rest @ ..] = field {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *code == 5 {
            return value.try_into().ok().map(|octets: [u8; 4]| Ipv4Addr::from(octets));
        }
        field = rest;
    }
    None
}
