//! The operator's options.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dhcp::{Config, Mode, Pool, Subnet};
use serde::Deserialize;

use crate::NetbootError;

/// How long an address rests that a client found in use.
const QUARANTINE: Duration = Duration::from_hours(1);

/// What the DHCP server does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhcpMode {
    /// There is another DHCP server, which names our boot files by itself.
    #[default]
    Off,
    /// Leases addresses and names boot files.
    Full,
    /// Names boot files beside another server that leases addresses (ports 67 and 4011).
    Proxy,
}

/// Addresses to lease, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address.
    pub last: Ipv4Addr,
}

/// A network behind a DHCP relay agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayedNetwork {
    /// Any address of the network.
    pub network: Ipv4Addr,
    /// Its netmask.
    pub netmask: Ipv4Addr,
    /// Addresses to lease. Default: reservations only.
    #[serde(default)]
    pub pool: Option<PoolRange>,
    /// Its default router.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
}

/// Network boot on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The provisioning interface. Needed for DHCP and router advertisements, which speak on no other. Default: none.
    #[serde(default)]
    pub interface: Option<String>,
    /// This host's address on the provisioning network: what machines are told for TFTP and HTTP.
    pub server_address: Ipv4Addr,
    /// `off`, `full` or `proxy`. Default: `off`.
    #[serde(default)]
    pub dhcp: DhcpMode,
    /// Netmask of the provisioning network. Default: 255.255.255.0.
    #[serde(default = "default_netmask")]
    pub netmask: Ipv4Addr,
    /// Addresses for machines without one of their own. Default: none, so only those get an address.
    #[serde(default)]
    pub pool: Option<PoolRange>,
    /// The default router that machines are told. Default: none.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// The name servers that machines are told. Default: none.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// The DNS domain that machines are told. Default: none.
    #[serde(default)]
    pub domain: Option<String>,
    /// Networks behind relay agents. Default: none.
    #[serde(default)]
    pub relayed: Vec<RelayedNetwork>,
    /// For how many seconds addresses are leased: 60 to 31536000. Default: 3600.
    #[serde(default = "default_lease_seconds")]
    pub lease_seconds: u32,
    /// Lease addresses to machines that nobody has enrolled (they get nothing to boot). Default: no.
    #[serde(default)]
    pub answer_unknown: bool,
    /// Answer IPv6 router solicitations with "no router here". Without an answer, iPXE waits 16 s for one at each boot.
    /// Turn it off where a router advertises itself. Default: on when `dhcp` is `full` or `proxy`.
    #[serde(default)]
    pub router_advertisements: Option<bool>,
    /// Where the HTTP server listens. Default: port 8080 of `server_address`.
    #[serde(default)]
    pub http_listen: Option<SocketAddr>,
    /// Where the TFTP server listens. Default: port 69 of `server_address`.
    #[serde(default)]
    pub tftp_listen: Option<SocketAddr>,
    /// Where iPXE's binaries are sought before /usr/lib/ipxe: `undionly.kpxe`, `snponly.efi`, `snponly-arm64.efi`,
    /// `snponly-ia32.efi`. Default: none.
    #[serde(default)]
    pub ipxe_dir: Option<PathBuf>,
}

const fn default_netmask() -> Ipv4Addr {
    Ipv4Addr::new(255, 255, 255, 0)
}

const fn default_lease_seconds() -> u32 {
    3600
}

impl Options {
    /// Everything at its default.
    pub const fn new(server_address: Ipv4Addr) -> Self {
        Self {
            interface: None,
            server_address,
            dhcp: DhcpMode::Off,
            netmask: default_netmask(),
            pool: None,
            gateway: None,
            dns: Vec::new(),
            domain: None,
            relayed: Vec::new(),
            lease_seconds: default_lease_seconds(),
            answer_unknown: false,
            router_advertisements: None,
            http_listen: None,
            tftp_listen: None,
            ipxe_dir: None,
        }
    }

    pub(crate) fn advertises(&self) -> bool {
        self.router_advertisements.unwrap_or(self.dhcp != DhcpMode::Off)
    }

    /// The DHCP machine's configuration; none when DHCP is off.
    pub(crate) fn dhcp_config(&self) -> Result<Option<Config>, NetbootError> {
        let mode = match self.dhcp {
            DhcpMode::Off => return Ok(None),
            DhcpMode::Full => Mode::Full,
            DhcpMode::Proxy => Mode::Proxy,
        };
        let mut subnets = vec![subnet(self.server_address, self.netmask, self.pool, self.gateway)?];
        for relayed in &self.relayed {
            subnets.push(subnet(relayed.network, relayed.netmask, relayed.pool, relayed.gateway)?);
        }
        Ok(Some(Config {
            mode,
            server: self.server_address,
            subnets,
            dns: self.dns.clone(),
            domain: self.domain.clone(),
            lease_time: Duration::from_secs(self.lease_seconds.into()),
            quarantine: QUARANTINE,
        }))
    }
}

fn subnet(
    network: Ipv4Addr,
    netmask: Ipv4Addr,
    pool: Option<PoolRange>,
    gateway: Option<Ipv4Addr>,
) -> Result<Subnet, NetbootError> {
    let bits = netmask.to_bits();
    let prefix = u8::try_from(bits.leading_ones()).unwrap_or(0);
    if bits.leading_ones() + bits.trailing_zeros() != 32 || !(1..=30).contains(&prefix) {
        return Err(NetbootError::Netmask(netmask));
    }
    let pool = pool.map(|range| Pool::new(range.first, range.last)).transpose()?;
    Ok(Subnet { network, prefix, pool, gateway })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_as_a_file() {
        let options: Options = toml::from_str(
            "interface = 'br0'\nserver_address = '192.0.2.1'\ndhcp = 'full'\nnetmask = '255.255.255.192'\n\
             pool = { first = '192.0.2.10', last = '192.0.2.20' }\n\
             [[relayed]]\nnetwork = '198.51.100.0'\nnetmask = '255.255.255.0'\n",
        )
        .unwrap();
        assert!(options.advertises());
        let config = options.dhcp_config().unwrap().unwrap();
        assert_eq!((config.subnets[0].prefix, config.subnets[1].prefix), (26, 24));
        assert_eq!(config.lease_time, Duration::from_hours(1));

        let least: Options = toml::from_str("server_address = '192.0.2.1'").unwrap();
        assert_eq!(least, Options::new(Ipv4Addr::new(192, 0, 2, 1)));
        assert!(!least.advertises());
        assert!(least.dhcp_config().unwrap().is_none());
        assert!(toml::from_str::<Options>("server_address = '192.0.2.1'\ndhpc = 'full'").is_err());
        for netmask in ["255.0.255.0", "0.0.0.0", "255.255.255.255"] {
            let options =
                Options { dhcp: DhcpMode::Full, netmask: netmask.parse().unwrap(), ..least.clone() };
            assert!(matches!(options.dhcp_config(), Err(NetbootError::Netmask(_))), "{netmask}");
        }
    }
}
