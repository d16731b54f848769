//! IPMI LAN messages: a request or response with its addresses and two checksums (IPMI section 13.8, figure 13-4).

use super::Reader;
use crate::completion::CompletionCode;
use crate::error::DecodeError;

/// The BMC's address on the IPMB.
pub const BMC_ADDRESS: u8 = 0x20;
/// The address of remote console software.
pub const CONSOLE_ADDRESS: u8 = 0x81;
/// The longest data of a request, in bytes.
pub const MAX_DATA: usize = 240;
const WHAT: &str = "IPMI message";

/// A network function: the family of a command (IPMI table 5-1). Requests have even numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetFn(u8);

impl NetFn {
    /// Chassis commands.
    pub const CHASSIS: Self = Self(0x00);
    /// Sensors and events.
    pub const SENSOR: Self = Self(0x04);
    /// Applications: the BMC itself and its sessions.
    pub const APP: Self = Self(0x06);
    /// Storage: SEL, SDR, FRU.
    pub const STORAGE: Self = Self(0x0A);

    /// A request's network function, 0-0x3E and even; nothing otherwise.
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 0x3E && value & 1 == 0 { Some(Self(value)) } else { None }
    }

    /// The number of the request's function.
    pub const fn value(self) -> u8 {
        self.0
    }
}

/// A request as it is inside a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Who answers: [`BMC_ADDRESS`] for the BMC.
    pub responder: u8,
    /// The answerer's LUN, 0-3.
    pub responder_lun: u8,
    /// Who asks: [`CONSOLE_ADDRESS`] for a console.
    pub requester: u8,
    /// The asker's LUN, 0-3.
    pub requester_lun: u8,
    /// Six bits that come back in the response.
    pub sequence: u8,
    /// The command's family.
    pub net_fn: NetFn,
    /// The command.
    pub command: u8,
    /// The command's data.
    pub data: &'a [u8],
}

/// A response as it is inside a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// Who asked.
    pub requester: u8,
    /// The asker's LUN.
    pub requester_lun: u8,
    /// Who answers.
    pub responder: u8,
    /// The answerer's LUN.
    pub responder_lun: u8,
    /// From the request.
    pub sequence: u8,
    /// The request's family (not the odd number on the wire).
    pub net_fn: NetFn,
    /// The command.
    pub command: u8,
    /// How it ended.
    pub completion: CompletionCode,
    /// What it gives.
    pub data: &'a [u8],
}

/// Two's complement of the sum: a correct range with its checksum adds up to zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

struct Frame<'a> {
    to: (u8, u8),
    from: (u8, u8),
    function: u8,
    sequence: u8,
    command: u8,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(WHAT, bytes);
        let [to, function, head_check] = reader.array()?;
        if head_check != checksum(&[to, function]) {
            return Err(DecodeError::Check { what: "IPMI message header" });
        }
        let rest = reader.rest();
        let Some((check, covered)) = rest.split_last() else {
            return Err(DecodeError::Truncated { what: WHAT, need: 4, have: 0 });
        };
        if *check != checksum(covered) {
            return Err(DecodeError::Check { what: "IPMI message body" });
        }
        let mut reader = Reader::new(WHAT, covered);
        let [from, sequence, command] = reader.array()?;
        Ok(Self {
            to: (to, function & 3),
            from: (from, sequence & 3),
            function: function >> 2,
            sequence: sequence >> 2,
            command,
            body: reader.rest(),
        })
    }

    fn encode(&self, completion: Option<CompletionCode>) -> Vec<u8> {
        let mut out = vec![self.to.0, self.function << 2 | self.to.1 & 3];
        out.push(checksum(&out));
        out.extend_from_slice(&[self.from.0, self.sequence << 2 | self.from.1 & 3, self.command]);
        out.extend(completion.map(CompletionCode::to_wire));
        out.extend_from_slice(self.body);
        let check = checksum(&out[3..]);
        out.push(check);
        out
    }
}

impl<'a> Request<'a> {
    /// A request from a console to the BMC, LUN 0.
    pub const fn to_bmc(net_fn: NetFn, command: u8, data: &'a [u8], sequence: u8) -> Self {
        Self {
            responder: BMC_ADDRESS,
            responder_lun: 0,
            requester: CONSOLE_ADDRESS,
            requester_lun: 0,
            sequence: sequence & 0x3F,
            net_fn,
            command,
            data,
        }
    }

    /// Decodes a payload; responses are refused.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let frame = Frame::decode(bytes)?;
        let net_fn = NetFn::new(frame.function).ok_or(DecodeError::Invalid {
            what: "network function of a request",
            value: frame.function.into(),
        })?;
        Ok(Self {
            responder: frame.to.0,
            responder_lun: frame.to.1,
            requester: frame.from.0,
            requester_lun: frame.from.1,
            sequence: frame.sequence,
            net_fn,
            command: frame.command,
            data: frame.body,
        })
    }

    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let frame = Frame {
            to: (self.responder, self.responder_lun),
            from: (self.requester, self.requester_lun),
            function: self.net_fn.0,
            sequence: self.sequence,
            command: self.command,
            body: self.data,
        };
        frame.encode(None)
    }

    /// The response to this request.
    pub const fn response<'b>(&self, completion: CompletionCode, data: &'b [u8]) -> Response<'b> {
        Response {
            requester: self.requester,
            requester_lun: self.requester_lun,
            responder: self.responder,
            responder_lun: self.responder_lun,
            sequence: self.sequence,
            net_fn: self.net_fn,
            command: self.command,
            completion,
            data,
        }
    }
}

impl<'a> Response<'a> {
    /// Decodes a payload; requests are refused.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let frame = Frame::decode(bytes)?;
        let invalid =
            DecodeError::Invalid { what: "network function of a response", value: frame.function.into() };
        let net_fn = frame.function.checked_sub(1).and_then(NetFn::new).ok_or(invalid)?;
        let Some((completion, data)) = frame.body.split_first() else {
            return Err(DecodeError::Truncated { what: "IPMI response", need: 1, have: 0 });
        };
        Ok(Self {
            requester: frame.to.0,
            requester_lun: frame.to.1,
            responder: frame.from.0,
            responder_lun: frame.from.1,
            sequence: frame.sequence,
            net_fn,
            command: frame.command,
            completion: CompletionCode::from_wire(*completion),
            data,
        })
    }

    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let frame = Frame {
            to: (self.requester, self.requester_lun),
            from: (self.responder, self.responder_lun),
            function: self.net_fn.0 + 1,
            sequence: self.sequence,
            command: self.command,
            body: self.data,
        };
        frame.encode(Some(self.completion))
    }

    /// Whether this answers `request`: same sequence number, family and command. A late answer to an earlier request
    /// differs in the sequence number.
    pub fn answers(&self, request: &Request<'_>) -> bool {
        self.sequence == request.sequence && self.net_fn == request.net_fn && self.command == request.command
    }
}
