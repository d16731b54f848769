//! From a client's first packet to the terms of a transfer.

use std::time::Duration;

use crate::wire::{DecodeError, ErrorCode, Packet};
use crate::{FileName, InvalidName};

/// The most that a server grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Block size in bytes: 512 to 65464. More than the network's MTU less 32 makes fragments, which boot ROMs cannot join.
    pub block_size: u16,
    /// Blocks sent before an acknowledgement is waited for: 1 to 64.
    pub window_size: u16,
}

impl Default for Limits {
    /// Ethernet's MTU of 1500 less IP, UDP and TFTP headers; 16 blocks, about 24 kB in flight.
    fn default() -> Self {
        Self { block_size: 1468, window_size: 16 }
    }
}

/// A request to read, in checked terms. Options that are malformed or unknown are as if not there (RFC 2347).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// Which file.
    pub name: FileName,
    /// Block size asked for: 8 to 65464.
    pub block_size: Option<u16>,
    /// Window asked for: 1 to 65535.
    pub window_size: Option<u16>,
    /// Retransmission timeout asked for: 1 to 255 s.
    pub timeout: Option<u8>,
    /// The client wants to know the file's size.
    pub wants_size: bool,
}

/// Why a first packet starts no transfer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not to be answered: an error packet, or no TFTP at all.
    #[error("no answer is due")]
    Silent(#[from] DecodeError),
    /// An ERROR of a client that has no transfer.
    #[error("a stray error packet")]
    StrayError,
    /// A write request.
    #[error("this server is read-only")]
    Write,
    /// An acknowledgement or data without a transfer.
    #[error("there is no such transfer")]
    NoTransfer,
    /// `netascii` or `mail`.
    #[error("only mode octet is served, not {0}")]
    Mode(String),
    /// A name outside of what can be served.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl Refusal {
    /// The ERROR packet to send back, if any.
    pub fn answer(&self) -> Option<Vec<u8>> {
        let code = match self {
            Self::Silent(_) | Self::StrayError => return None,
            Self::Write | Self::Name(_) => ErrorCode::Access,
            Self::NoTransfer => ErrorCode::UnknownTransfer,
            Self::Mode(_) => ErrorCode::IllegalOperation,
        };
        Some(Packet::Error { code, text: self.to_string() }.encode())
    }
}

impl ReadRequest {
    /// Reads the first packet of a client.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let request = match Packet::decode(bytes)? {
            Packet::Read(request) => request,
            Packet::Write(_) => return Err(Refusal::Write),
            Packet::Error { .. } => return Err(Refusal::StrayError),
            Packet::Data { .. } | Packet::Ack { .. } | Packet::OptionAck(_) => {
                return Err(Refusal::NoTransfer);
            }
        };
        if request.mode != "octet" {
            return Err(Refusal::Mode(request.mode));
        }
        let value = |name: &str| {
            request.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
        };
        let number = |name: &str, least: u16, most: u16| {
            value(name)?.parse().ok().filter(|number| (least..=most).contains(number))
        };
        Ok(Self {
            name: FileName::new(&request.name)?,
            block_size: number("blksize", 8, 65_464),
            window_size: number("windowsize", 1, u16::MAX),
            timeout: number("timeout", 1, 255).and_then(|seconds| seconds.try_into().ok()),
            wants_size: value("tsize").is_some(),
        })
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(|seconds| Duration::from_secs(seconds.into()))
    }
}
