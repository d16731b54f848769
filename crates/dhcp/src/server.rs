//! The DHCP server's machine: one request in, at most one reply out.
//!
//! Knows addresses and messages; who a client is and what it shall boot is asked of the caller's closure. Replies
//! name a rule of where to send them; sockets are the caller's.

mod config;
mod reply;

use std::net::Ipv4Addr;
use std::time::Duration;

pub use config::{Config, ConfigError, Mode, Pool, Subnet};

use crate::facts::{ClientFacts, VendorClass, specified};
use crate::lease::{Lease, LeaseState, Leases, Wish};
use crate::wire::{DecodeError, EthernetAddress, MessageType, Op, Packet, code};

/// The port that a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// 67, the DHCP server's.
    Dhcp,
    /// 4011, the PXE boot server's.
    Pxe,
}

/// What a client may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: it gets no answer, so that another server can give one.
    Ignore,
    /// An address and a boot file.
    Serve(Grant),
}

/// What an admitted client gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Its own address. It must lie in the client's subnet; if somebody else has it, the pool helps out.
    pub reserved: Option<Ipv4Addr>,
    /// Host name to give (option 12).
    pub host_name: Option<String>,
    /// Boot file.
    pub boot: BootAnswer,
}

/// The boot file part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BootAnswer {
    /// No boot file: firmware goes on with its next boot device. A proxy does not answer at all.
    #[default]
    None,
    /// A file on a TFTP server.
    File {
        /// The TFTP server.
        server: Ipv4Addr,
        /// At most 127 bytes.
        name: String,
    },
    /// A URL, for iPXE and for HTTP boot firmware.
    Url(String),
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Who asked, when the packet could be read.
    pub client: Option<ClientFacts>,
    /// What to do.
    pub verdict: Verdict,
}

/// What the caller has to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send this.
    Reply(Reply),
    /// Nothing to send: the client gave its address back.
    Released(Ipv4Addr),
    /// Nothing to send: the client found its address in use by another machine.
    Declined(Ipv4Addr),
    /// Nothing to send, for this reason.
    Ignored(Ignored),
}

/// Why a request gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Not a DHCP message that we understand.
    #[error("cannot be read")]
    Malformed(#[from] DecodeError),
    /// A server's message.
    #[error("is a server's message, not a client's")]
    NotARequest,
    /// The closure said so.
    #[error("comes from a machine that is not served here")]
    NotAdmitted,
    /// Addressed to another DHCP server.
    #[error("is addressed to another server")]
    OtherServer,
    /// The relay agent's network is not configured.
    #[error("comes from a network that is not configured here")]
    NoSubnet,
    /// Pool exhausted, or there is no pool and no reservation.
    #[error("finds no free address")]
    NoAddress,
    /// Proxy mode: nothing to boot, or not boot firmware.
    #[error("has nothing to boot")]
    NothingToBoot,
    /// A release or decline of an address that the client does not hold.
    #[error("is about an address that the client does not hold")]
    NotItsAddress,
    /// A message that means nothing in this mode or on this port.
    #[error("means nothing in this mode or on this port")]
    NotApplicable,
}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// UDP payload.
    pub bytes: Vec<u8>,
    /// Where to.
    pub destination: Destination,
    /// Which answer.
    pub kind: ReplyKind,
    /// The client's address by this reply; none in proxy mode and in a refusal.
    pub address: Option<Ipv4Addr>,
}

/// Where a reply goes (RFC 2131 section 4.1). A client without an address is answered by broadcast even if it could receive
/// unicast: that needs an entry in the kernel's neighbour table, and every client accepts a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The relay agent, port 67.
    Relay(Ipv4Addr),
    /// The client's address, port 68.
    Client(Ipv4Addr),
    /// 255.255.255.255, port 68, on the interface that the request came in by.
    Broadcast,
    /// Where the request came from, address and port (PXE's port 4011).
    Source,
}

/// The server. One per interface; relayed networks are further subnets of the same server.
#[derive(Debug)]
pub struct Server {
    config: Config,
    leases: Leases,
}

/// A request with what has been found out about it.
struct Request<'a> {
    now: Duration,
    packet: &'a Packet,
    facts: &'a ClientFacts,
}

