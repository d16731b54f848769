//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address; shown as lower-case hexadecimal pairs with colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr([u8; 6]);

/// The text is not six pairs of hexadecimal digits separated by colons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a MAC address: expected six pairs of hexadecimal digits with colons, like 52:54:00:12:34:56"
)]
pub struct InvalidMac(pub String);

impl MacAddr {
    /// Wraps six octets in transmission order.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets in transmission order.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The form with dashes that PXE loaders use in file names: `52-54-00-12-34-56`.
    pub fn dashed(self) -> String {
        self.to_string().replace(':', "-")
    }
}

impl MacAddr {
    /// Characters of an address.
    pub const LENGTH: usize = 17;

    /// Writes the address, in lower case and with colons, into `buffer`: lists are full of them.
    pub fn encode(self, buffer: &mut [u8; Self::LENGTH]) -> &str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (place, octet) in buffer.chunks_mut(3).zip(self.0) {
            let digits = [DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)], b':'];
            place.copy_from_slice(&digits[..place.len()]);
        }
        // Digits and colons are UTF-8.
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; Self::LENGTH]))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMac(text.chars().take(64).collect());
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut octets = [0; 6];
        if text.len() != Self::LENGTH {
            return Err(invalid());
        }
        for (octet, part) in octets.iter_mut().zip(text.as_bytes().chunks(3)) {
            // A colon follows all but the last, which the length leaves no room for.
            let ([high, low] | [high, low, b':']) = part else { return Err(invalid()) };
            *octet = (digit(high).ok_or_else(invalid)? << 4) | digit(low).ok_or_else(invalid)?;
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_any_case_and_prints_lower() {
        let mac: MacAddr = "52:54:00:AB:cd:0F".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:0f");
        assert_eq!(mac.dashed(), "52-54-00-ab-cd-0f");
        assert_eq!(mac.octets(), [0x52, 0x54, 0, 0xab, 0xcd, 0x0f]);
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:0f:01",
            "52-54-00-ab-cd-0f",
            "5:54:00:ab:cd:0f",
            "+2:54:00:ab:cd:0f",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
