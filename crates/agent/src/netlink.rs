//! rtnetlink, as much as bringing up interfaces needs (RFC 3549, `linux/rtnetlink.h`), and the kernel's device events.
//!
//! Encoding and decoding are pure; [`Netlink`] is the socket. Knows no DHCP and no policy.

use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::{self, SocketAddrNetlink},
        recv, send, socket_with,
    },
};
use std::{io, net::Ipv4Addr};
use tokio::io::unix::AsyncFd;

/// Group of link changes.
pub const LINK_GROUP: u32 = 1;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFF_LOWER_UP: u32 = 0x1_0000;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const ARPHRD_ETHER: u16 = 1;
/// Size of the receive buffer: the kernel's dumps come in parts of at most 32 KiB.
const BUFFER: usize = 64 << 10;

/// A network interface as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub index: u32,
    /// `eth0`.
    pub name: String,
    /// Hardware address, if it is an Ethernet one.
    pub mac: Option<[u8; 6]>,
    /// Whether it is the loopback.
    pub loopback: bool,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether a cable is in; known only while it is up.
    pub carrier: bool,
}

/// What the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A link is there or has changed.
    Link(Link),
    /// A link is gone.
    Gone(u32),
    /// The end of a dump.
    Done,
    /// The outcome of a request, by its sequence number; 0 is success.
    Outcome {
        /// Which request.
        sequence: u32,
        /// Negative errno.
        code: i32,
    },
}

/// A message being put together.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        Self(bytes)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

fn interface_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

/// Reads the messages of one datagram; what is malformed ends the reading.
pub fn decode(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((kind, sequence, body, rest)) = split(bytes) {
        match kind {
            RTM_NEWLINK => messages.extend(link(body).map(Message::Link)),
            RTM_DELLINK => messages.extend(u32_at(body, 4).map(Message::Gone)),
            NLMSG_DONE => messages.push(Message::Done),
            NLMSG_ERROR => {
                messages.extend(
                    u32_at(body, 0).map(|code| Message::Outcome { sequence, code: code.cast_signed() }),
                );
            }
            _ => {}
        }
        bytes = rest;
    }
    messages
}

fn split(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let message = bytes.get(..length).filter(|message| message.len() >= 16)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16_at(message, 4)?, u32_at(message, 8)?, &message[16..], rest))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn link(body: &[u8]) -> Option<Link> {
    let (hardware, index, flags) = (u16_at(body, 2)?, u32_at(body, 4)?, u32_at(body, 8)?);
    let mut link = Link {
        index,
        name: String::new(),
        mac: None,
        loopback: flags & IFF_LOOPBACK != 0,
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
    };
    let mut rest = body.get(16..)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let Some(value) = rest.get(4..usize::from(length)) else { break };
        match kind {
            IFLA_IFNAME => String::from_utf8_lossy(value).trim_end_matches('\0').clone_into(&mut link.name),
            IFLA_ADDRESS if hardware == ARPHRD_ETHER => link.mac = value.try_into().ok(),
            _ => {}
        }
        rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(link)
}

