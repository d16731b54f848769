//! A DHCP client's machine (RFC 2131 section 4.4) for one interface: discover, request, renew, rebind.
//!
//! The caller owns the socket and the clock: it sends what [`Client::poll_transmit`] gives, feeds [`Client::handle`]
//! with what arrives on port 68, and calls [`Client::handle_timeout`] when [`Client::poll_timeout`] has come. The client
//! never gives up; a caller that wants to stops asking. Answers are asked for by broadcast, so that a socket works
//! before the interface has an address.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::facts::specified;
use crate::wire::{EthernetAddress, MessageType, Op, Packet, code};

/// First wait for an answer; doubled each time up to [`LONGEST_WAIT`]. Shorter than RFC 2131's 4 s: links of a machine that
/// just booted come up in the first seconds, and then every second counts.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(16);
/// REQUESTs without an answer before it looks for servers anew.
const REQUEST_TRIES: u32 = 4;
/// Shortest wait between two renewals (RFC 2131 section 4.4.5).
const RENEW_WAIT: Duration = Duration::from_mins(1);

/// Who the client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The interface's hardware address.
    pub mac: EthernetAddress,
    /// Vendor class to send (option 60): servers can tell a ramdisk by it.
    pub vendor_class: Option<String>,
    /// Host name to send (option 12).
    pub host_name: Option<String>,
}

/// What a server granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The interface's address.
    pub address: Ipv4Addr,
    /// Its prefix length; by the address's class when the server does not say.
    pub prefix: u8,
    /// Default router.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers, best first.
    pub dns: Vec<Ipv4Addr>,
    /// DNS domain.
    pub domain: Option<String>,
    /// Host name.
    pub host_name: Option<String>,
    /// Interface MTU, 576 or more.
    pub mtu: Option<u16>,
    /// The DHCP server.
    pub server: Ipv4Addr,
    /// How long the address may be used.
    pub lifetime: Duration,
}

/// What the caller has to do to the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// Configure the interface: a first grant, or one that differs from the last.
    Bound(Grant),
    /// The same grant was extended.
    Renewed,
    /// Take the address off: the lease ran out or the server withdrew it.
    Lost,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// UDP payload, from port 68 to port 67.
    pub bytes: Vec<u8>,
    /// The server; none: 255.255.255.255 on the interface.
    pub server: Option<Ipv4Addr>,
}

#[derive(Debug, Clone)]
enum State {
    Selecting,
    Requesting(Offer),
    Bound(Held),
    Renewing(Held),
    Rebinding(Held),
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    address: Ipv4Addr,
    server: Ipv4Addr,
}

#[derive(Debug, Clone)]
struct Held {
    grant: Grant,
    renew_at: Duration,
    rebind_at: Duration,
    expires_at: Duration,
}

/// The machine. Times are the caller's: any origin, the same in every call.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    random: u64,
    state: State,
    xid: u32,
    started: Duration,
    tries: u32,
    wake: Duration,
    sent: Duration,
    out: Option<Transmit>,
}

impl Client {
    /// Starts looking for servers at once. `seed` spreads transaction ids and waits: any random number.
    pub fn new(now: Duration, config: ClientConfig, seed: u64) -> Self {
        let mixed = config.mac.octets().iter().fold(seed, |mix, byte| mix.rotate_left(8) ^ u64::from(*byte));
        let mut client = Self {
            config,
            random: mixed | 1,
            state: State::Selecting,
            xid: 0,
            started: now,
            tries: 0,
            wake: now,
            sent: now,
            out: None,
        };
        client.restart(now, Duration::ZERO);
        client
    }

