//! Why network boot could not start.

use std::io;
use std::net::SocketAddr;

/// What was tried when the service failed to start.
#[derive(Debug, thiserror::Error)]
pub enum NetbootError {
    /// DHCP without an interface: it would answer on every network of this host.
    #[error("dhcp needs the name of the provisioning interface")]
    InterfaceNeeded,
    /// The interface does not exist.
    #[error("network interface {interface} was not found")]
    Interface {
        /// Its name.
        interface: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The options contradict themselves.
    #[error("the DHCP options contradict themselves")]
    Dhcp(#[from] dhcp::ConfigError),
    /// The netmask has holes or is not between /1 and /30.
    #[error("{0} is not a netmask")]
    Netmask(std::net::Ipv4Addr),
    /// A socket could not be opened.
    #[error("cannot listen for {service} on {address}")]
    Listen {
        /// DHCP, PXE, TFTP or HTTP.
        service: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's answer; ports below 1024 need privileges.
        #[source]
        source: io::Error,
    },
}
