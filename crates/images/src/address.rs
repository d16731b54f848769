//! Which addresses an image source may have. The service fetches URLs that users name, from inside the site's
//! management network: without a limit they could make it talk to itself or to a cloud's metadata service.
//! The check is made on the resolved address of every hop, so a host name that points inside does not help.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How far a URL from a user may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Any address, the service's own included.
    Anywhere,
    /// Anything but this host and its link: no loopback, no link-local (where clouds keep their metadata
    /// services), no multicast. Private networks, where most image servers of a site live, are allowed.
    #[default]
    BeyondThisHost,
    /// Only addresses that are routed on the Internet.
    PublicOnly,
}

/// The host resolved only to addresses that [`Reach`] does not allow.
#[derive(Debug, thiserror::Error)]
#[error("{host} has the address {address}, which image sources may not have on this site")]
pub(crate) struct Forbidden {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

impl Reach {
    /// Whether `address` may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Anywhere => true,
            Self::BeyondThisHost => !is_this_host(address),
            Self::PublicOnly => !is_this_host(address) && !is_private(address),
        }
    }
}

fn is_this_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 0.0.0.0/8 reaches the host itself on Linux.
            v4.octets()[0] == 0
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || embedded_v4(v6).is_some_and(|v4| is_this_host(v4.into()))
                // The IPv6 address of the largest cloud's metadata service.
                || v6 == Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            // 100.64.0.0/10 is shared address space (RFC 6598).
            v4.is_private() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || embedded_v4(v6).is_some_and(|v4| is_private(v4.into())),
    }
}

/// The IPv4 address inside a NAT64 address (`64:ff9b::/96`, RFC 6052).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x0064, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

/// The system's resolver, less the addresses that are out of reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReachResolver(pub(crate) Reach);

impl Resolve for ReachResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|socket| reach.allows(socket.ip())).collect();
            if let (true, Some(first)) = (allowed.is_empty(), found.first()) {
                return Err(Forbidden { host, address: first.ip() }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_reached() {
        // address, beyond this host, public only
        for (address, beyond, public) in [
            ("8.8.8.8", true, true),
            ("2a00:1450::1", true, true),
            ("10.0.0.1", true, false),
            ("172.22.0.1", true, false),
            ("192.168.1.1", true, false),
            ("100.64.0.1", true, false),
            ("100.128.0.1", true, true),
            ("fd22::1", true, false),
            ("127.0.0.1", false, false),
            ("127.9.9.9", false, false),
            ("0.0.0.0", false, false),
            ("169.254.169.254", false, false),
            ("::1", false, false),
            ("::", false, false),
            ("fe80::1", false, false),
            ("::ffff:127.0.0.1", false, false),
            ("::ffff:10.1.1.1", true, false),
            ("64:ff9b::7f00:1", false, false),
            ("64:ff9b::a00:1", true, false),
            ("fd00:ec2::254", false, false),
            ("224.0.0.1", false, false),
            ("ff02::1", false, false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert!(Reach::Anywhere.allows(parsed), "{address}");
            assert_eq!(Reach::BeyondThisHost.allows(parsed), beyond, "{address}");
            assert_eq!(Reach::PublicOnly.allows(parsed), public, "{address}");
        }
    }
}
