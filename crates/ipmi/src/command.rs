//! Typed commands: every request and response as a value with its encoding, used by both ends. What a command means is
//! documented on its type; the specification's section is named there.

pub mod app;
pub mod boot;
pub mod chassis;

use crate::completion::CompletionCode;
use crate::error::{CommandError, DecodeError};
use crate::wire::Reader;
use crate::wire::message::NetFn;

/// A command's request, and how to read and write it and its response. Where there should be no data, data is ignored:
/// some tools and BMCs add bytes.
pub trait Command: Sized {
    /// The family.
    const NET_FN: NetFn;
    /// The command's number in the family.
    const CODE: u8;
    /// The command's name in the specification.
    const NAME: &'static str;
    /// Whether doing it twice is the same as doing it once, so that it may be sent again when it is not known whether the
    /// first one was carried out.
    const REPEATABLE: bool = true;
    /// What a successful response carries.
    type Response;

    /// The request's data.
    fn encode(&self) -> Vec<u8>;
    /// Reads the request's data.
    fn decode(data: &[u8]) -> Result<Self, DecodeError>;
    /// The response's data, without the completion code.
    fn encode_response(response: &Self::Response) -> Vec<u8>;
    /// Reads the response's data, without the completion code.
    fn decode_response(data: &[u8]) -> Result<Self::Response, DecodeError>;

    /// The request without its type.
    fn to_raw(&self) -> RawRequest {
        RawRequest { net_fn: Self::NET_FN, command: Self::CODE, data: self.encode() }
    }

    /// Gives a raw response its type.
    fn from_raw(response: &RawResponse) -> Result<Self::Response, CommandError> {
        if response.completion != CompletionCode::Ok {
            return Err(CommandError::Completion { command: Self::NAME, code: response.completion });
        }
        Self::decode_response(&response.data)
            .map_err(|source| CommandError::Malformed { command: Self::NAME, source })
    }
}

/// Any command as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The family.
    pub net_fn: NetFn,
    /// The command's number.
    pub command: u8,
    /// The request's data, at most [`MAX_DATA`](crate::wire::message::MAX_DATA) bytes.
    pub data: Vec<u8>,
}

/// Any response as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// How it ended.
    pub completion: CompletionCode,
    /// The response's data.
    pub data: Vec<u8>,
}

/// A GUID as the 16 bytes on the wire. The specification's byte order is the reverse of the text (IPMI section 20.8),
/// most BMCs send the order of SMBIOS, some that of RFC 4122.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    pub(crate) fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        Reader::new("GUID", data).array().map(Self)
    }

    /// The wire bytes, in the order of SMBIOS, of a UUID given in its canonical order (first three fields swapped).
    pub const fn from_uuid(uuid: [u8; 16]) -> Self {
        Self(swap_fields(uuid))
    }

    /// The UUID in canonical order, guessing the BMC's byte order as `ipmitool` does: the first reading among SMBIOS,
    /// IPMI, RFC 4122 that has a version (1-5) and variant of RFC 4122, else SMBIOS.
    pub fn to_uuid(self) -> [u8; 16] {
        let mut reversed = self.0;
        reversed.reverse();
        let readings = [swap_fields(self.0), reversed, self.0];
        let plausible = |uuid: &&[u8; 16]| (1..=5).contains(&(uuid[6] >> 4)) && uuid[8] >> 6 == 0b10;
        *readings.iter().find(plausible).unwrap_or(&readings[0])
    }
}

const fn swap_fields(u: [u8; 16]) -> [u8; 16] {
    [u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_read_in_any_of_the_three_orders() {
        let uuid: [u8; 16] =
            [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        let smbios = Guid::from_uuid(uuid);
        assert_eq!(smbios.0[..8], [0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xef, 0x4d]);
        assert_eq!(smbios.to_uuid(), uuid);
        let mut reversed = uuid;
        reversed.reverse();
        assert_eq!(Guid(reversed).to_uuid(), uuid);
        assert_eq!(Guid(uuid).to_uuid(), uuid);
    }
}