impl Server {
    /// A server with an empty lease table; an error if the configuration contradicts itself.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config, leases: Leases::default() })
    }

    /// Leases that hold an address at `now`, in no order.
    pub fn leases(&self, now: Duration) -> impl Iterator<Item = Lease> {
        self.leases.live(now)
    }

    /// The machine that holds `address` at `now`.
    pub fn holder(&self, now: Duration, address: Ipv4Addr) -> Option<EthernetAddress> {
        self.leases(now).find(|lease| lease.address == address).map(|lease| lease.mac)
    }

    /// Takes in one UDP payload. `admit` is asked once at most, and only for messages that could be answered.
    pub fn handle(
        &mut self,
        now: Duration,
        port: Port,
        bytes: &[u8],
        admit: impl FnOnce(&ClientFacts) -> Admission,
    ) -> Outcome {
        let read = Packet::decode(bytes).and_then(|packet| Ok((ClientFacts::of(&packet)?, packet)));
        let (facts, packet) = match read {
            Ok(read) => read,
            Err(error) => return Outcome { client: None, verdict: Verdict::Ignored(error.into()) },
        };
        if packet.op != Op::Request {
            return Outcome { client: None, verdict: Verdict::Ignored(Ignored::NotARequest) };
        }
        let request = Request { now, packet: &packet, facts: &facts };
        let result = match self.config.mode {
            Mode::Full => self.full(&request, port, admit),
            Mode::Proxy => self.proxy(&request, port, admit),
        };
        Outcome { verdict: result.unwrap_or_else(Verdict::Ignored), client: Some(facts) }
    }

    fn full(
        &mut self,
        request: &Request<'_>,
        port: Port,
        admit: impl FnOnce(&ClientFacts) -> Admission,
    ) -> Result<Verdict, Ignored> {
        let facts = request.facts;
        if port == Port::Pxe {
            return Err(Ignored::NotApplicable);
        }
        match facts.message {
            MessageType::Release => return self.released(request),
            MessageType::Decline => return self.declined(request),
            MessageType::Offer | MessageType::Ack | MessageType::Nak => return Err(Ignored::NotApplicable),
            MessageType::Discover | MessageType::Request | MessageType::Inform => {}
        }
        if facts.server.is_some_and(|server| server != self.config.server) {
            // It took another server's offer: ours need not be held.
            self.leases.withdraw(request.now, facts.mac);
            return Err(Ignored::OtherServer);
        }
        let subnet = self.config.subnet_of(request.packet).ok_or(Ignored::NoSubnet)?.clone();
        let Admission::Serve(mut grant) = admit(facts) else { return Err(Ignored::NotAdmitted) };
        grant.reserved = grant.reserved.filter(|address| subnet.contains(*address));
        match facts.message {
            MessageType::Discover => self.discovered(request, &subnet, &grant),
            MessageType::Inform => Ok(Verdict::Reply(self.inform_reply(request, &subnet, &grant))),
            _ => self.requested(request, &subnet, &grant),
        }
    }

    fn released(&mut self, request: &Request<'_>) -> Result<Verdict, Ignored> {
        let address = request.packet.ciaddr;
        if self.leases.release(request.now, request.facts.mac, address) {
            Ok(Verdict::Released(address))
        } else {
            Err(Ignored::NotItsAddress)
        }
    }

    fn declined(&mut self, request: &Request<'_>) -> Result<Verdict, Ignored> {
        let address = request.facts.address.ok_or(Ignored::NotItsAddress)?;
        let until = request.now + self.config.quarantine;
        if self.leases.decline(request.now, request.facts.mac, address, until) {
            Ok(Verdict::Declined(address))
        } else {
            Err(Ignored::NotItsAddress)
        }
    }

    fn wish<'a>(request: &Request<'_>, subnet: &Subnet, grant: &Grant, taken: &'a [Ipv4Addr]) -> Wish<'a> {
        Wish {
            mac: request.facts.mac,
            pool: subnet.pool,
            reserved: grant.reserved,
            requested: request.facts.address,
            taken,
        }
    }

    fn discovered(
        &mut self,
        request: &Request<'_>,
        subnet: &Subnet,
        grant: &Grant,
    ) -> Result<Verdict, Ignored> {
        let taken = self.config.taken(subnet);
        let wish = Self::wish(request, subnet, grant, &taken);
        let address = self.leases.choose(request.now, &wish).ok_or(Ignored::NoAddress)?;
        if !self.leases.offer(request.now, request.facts.mac, address) {
            return Err(Ignored::NoAddress);
        }
        Ok(Verdict::Reply(self.lease_reply(request, subnet, grant, (ReplyKind::Offer, address))))
    }

    /// The four meanings of a REQUEST (RFC 2131 section 4.3.2): taking an offer, checking a remembered address after
    /// a reboot, renewing, rebinding. One rule serves all: a machine gets what it asks for if that may be its own,
    /// and is told no if not.
    fn requested(
        &mut self,
        request: &Request<'_>,
        subnet: &Subnet,
        grant: &Grant,
    ) -> Result<Verdict, Ignored> {
        let address = request.facts.address.ok_or(Ignored::NotApplicable)?;
        let taken = self.config.taken(subnet);
        let wish = Self::wish(request, subnet, grant, &taken);
        // A machine with a reservation moves to it as soon as that is free, whatever it had before.
        let moved = grant.reserved.is_some_and(|reserved| reserved != address)
            && self.leases.choose(request.now, &wish) == grant.reserved;
        if moved || !self.leases.allows(request.now, address, &wish) {
            return Ok(Verdict::Reply(self.refusal(request)));
        }
        let lease = Lease {
            mac: request.facts.mac,
            address,
            expires: request.now + self.config.lease_time,
            state: LeaseState::Bound,
        };
        if !self.leases.bind(request.now, lease) {
            return Ok(Verdict::Reply(self.refusal(request)));
        }
        Ok(Verdict::Reply(self.lease_reply(request, subnet, grant, (ReplyKind::Ack, address))))
    }

    fn proxy(
        &self,
        request: &Request<'_>,
        port: Port,
        admit: impl FnOnce(&ClientFacts) -> Admission,
    ) -> Result<Verdict, Ignored> {
        let facts = request.facts;
        if !facts.boots() {
            return Err(Ignored::NothingToBoot);
        }
        let kind = match (port, facts.message) {
            (Port::Dhcp, MessageType::Discover) => ReplyKind::Offer,
            // A REQUEST on port 67 is the client and its DHCP server talking; one on 4011 is for the boot server.
            (Port::Pxe, MessageType::Request) | (_, MessageType::Inform) => ReplyKind::Ack,
            _ => return Err(Ignored::NotApplicable),
        };
        if port == Port::Dhcp && facts.server.is_some_and(|server| server != self.config.server) {
            return Err(Ignored::OtherServer);
        }
        let Admission::Serve(grant) = admit(facts) else { return Err(Ignored::NotAdmitted) };
        if grant.boot == BootAnswer::None {
            return Err(Ignored::NothingToBoot);
        }
        Ok(Verdict::Reply(self.proxy_reply(request, port, kind, &grant)))
    }

    /// The lease of a machine, expired or not: for tests and for the operator's view.
    pub fn lease_of(&self, mac: EthernetAddress) -> Option<Lease> {
        self.leases.of(mac).copied()
    }
}

/// Where RFC 2131 section 4.1 sends an answer other than a refusal.
fn destination(packet: &Packet) -> Destination {
    if let Some(relay) = specified(packet.giaddr) {
        Destination::Relay(relay)
    } else if let Some(client) = specified(packet.ciaddr) {
        Destination::Client(client)
    } else {
        Destination::Broadcast
    }
}

/// The vendor class that a reply must carry for the firmware to take it as a boot offer.
const fn class_text(class: VendorClass) -> Option<&'static str> {
    match class {
        VendorClass::Pxe => Some("PXEClient"),
        VendorClass::Http => Some("HTTPClient"),
        VendorClass::Other => None,
    }
}

/// The largest reply for this client: what it allows (option 57), or the 576 bytes that every host takes.
fn size_limit(packet: &Packet) -> usize {
    const IP_AND_UDP_HEADERS: usize = 28;
    let allowed = packet.options.u16(code::MAX_SIZE).unwrap_or(576).clamp(576, 1500);
    usize::from(allowed) - IP_AND_UDP_HEADERS
}
