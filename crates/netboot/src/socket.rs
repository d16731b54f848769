//! Sockets as boot protocols need them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;

use crate::NetbootError;

/// A UDP socket that hears and sends on one interface only and may broadcast. The address is shared, for a server has
/// one socket for broadcasts and one that has its own address as the source of replies.
pub(crate) fn dhcp(
    service: &'static str,
    interface: &str,
    address: SocketAddrV4,
) -> Result<UdpSocket, NetbootError> {
    let open = || -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        UdpSocket::from_std(socket.into())
    };
    open().map_err(|source| NetbootError::Listen { service, address: address.into(), source })
}

/// The interface's index.
pub(crate) fn interface_index(interface: &str) -> Result<u32, NetbootError> {
    let find = || -> io::Result<u32> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        Ok(rustix::net::netdevice::name_to_index(&socket, interface)?)
    };
    find().map_err(|source| NetbootError::Interface { interface: interface.to_owned(), source })
}

/// A raw `ICMPv6` socket on one interface that hears router solicitations. It is wrapped as what tokio calls a UDP
/// socket: both are datagram sockets to it, and the kernel makes and checks the checksums.
pub(crate) fn icmpv6(interface: &str, index: u32) -> io::Result<UdpSocket> {
    /// All routers on the link (RFC 4291 section 2.7.1).
    const ALL_ROUTERS: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    // RFC 4861 section 6.1.2: receivers drop advertisements that have passed a router.
    socket.set_unicast_hops_v6(255)?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_if_v6(index)?;
    socket.join_multicast_v6(&ALL_ROUTERS, index)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// The wildcard address at a port.
pub(crate) const fn any(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)
}
