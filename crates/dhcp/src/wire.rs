//! The DHCP message (RFC 2131 section 2) and its options (RFC 2132, RFC 3396 long options, option 52 overload).
//!
//! Decoding is strict about lengths and lenient about content: an option's value is bytes until somebody asks for it
//! in a form. Knows nothing of servers or clients.

pub mod code;
mod options;
pub(crate) mod pxe;

use std::fmt;
use std::net::Ipv4Addr;

pub use options::Options;

/// The fixed part of a message: header fields and the magic cookie.
const HEADER: usize = 240;
/// The longest message taken in, in bytes: more than any Ethernet frame holds, so only fragments reach it.
pub const MAX_MESSAGE: usize = 4096;
/// The shortest message sent: BOOTP's 300 bytes. Old relay agents and boot ROMs drop anything shorter.
const MIN_MESSAGE: usize = 300;
const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// An Ethernet hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EthernetAddress([u8; 6]);

impl EthernetAddress {
    /// The six bytes in the order of transmission.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl From<[u8; 6]> for EthernetAddress {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for EthernetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for EthernetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who sent a message (field `op`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// From a client.
    Request,
    /// From a server.
    Reply,
}

/// DHCP message types (option 53) that this crate acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// Client looks for servers.
    Discover = 1,
    /// Server offers an address.
    Offer = 2,
    /// Client takes an offer, checks or extends its address.
    Request = 3,
    /// Client found the address in use.
    Decline = 4,
    /// Server grants.
    Ack = 5,
    /// Server refuses.
    Nak = 6,
    /// Client gives its address back.
    Release = 7,
    /// Client has an address and wants the rest.
    Inform = 8,
}

impl MessageType {
    /// The type with this number; none for the lease query family (10 and up) and other numbers.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }
}

/// Why bytes are not a DHCP message that we can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than header and magic cookie, or longer than [`MAX_MESSAGE`].
    #[error("a DHCP message of {0} bytes")]
    Length(usize),
    /// Neither a request nor a reply.
    #[error("field op is {0}, not 1 or 2")]
    Op(u8),
    /// Only Ethernet (type 1, 6 bytes) is served.
    #[error("hardware type {kind} with addresses of {length} bytes is not Ethernet")]
    Hardware {
        /// Field `htype`.
        kind: u8,
        /// Field `hlen`.
        length: u8,
    },
    /// BOOTP without options, or no DHCP at all.
    #[error("the magic cookie is missing")]
    Magic,
    /// An option's length reaches past the end of its field.
    #[error("option {0} is cut off")]
    TruncatedOption(u8),
    /// Option 53 is missing or has a value outside of 1 to 8.
    #[error("no DHCP message type that is known here")]
    MessageType,
}

/// One DHCP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// From a client or from a server.
    pub op: Op,
    /// Relay agents passed so far.
    pub hops: u8,
    /// Ties replies to requests.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// The client cannot receive unicast yet (flag bit 15).
    pub broadcast: bool,
    /// The address that the client has and answers ARP for.
    pub ciaddr: Ipv4Addr,
    /// The address that the server gives.
    pub yiaddr: Ipv4Addr,
    /// The next server of the boot, for the file of field `file`.
    pub siaddr: Ipv4Addr,
    /// The relay agent.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address.
    pub chaddr: EthernetAddress,
    /// Boot file name: at most 127 bytes, no NUL inside. Empty when the field held options (overload).
    pub file: Vec<u8>,
    /// Everything after the magic cookie, plus overloaded fields.
    pub options: Options,
}

impl Packet {
    /// An empty message of a client, all addresses zero.
    pub fn request(xid: u32, chaddr: EthernetAddress) -> Self {
        Self {
            op: Op::Request,
            hops: 0,
            xid,
            secs: 0,
            broadcast: false,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            file: Vec::new(),
            options: Options::default(),
        }
    }

    /// A server's message to the sender of `self`: the fields that RFC 2131 table 3 copies are copied.
    #[must_use]
    pub fn reply(&self, message: MessageType) -> Self {
        let mut reply = Self::request(self.xid, self.chaddr);
        reply.op = Op::Reply;
        reply.broadcast = self.broadcast;
        reply.giaddr = self.giaddr;
        reply.options.set(code::MESSAGE_TYPE, [message as u8]);
        reply
    }

    /// Option 53.
    pub fn message_type(&self) -> Option<MessageType> {
        MessageType::from_code(self.options.u8(code::MESSAGE_TYPE)?)
    }

    /// Reads one UDP payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(DecodeError::Length(bytes.len()));
        }
        let Some((header, tail)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(DecodeError::Length(bytes.len()));
        };
        let op = match header[0] {
            1 => Op::Request,
            2 => Op::Reply,
            other => return Err(DecodeError::Op(other)),
        };
        if (header[1], header[2]) != (1, 6) {
            return Err(DecodeError::Hardware { kind: header[1], length: header[2] });
        }
        if header[236..] != MAGIC {
            return Err(DecodeError::Magic);
        }
        let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        let (sname, file) = (&header[44..108], &header[108..236]);

        let mut options = Options::default();
        options.read(tail)?;
        // RFC 2131 section 4.1: `file` is read before `sname`; options found in them continue those before.
        let overload = options.u8(code::OVERLOAD).unwrap_or(0);
        if overload & 1 != 0 {
            options.read(file)?;
        }
        if overload & 2 != 0 {
            options.read(sname)?;
        }
        options.remove(code::OVERLOAD);
        Ok(Self {
            op,
            hops: header[3],
            xid: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            secs: u16::from_be_bytes([header[8], header[9]]),
            broadcast: header[10] & 0x80 != 0,
            ciaddr: address(12),
            yiaddr: address(16),
            siaddr: address(20),
            giaddr: address(24),
            chaddr: EthernetAddress([header[28], header[29], header[30], header[31], header[32], header[33]]),
            file: if overload & 1 == 0 { up_to_nul(file).to_vec() } else { Vec::new() },
            options,
        })
    }

    /// The message as a UDP payload of at least 300 bytes. A `file` of more than 127 bytes is left out of the header.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0_u8; HEADER];
        out[0] = match self.op {
            Op::Request => 1,
            Op::Reply => 2,
        };
        out[1] = 1;
        out[2] = 6;
        out[3] = self.hops;
        out[4..8].copy_from_slice(&self.xid.to_be_bytes());
        out[8..10].copy_from_slice(&self.secs.to_be_bytes());
        out[10] = if self.broadcast { 0x80 } else { 0 };
        for (at, address) in [(12, self.ciaddr), (16, self.yiaddr), (20, self.siaddr), (24, self.giaddr)] {
            out[at..at + 4].copy_from_slice(&address.octets());
        }
        out[28..34].copy_from_slice(&self.chaddr.0);
        if self.file.len() < 128 {
            out[108..108 + self.file.len()].copy_from_slice(&self.file);
        }
        out[236..240].copy_from_slice(&MAGIC);
        self.options.write(&mut out);
        if out.len() < MIN_MESSAGE {
            out.resize(MIN_MESSAGE, 0);
        }
        out
    }
}

fn up_to_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}
