//! Answers router solicitations with "there is no router here" (RFC 4861): lifetime 0, no prefix, no flags.
//!
//! iPXE configures IPv6 beside IPv4 and boots when both are done; without any advertisement it gives IPv6 up only
//! after six solicitations, 16 s after its DHCP acknowledgement (seen with Debian 12's iPXE). An advertisement that
//! says nothing ends that wait at once and leaves other hosts as they are.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

const SOLICITATION: u8 = 133;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Type 134, code 0, checksum (by the kernel), hop limit 64, no flags, router lifetime 0, reachable and retransmission
/// times unspecified.
const ADVERTISEMENT: [u8; 16] = [134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Where the answer to an `ICMPv6` message goes; none if it is no solicitation. The sender's hop limit is not
/// looked at: what an off-link sender could provoke says nothing.
fn answer_to(message: &[u8], from: SocketAddrV6, index: u32) -> Option<SocketAddrV6> {
    if message.len() < 8 || message[..2] != [SOLICITATION, 0] {
        return None;
    }
    let to = if from.ip().is_unspecified() { ALL_NODES } else { *from.ip() };
    Some(SocketAddrV6::new(to, 0, 0, index))
}

/// Answers until told to stop.
pub(crate) async fn run(socket: UdpSocket, index: u32, stop: CancellationToken) {
    // Eight bytes say all; the rest of a longer message is cut off.
    let mut buffer = [0; 8];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, SocketAddr::V6(from))) => {
                if let Some(to) = answer_to(&buffer[..length], from, index) {
                    let sent = socket.send_to(&ADVERTISEMENT, to).await;
                    tracing::debug!(%to, ok = sent.is_ok(), "router solicitation answered");
                }
            }
            Ok((_, SocketAddr::V4(_))) => {}
            Err(error) => {
                tracing::warn!(%error, "receiving router solicitations failed");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_solicitations_are_answered() {
        let at = |text: &str| SocketAddrV6::new(text.parse().unwrap(), 0, 0, 0);
        let to = |text: &str| Some(SocketAddrV6::new(text.parse().unwrap(), 0, 0, 3));
        let solicitation = [133, 0, 0x12, 0x34, 0, 0, 0, 0];
        assert_eq!(answer_to(&solicitation, at("fe80::1"), 3), to("fe80::1"));
        assert_eq!(answer_to(&solicitation, at("::"), 3), to("ff02::1"));
        assert_eq!(answer_to(&solicitation[..7], at("fe80::1"), 3), None);
        assert_eq!(answer_to(&[134, 0, 0, 0, 0, 0, 0, 0], at("fe80::1"), 3), None);
        assert_eq!(answer_to(&[133, 1, 0, 0, 0, 0, 0, 0], at("fe80::1"), 3), None);
    }
}