    /// The next message to send, if there is one.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.take()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub const fn poll_timeout(&self) -> Duration {
        self.wake
    }

    /// The grant in force.
    pub const fn grant(&self) -> Option<&Grant> {
        match &self.state {
            State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => Some(&held.grant),
            State::Selecting | State::Requesting(_) => None,
        }
    }

    /// A deadline has come: sends again, renews, or gives the lease up.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<ClientEvent> {
        if now < self.wake {
            return None;
        }
        match self.state.clone() {
            State::Selecting => self.discover(now),
            State::Requesting(_) if self.tries >= REQUEST_TRIES => self.restart(now, Duration::ZERO),
            State::Requesting(offer) => self.request_offer(now, offer),
            State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => {
                if now >= held.expires_at {
                    self.restart(now, Duration::ZERO);
                    return Some(ClientEvent::Lost);
                }
                self.renew(now, held);
            }
        }
        None
    }

    /// Takes in one UDP payload. What is not an answer to this client is dropped without a word.
    pub fn handle(&mut self, now: Duration, bytes: &[u8]) -> Option<ClientEvent> {
        let packet = Packet::decode(bytes).ok()?;
        if packet.op != Op::Reply || packet.xid != self.xid || packet.chaddr != self.config.mac {
            return None;
        }
        let server = packet.options.address(code::SERVER_ID).and_then(specified)?;
        match (packet.message_type()?, self.state.clone()) {
            (MessageType::Offer, State::Selecting) => {
                // A proxy's offer has no address.
                let address = specified(packet.yiaddr)?;
                self.tries = 0;
                self.request_offer(now, Offer { address, server });
                None
            }
            (MessageType::Ack, State::Requesting(offer)) if offer.server == server => {
                self.bind(now, &packet, server)
            }
            (MessageType::Ack, State::Renewing(_) | State::Rebinding(_)) => self.bind(now, &packet, server),
            (MessageType::Nak, State::Requesting(offer)) if offer.server == server => {
                self.restart(now, FIRST_WAIT);
                None
            }
            (MessageType::Nak, State::Renewing(_) | State::Rebinding(_)) => {
                self.restart(now, FIRST_WAIT);
                Some(ClientEvent::Lost)
            }
            _ => None,
        }
    }

    /// Gives the address back: the message to send before the interface goes down.
    pub fn release(&mut self, now: Duration) -> Option<Transmit> {
        let grant = self.grant()?.clone();
        let mut packet = self.message(MessageType::Release, now);
        packet.broadcast = false;
        packet.ciaddr = grant.address;
        packet.options.set(code::SERVER_ID, grant.server.octets());
        packet.options.remove(code::PARAMETER_LIST);
        self.restart(now, LONGEST_WAIT);
        Some(Transmit { bytes: packet.encode(), server: Some(grant.server) })
    }

    fn restart(&mut self, now: Duration, delay: Duration) {
        self.state = State::Selecting;
        self.xid = (self.next_random() >> 32) as u32;
        self.started = now;
        self.tries = 0;
        self.out = None;
        self.wake = now + delay;
        if delay.is_zero() {
            self.discover(now);
        }
    }

    fn discover(&mut self, now: Duration) {
        let packet = self.message(MessageType::Discover, now);
        self.send(now, &packet, None);
    }

    fn request_offer(&mut self, now: Duration, offer: Offer) {
        self.state = State::Requesting(offer);
        let mut packet = self.message(MessageType::Request, now);
        packet.options.set(code::SERVER_ID, offer.server.octets());
        packet.options.set(code::REQUESTED_ADDRESS, offer.address.octets());
        self.send(now, &packet, None);
    }

    fn renew(&mut self, now: Duration, held: Held) {
        if matches!(self.state, State::Bound(_)) {
            self.xid = (self.next_random() >> 32) as u32;
            self.started = now;
        }
        let rebinding = now >= held.rebind_at;
        let mut packet = self.message(MessageType::Request, now);
        packet.broadcast = false;
        packet.ciaddr = held.grant.address;
        let (server, until) =
            if rebinding { (None, held.expires_at) } else { (Some(held.grant.server), held.rebind_at) };
        self.state = if rebinding { State::Rebinding(held) } else { State::Renewing(held) };
        self.out = Some(Transmit { bytes: packet.encode(), server });
        self.sent = now;
        // Half of what is left, but no more often than once a minute, and never past the next change of state.
        self.wake = (now + (until.saturating_sub(now) / 2).max(RENEW_WAIT)).min(until);
    }

    fn bind(&mut self, now: Duration, packet: &Packet, server: Ipv4Addr) -> Option<ClientEvent> {
        let grant = read_grant(packet, server)?;
        let from = self.sent;
        let seconds = |code| packet.options.u32(code).map(|value| Duration::from_secs(value.into()));
        let rebind = seconds(code::REBINDING)
            .filter(|time| *time < grant.lifetime)
            .unwrap_or(grant.lifetime.mul_f64(0.875));
        let renew = seconds(code::RENEWAL).filter(|time| *time < rebind).unwrap_or(rebind.mul_f64(0.571));
        let held = Held {
            renew_at: from.saturating_add(renew),
            rebind_at: from.saturating_add(rebind),
            expires_at: from.saturating_add(grant.lifetime),
            grant: grant.clone(),
        };
        let same = self.grant().is_some_and(|old| *old == grant);
        self.wake = held.renew_at.max(now);
        self.state = State::Bound(held);
        self.tries = 0;
        self.out = None;
        Some(if same { ClientEvent::Renewed } else { ClientEvent::Bound(grant) })
    }

    fn message(&self, message: MessageType, now: Duration) -> Packet {
        let mut packet = Packet::request(self.xid, self.config.mac);
        packet.broadcast = true;
        packet.secs = u16::try_from(now.saturating_sub(self.started).as_secs()).unwrap_or(u16::MAX);
        let options = &mut packet.options;
        options.set(code::MESSAGE_TYPE, [message as u8]);
        let mut id = vec![1_u8];
        id.extend(self.config.mac.octets());
        options.set(code::CLIENT_ID, id);
        options.set(code::MAX_SIZE, 1500_u16.to_be_bytes());
        for (code, text) in
            [(code::VENDOR_CLASS, &self.config.vendor_class), (code::HOST_NAME, &self.config.host_name)]
        {
            if let Some(text) = text {
                options.set(code, text.as_bytes());
            }
        }
        options.set(
            code::PARAMETER_LIST,
            [code::SUBNET_MASK, code::ROUTER, code::DNS, code::HOST_NAME, code::DOMAIN_NAME, code::MTU],
        );
        packet
    }

    fn send(&mut self, now: Duration, packet: &Packet, server: Option<Ipv4Addr>) {
        self.out = Some(Transmit { bytes: packet.encode(), server });
        self.sent = now;
        let wait = FIRST_WAIT.saturating_mul(1 << self.tries.min(8)).min(LONGEST_WAIT);
        // Up to a quarter more or less, so that machines that were powered on together part.
        let spread = wait / 2;
        let share = u32::try_from(self.next_random() >> 56).unwrap_or(0);
        self.wake = now + wait / 4 * 3 + spread * share / 256;
        self.tries += 1;
    }

    /// xorshift64: enough to keep machines apart; nothing here is a secret.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Reads an ACK; none if it grants no usable address.
fn read_grant(packet: &Packet, server: Ipv4Addr) -> Option<Grant> {
    let options = &packet.options;
    let address = specified(packet.yiaddr)?;
    if address.is_loopback() || address.is_multicast() || address.is_broadcast() {
        return None;
    }
    let prefix = match options.address(code::SUBNET_MASK).map(Ipv4Addr::to_bits) {
        Some(mask) if mask.leading_ones() + mask.trailing_zeros() == 32 && mask != 0 => mask.leading_ones(),
        Some(_) => return None,
        None if address.octets()[0] < 128 => 8,
        None if address.octets()[0] < 192 => 16,
        None => 24,
    };
    Some(Grant {
        address,
        prefix: u8::try_from(prefix).ok()?,
        gateway: options.addresses(code::ROUTER).into_iter().find(|router| !router.is_unspecified()),
        dns: options.addresses(code::DNS),
        domain: options.text(code::DOMAIN_NAME),
        host_name: options.text(code::HOST_NAME),
        mtu: options.u16(code::MTU).filter(|mtu| *mtu >= 576),
        server,
        lifetime: Duration::from_secs(options.u32(code::LEASE_TIME)?.max(1).into()),
    })
}
