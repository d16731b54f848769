//! The RMCP header and ASF presence ping and pong (ASF 2.0 sections 3.2.2-3.2.4, IPMI sections 13.1.3, 13.2).

use super::{MAX_DATAGRAM, Reader};
use crate::error::DecodeError;

/// Version of RMCP that ASF 2.0 speaks.
const VERSION: u8 = 6;
/// A sequence number of 255 asks for no RMCP acknowledge.
const NO_ACK: u8 = 0xFF;
const CLASS_ASF: u8 = 6;
const CLASS_IPMI: u8 = 7;
/// IANA's enterprise number of ASF.
const ASF_IANA: u32 = 4542;
const ASF_PING: u8 = 0x80;
const ASF_PONG: u8 = 0x40;
const WHAT: &str = "RMCP datagram";

/// What is behind an RMCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rmcp<'a> {
    /// "Are you there?"
    Ping {
        /// Comes back in the pong.
        tag: u8,
    },
    /// "Yes."
    Pong {
        /// From the ping.
        tag: u8,
        /// Whether the answerer speaks IPMI.
        ipmi: bool,
    },
    /// An IPMI session header and what follows: see [`packet`](super::packet).
    Ipmi(&'a [u8]),
}

impl<'a> Rmcp<'a> {
    /// Decodes a whole datagram.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(DecodeError::TooLong { what: WHAT, have: datagram.len(), limit: MAX_DATAGRAM });
        }
        let mut reader = Reader::new(WHAT, datagram);
        let [version, _reserved, _sequence, class] = reader.array()?;
        if version != VERSION {
            return Err(DecodeError::Invalid { what: "RMCP version", value: version.into() });
        }
        match class {
            CLASS_IPMI => Ok(Self::Ipmi(reader.rest())),
            CLASS_ASF => Self::decode_asf(reader),
            _ => Err(DecodeError::Invalid { what: "RMCP class", value: class.into() }),
        }
    }

    fn decode_asf(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let iana = u32::from_be_bytes(reader.array()?);
        if iana != ASF_IANA {
            return Err(DecodeError::Invalid { what: "ASF enterprise number", value: iana });
        }
        let [kind, tag, _reserved, len] = reader.array()?;
        let data = reader.take(len.into())?;
        match kind {
            ASF_PING => Ok(Self::Ping { tag }),
            ASF_PONG => match data.get(8) {
                Some(entities) => Ok(Self::Pong { tag, ipmi: entities & 0x80 != 0 }),
                None => Err(DecodeError::Truncated { what: "ASF presence pong", need: 16, have: data.len() }),
            },
            _ => Err(DecodeError::Invalid { what: "ASF message type", value: kind.into() }),
        }
    }

    /// Encodes a whole datagram.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ipmi(rest) => {
                let mut out = ipmi_header();
                out.extend_from_slice(rest);
                out
            }
            Self::Ping { tag } => asf(ASF_PING, *tag, &[]),
            Self::Pong { tag, ipmi } => {
                let mut data = [0; 16];
                data[..4].copy_from_slice(&ASF_IANA.to_be_bytes());
                data[8] = if *ipmi { 0x81 } else { 0x01 };
                asf(ASF_PONG, *tag, &data)
            }
        }
    }
}

/// The four bytes before every IPMI session header.
pub(crate) fn ipmi_header() -> Vec<u8> {
    vec![VERSION, 0, NO_ACK, CLASS_IPMI]
}

fn asf(kind: u8, tag: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![VERSION, 0, NO_ACK, CLASS_ASF];
    out.extend_from_slice(&ASF_IANA.to_be_bytes());
    out.extend_from_slice(&[kind, tag, 0, u8::try_from(data.len()).unwrap_or(0)]);
    out.extend_from_slice(data);
    out
}
