//! Session headers: IPMI v1.5 without a session (IPMI section 13.6, only to ask what a BMC can do) and RMCP+
//! (IPMI table 13-8). Sealing and opening of protected packets is `session.rs`, which has the keys.

use super::{Reader, rmcp};
use crate::error::DecodeError;

/// The auth type that marks an RMCP+ header.
const FORMAT_RMCP_PLUS: u8 = 6;
const ENCRYPTED: u8 = 0x80;
const AUTHENTICATED: u8 = 0x40;
const WHAT: &str = "IPMI session header";

/// What an RMCP+ packet carries (IPMI table 13-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadType {
    /// 0x00.
    Ipmi,
    /// 0x01: serial over LAN; carried, not interpreted.
    SerialOverLan,
    /// 0x10.
    OpenSessionRequest,
    /// 0x11.
    OpenSessionResponse,
    /// 0x12.
    Rakp1,
    /// 0x13.
    Rakp2,
    /// 0x14.
    Rakp3,
    /// 0x15.
    Rakp4,
}

const PAYLOAD_TYPES: [(u8, PayloadType); 8] = [
    (0x00, PayloadType::Ipmi),
    (0x01, PayloadType::SerialOverLan),
    (0x10, PayloadType::OpenSessionRequest),
    (0x11, PayloadType::OpenSessionResponse),
    (0x12, PayloadType::Rakp1),
    (0x13, PayloadType::Rakp2),
    (0x14, PayloadType::Rakp3),
    (0x15, PayloadType::Rakp4),
];

impl PayloadType {
    fn from_wire(value: u8) -> Result<Self, DecodeError> {
        PAYLOAD_TYPES
            .iter()
            .find(|row| row.0 == value)
            .map(|row| row.1)
            .ok_or(DecodeError::Invalid { what: "RMCP+ payload type", value: value.into() })
    }

    fn to_wire(self) -> u8 {
        PAYLOAD_TYPES.iter().find(|row| row.1 == self).map_or(0, |row| row.0)
    }
}

/// A session header with its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// IPMI v1.5, auth type "none", session 0.
    Sessionless15 {
        /// An IPMI message.
        payload: &'a [u8],
    },
    /// RMCP+, neither encrypted nor authenticated: session-less commands and the handshake.
    Plain {
        /// What the payload is.
        kind: PayloadType,
        /// The payload.
        payload: &'a [u8],
    },
    /// RMCP+ with integrity and encryption: everything inside a session.
    Sealed(SealedPacket<'a>),
}

/// A protected packet as it came, not yet verified: nothing in it can be trusted before
/// [`Session::open`](crate::session::Session::open).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPacket<'a> {
    /// What the payload is.
    pub kind: PayloadType,
    /// The receiver's session identifier.
    pub session_id: u32,
    /// The sender's sequence number.
    pub sequence: u32,
    /// Encrypted payload.
    pub(crate) payload: &'a [u8],
    /// Everything from the auth type to the end of the datagram.
    pub(crate) whole: &'a [u8],
    /// What follows the payload: pad, pad length, next header, authentication code.
    pub(crate) trailer: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Decodes what follows an RMCP header of class IPMI.
    ///
    /// An error is returned for v1.5 packets with a session or an authentication type, OEM payloads, and packets that are
    /// encrypted or authenticated but not both: no cipher suite of ours makes those.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(WHAT, bytes);
        let format = reader.u8()?;
        match format {
            0 => Self::decode_15(reader),
            FORMAT_RMCP_PLUS => Self::decode_20(bytes, reader),
            _ => Err(DecodeError::Invalid { what: "IPMI authentication type", value: format.into() }),
        }
    }

    fn decode_15(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let _sequence = reader.u32()?;
        let session_id = reader.u32()?;
        if session_id != 0 {
            return Err(DecodeError::Invalid { what: "session of IPMI 1.5", value: session_id });
        }
        let len = reader.u8()?;
        // Bytes may follow: old network chips need a padding byte for some lengths (IPMI section 13.6, legacy pad).
        Ok(Self::Sessionless15 { payload: reader.take(len.into())? })
    }

    fn decode_20(whole: &'a [u8], mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let flags = reader.u8()?;
        let kind = PayloadType::from_wire(flags & 0x3F)?;
        let session_id = reader.u32()?;
        let sequence = reader.u32()?;
        let len = reader.u16()?;
        let payload = reader.take(len.into())?;
        match (flags & ENCRYPTED != 0, flags & AUTHENTICATED != 0) {
            (false, false) if session_id == 0 => Ok(Self::Plain { kind, payload }),
            (true, true) if session_id != 0 => Ok(Self::Sealed(SealedPacket {
                kind,
                session_id,
                sequence,
                payload,
                whole,
                trailer: reader.rest(),
            })),
            _ => Err(DecodeError::Invalid { what: "RMCP+ protection flags", value: flags.into() }),
        }
    }

    /// Encodes an unprotected packet as a whole datagram; nothing for [`Packet::Sealed`], which needs keys.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = rmcp::ipmi_header();
        match self {
            Self::Sessionless15 { payload } => {
                out.extend_from_slice(&[0; 9]);
                out.push(u8::try_from(payload.len()).ok()?);
                out.extend_from_slice(payload);
            }
            Self::Plain { kind, payload } => {
                out.extend_from_slice(&header_20(kind.to_wire(), 0, 0, payload.len())?);
                out.extend_from_slice(payload);
            }
            Self::Sealed(_) => return None,
        }
        Some(out)
    }
}

/// The header of a protected packet; `None` when the payload is too long for its length field.
pub(crate) fn sealed_header(
    kind: PayloadType,
    session_id: u32,
    sequence: u32,
    len: usize,
) -> Option<[u8; 12]> {
    header_20(kind.to_wire() | ENCRYPTED | AUTHENTICATED, session_id, sequence, len)
}

fn header_20(flags: u8, session_id: u32, sequence: u32, len: usize) -> Option<[u8; 12]> {
    let mut header = [0; 12];
    header[0] = FORMAT_RMCP_PLUS;
    header[1] = flags;
    header[2..6].copy_from_slice(&session_id.to_le_bytes());
    header[6..10].copy_from_slice(&sequence.to_le_bytes());
    header[10..12].copy_from_slice(&u16::try_from(len).ok()?.to_le_bytes());
    Some(header)
}
