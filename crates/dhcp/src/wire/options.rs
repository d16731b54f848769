//! The list of options of a message: code to bytes, with the few value shapes that options have.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{DecodeError, code};

/// Options of one message. A code that appears several times holds its values one after the other (RFC 3396).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// Whether the option is there, be it empty.
    pub fn has(&self, code: u8) -> bool {
        self.0.contains_key(&code)
    }

    /// The option's raw value.
    pub fn bytes(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// A one-byte value; none if the length differs.
    pub fn u8(&self, code: u8) -> Option<u8> {
        self.bytes(code)?.try_into().ok().map(u8::from_be_bytes)
    }

    /// A two-byte value; none if the length differs.
    pub fn u16(&self, code: u8) -> Option<u16> {
        self.bytes(code)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A four-byte value; none if the length differs.
    pub fn u32(&self, code: u8) -> Option<u32> {
        self.bytes(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// One address; none if the length differs.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.u32(code).map(Ipv4Addr::from_bits)
    }

    /// A list of addresses; a trailing part of one is dropped.
    pub fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let chunks = self.bytes(code).unwrap_or_default().chunks_exact(4);
        chunks.map(|octets| Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])).collect()
    }

    /// A text for people: NULs at the end are cut, what is not printable ASCII becomes `?`.
    pub fn text(&self, code: u8) -> Option<String> {
        let bytes = self.bytes(code)?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let printable = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '?' };
        Some(bytes[..end].iter().map(printable).collect())
    }

    /// Sets or replaces a value.
    pub fn set(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        self.0.insert(code, value.into());
    }

    /// Sets a list of addresses; an empty list removes the option, which must not be empty on the wire.
    pub fn set_addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        if addresses.is_empty() {
            self.remove(code);
        } else {
            self.set(code, addresses.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
        }
    }

    /// Takes an option out.
    pub fn remove(&mut self, code: u8) {
        self.0.remove(&code);
    }

    /// Codes in ascending order.
    pub fn codes(&self) -> impl Iterator<Item = u8> {
        self.0.keys().copied()
    }

    /// Appends one field's options. A missing end mark is accepted: some boot ROMs leave it out.
    pub(super) fn read(&mut self, mut field: &[u8]) -> Result<(), DecodeError> {
        while let Some((&code, rest)) = field.split_first() {
            match code {
                0 => field = rest,
                code::END => break,
                _ => {
                    let (&length, rest) = rest.split_first().ok_or(DecodeError::TruncatedOption(code))?;
                    let (value, rest) = rest
                        .split_at_checked(usize::from(length))
                        .ok_or(DecodeError::TruncatedOption(code))?;
                    self.0.entry(code).or_default().extend_from_slice(value);
                    field = rest;
                }
            }
        }
        Ok(())
    }

    /// Writes all options and the end mark: message type and server first, as old boot ROMs expect, relay
    /// information last, as RFC 3046 section 2.1 asks.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let first = [code::MESSAGE_TYPE, code::SERVER_ID];
        let last = [code::RELAY_AGENT];
        let middle = self.codes().filter(|code| !first.contains(code) && !last.contains(code));
        for code in first.into_iter().chain(middle).chain(last) {
            let Some(value) = self.bytes(code) else { continue };
            if value.is_empty() {
                out.extend([code, 0]);
            }
            for part in value.chunks(255) {
                out.push(code);
                out.extend(u8::try_from(part.len()));
                out.extend_from_slice(part);
            }
        }
        out.push(code::END);
    }
}