/// A routing socket.
#[derive(Debug)]
pub struct Netlink {
    socket: AsyncFd<OwnedFd>,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket that hears of changes in `groups`.
    pub fn open(groups: u32) -> io::Result<Self> {
        let socket = open(None, groups)?;
        Ok(Self { socket: register(socket)?, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// All links.
    pub async fn links(&mut self) -> io::Result<Vec<Link>> {
        let request = self.request(RTM_GETLINK, NLM_F_DUMP).raw(&interface_header(0, 0, 0));
        self.transmit(&request.finish()).await?;
        let mut links = Vec::new();
        loop {
            for message in self.receive().await? {
                match message {
                    Message::Link(link) => links.push(link),
                    Message::Done => return Ok(links),
                    Message::Outcome { code, .. } if code != 0 => {
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    Message::Outcome { .. } | Message::Gone(_) => {}
                }
            }
        }
    }

    /// Turns a link on or off.
    pub async fn set_link(&mut self, index: u32, up: bool) -> io::Result<()> {
        let header = interface_header(index, if up { IFF_UP } else { 0 }, IFF_UP);
        let request = self.request(RTM_NEWLINK, NLM_F_ACK).raw(&header);
        self.acknowledged(request).await
    }

    /// Sets the longest frame of a link.
    pub async fn set_mtu(&mut self, index: u32, mtu: u16) -> io::Result<()> {
        let request = self.request(RTM_NEWLINK, NLM_F_ACK).raw(&interface_header(index, 0, 0));
        self.acknowledged(request.attribute(IFLA_MTU, &u32::from(mtu).to_ne_bytes())).await
    }

    /// Gives a link an address, or takes it away.
    pub async fn set_address(
        &mut self,
        index: u32,
        ip: Ipv4Addr,
        prefix: u8,
        present: bool,
    ) -> io::Result<()> {
        let (kind, flags) =
            if present { (RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE) } else { (RTM_DELADDR, 0) };
        let mut header = vec![AF_INET, prefix, 0, 0];
        header.extend(index.to_ne_bytes());
        let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        let broadcast = (ip.to_bits() | host_bits).to_be_bytes();
        let mut request = self.request(kind, flags | NLM_F_ACK).raw(&header);
        request = request.attribute(IFA_LOCAL, &ip.octets()).attribute(IFA_ADDRESS, &ip.octets());
        if prefix < 31 {
            request = request.attribute(IFA_BROADCAST, &broadcast);
        }
        self.acknowledged(request).await
    }

    /// Adds or replaces a default route; the lower `metric` wins.
    pub async fn add_default_route(&mut self, index: u32, gateway: Ipv4Addr, metric: u32) -> io::Result<()> {
        // Table main (254), protocol dhcp (16), scope universe (0), unicast (1).
        let header = [AF_INET, 0, 0, 0, 254, 16, 0, 1, 0, 0, 0, 0];
        let request = self
            .request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE)
            .raw(&header)
            .attribute(RTA_GATEWAY, &gateway.octets())
            .attribute(RTA_OIF, &index.to_ne_bytes())
            .attribute(RTA_PRIORITY, &metric.to_ne_bytes());
        self.acknowledged(request).await
    }

    /// Waits for news of the groups.
    pub async fn receive(&mut self) -> io::Result<Vec<Message>> {
        let length = receive(&self.socket, &mut self.buffer).await?;
        Ok(decode(&self.buffer[..length]))
    }

    fn request(&mut self, kind: u16, flags: u16) -> Request {
        self.sequence = self.sequence.wrapping_add(1);
        Request::new(kind, flags, self.sequence)
    }

    async fn acknowledged(&mut self, request: Request) -> io::Result<()> {
        let wanted = self.sequence;
        self.transmit(&request.finish()).await?;
        loop {
            for message in self.receive().await? {
                match message {
                    Message::Outcome { sequence, code: 0 } if sequence == wanted => return Ok(()),
                    Message::Outcome { sequence, code } if sequence == wanted => {
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    _ => {}
                }
            }
        }
    }

    async fn transmit(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            let sent = ready.try_io(|socket| Ok(send(socket.get_ref(), bytes, SendFlags::empty())?));
            if let Ok(outcome) = sent {
                return outcome.map(drop);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "AF_INET is 2")]
const AF_INET: u8 = AddressFamily::INET.as_raw() as u8;

fn open(protocol: Option<rustix::net::Protocol>, groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

#[expect(unsafe_code, reason = "tokio cannot know which types keep their descriptor")]
fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open as long as it lives, is always the same descriptor, and the `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

/// Reads one datagram. When news were lost for want of room (ENOBUFS) it goes on with the next.
async fn receive(socket: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = socket.readable().await?;
        match ready.try_io(|socket| Ok(recv(socket.get_ref(), &mut buffer[..], RecvFlags::empty())?.0)) {
            Ok(Err(error)) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {}
            Ok(outcome) => return outcome,
            Err(_) => {}
        }
    }
}

/// A socket that hears of devices that appear, change and go.
#[derive(Debug)]
pub struct DeviceEvents {
    socket: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
}

/// One device event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceEvent {
    /// `add`, `remove`, `change`, …
    pub action: String,
    /// `block`, `net`, `pci`, …
    pub subsystem: String,
    /// What driver it asks for.
    pub modalias: Option<String>,
}

impl DeviceEvents {
    /// Opens the socket.
    pub fn open() -> io::Result<Self> {
        let socket = open(Some(netlink::KOBJECT_UEVENT), 1)?;
        Ok(Self { socket: register(socket)?, buffer: vec![0; BUFFER] })
    }

    /// Waits for an event.
    pub async fn next(&mut self) -> io::Result<DeviceEvent> {
        let length = receive(&self.socket, &mut self.buffer).await?;
        Ok(device_event(&self.buffer[..length]))
    }
}

/// Reads `add@/devices/…\0ACTION=add\0SUBSYSTEM=block\0…`.
fn device_event(bytes: &[u8]) -> DeviceEvent {
    let mut event = DeviceEvent::default();
    for part in bytes.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(part);
        match text.split_once('=') {
            Some(("ACTION", value)) => value.clone_into(&mut event.action),
            Some(("SUBSYSTEM", value)) => value.clone_into(&mut event.subsystem),
            Some(("MODALIAS", value)) => event.modalias = Some(value.to_owned()),
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_events() {
        let event = device_event(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=pci\0MODALIAS=pci:v1\0SEQNUM=1\0");
        let expected =
            DeviceEvent { action: "add".into(), subsystem: "pci".into(), modalias: Some("pci:v1".into()) };
        assert_eq!(event, expected);
    }

    #[tokio::test]
    async fn the_loopback_is_found() {
        let links = Netlink::open(0).expect("socket").links().await.expect("links");
        let loopback = links.iter().find(|link| link.loopback).expect("loopback");
        assert_eq!((loopback.name.as_str(), loopback.index), ("lo", 1));
    }

    #[tokio::test]
    async fn refusals_are_errors() {
        let mut netlink = Netlink::open(0).expect("socket");
        let error =
            netlink.set_address(999_999, Ipv4Addr::LOCALHOST, 8, true).await.expect_err("no such link");
        assert!(error.raw_os_error().is_some());
    }

    #[test]
    fn attributes_are_padded() {
        let bytes = Request::new(RTM_NEWLINK, 0, 1).attribute(IFLA_IFNAME, b"lo\0").finish();
        assert_eq!(bytes.len(), 24);
        assert_eq!(u32_at(&bytes, 0), Some(24));
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes);
            device_event(&bytes);
        }

        #[test]
        fn no_link_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            let bytes = Request::new(RTM_NEWLINK, 0, 1).raw(&body).finish();
            decode(&bytes);
        }
    }
}
