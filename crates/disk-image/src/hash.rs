//! Checksums as Ironic writes them, and a reader that hashes what passes through it.
//! Does not know where a checksum comes from (a field, a URL of a list) nor whether MD5 is allowed: callers do.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::Digest as _;
use thiserror::Error;

/// A hash algorithm that Ironic's `image_os_hash_algo` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Broken as a signature; Ironic accepts it when `[agent]allow_md5_checksum` says so.
    Md5,
    /// SHA-256, FIPS 180-4.
    Sha256,
    /// SHA-512, FIPS 180-4; what Glance computes.
    Sha512,
}

impl Algorithm {
    /// Ironic's name of the algorithm.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest in hexadecimal digits.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        match text.to_ascii_lowercase().as_str() {
            "md5" => Ok(Self::Md5),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(ChecksumError::Algorithm { name: text.chars().take(32).collect() }),
        }
    }
}

/// Why a checksum was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChecksumError {
    /// The algorithm is none of those supported.
    #[error("hash algorithm {name:?} is not supported (md5, sha256, sha512 are)")]
    Algorithm {
        /// The name as given, cut to 32 characters.
        name: String,
    },
    /// The value has not the length of the algorithm's digest.
    #[error("a {algorithm} checksum has {} hexadecimal digits, not {length}", algorithm.hex_len())]
    Length {
        /// The algorithm named.
        algorithm: Algorithm,
        /// Length of the value given.
        length: usize,
    },
    /// No algorithm has a digest of this length.
    #[error("a checksum of {length} characters is of no known algorithm (md5 32, sha256 64, sha512 128)")]
    UnknownLength {
        /// Length of the value given.
        length: usize,
    },
    /// The value has characters that are not hexadecimal digits.
    #[error("the checksum is not hexadecimal")]
    NotHex,
}

/// An expected digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The digest, lower-case hexadecimal, of the algorithm's length.
    pub hex: String,
}

impl Checksum {
    /// From an algorithm's name and a value (`image_os_hash_algo`, `image_os_hash_value`).
    pub fn new(algorithm: &str, value: &str) -> Result<Self, ChecksumError> {
        let algorithm = algorithm.parse::<Algorithm>()?;
        let value = value.trim();
        if value.len() != algorithm.hex_len() {
            return Err(ChecksumError::Length { algorithm, length: value.len() });
        }
        Self::checked(algorithm, value)
    }

    /// From a bare value (`image_checksum`): the algorithm follows from its length, as in Ironic.
    pub fn by_length(value: &str) -> Result<Self, ChecksumError> {
        let value = value.trim();
        let algorithm = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.hex_len() == value.len())
            .ok_or(ChecksumError::UnknownLength { length: value.len() })?;
        Self::checked(algorithm, value)
    }

    fn checked(algorithm: Algorithm, value: &str) -> Result<Self, ChecksumError> {
        if !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ChecksumError::NotHex);
        }
        Ok(Self { algorithm, hex: value.to_ascii_lowercase() })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

/// A running hash of any of the [`Algorithm`]s.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// MD5.
    Md5(md5::Md5),
    /// SHA-256.
    Sha256(sha2::Sha256),
    /// SHA-512.
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hash of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        match self {
            Self::Md5(hash) => hash.update(data),
            Self::Sha256(hash) => hash.update(data),
            Self::Sha512(hash) => hash.update(data),
        }
    }

    /// The digest.
    pub fn finish(self) -> Checksum {
        let (algorithm, hex) = match self {
            Self::Md5(hash) => (Algorithm::Md5, to_hex(&hash.finalize())),
            Self::Sha256(hash) => (Algorithm::Sha256, to_hex(&hash.finalize())),
            Self::Sha512(hash) => (Algorithm::Sha512, to_hex(&hash.finalize())),
        };
        Checksum { algorithm, hex }
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// A reader that hashes every byte it hands out, once.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    count: u64,
}

impl<R: Read> HashingReader<R> {
    /// Hashes what is read from `inner`.
    pub fn new(inner: R, algorithm: Algorithm) -> Self {
        Self { inner, hasher: Hasher::new(algorithm), count: 0 }
    }

    /// Bytes read so far. (Not `bytes`: that is a method of [`Read`], taken first on a value.)
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The reader below, for what it alone knows (a position, a deadline).
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The digest of what was read. A caller that wants the digest of the whole source reads to its end first.
    pub fn finish(self) -> Checksum {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests_of_abc() {
        // FIPS 180-4 examples and RFC 1321 appendix A.5.
        for (algorithm, start) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Algorithm::Sha512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"),
        ] {
            let mut reader = HashingReader::new(&b"abc"[..], algorithm);
            assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 3);
            let digest = reader.finish();
            assert!(digest.hex.starts_with(start), "{digest}");
            assert_eq!(digest.hex.len(), algorithm.hex_len());
        }
    }

    #[test]
    fn checksum_by_name_and_by_length() {
        let hex = "A".repeat(64);
        let checksum = Checksum::new("SHA256", &hex).unwrap();
        assert_eq!(checksum.hex, "a".repeat(64));
        assert_eq!(Checksum::by_length(&format!(" {hex}\n")).unwrap(), checksum);
        assert_eq!(
            Checksum::new("sha512", &hex),
            Err(ChecksumError::Length { algorithm: Algorithm::Sha512, length: 64 })
        );
        assert_eq!(Checksum::by_length("ab"), Err(ChecksumError::UnknownLength { length: 2 }));
        assert_eq!(Checksum::by_length(&"g".repeat(32)), Err(ChecksumError::NotHex));
        assert!(matches!(Checksum::new("crc32", "0"), Err(ChecksumError::Algorithm { .. })));
    }
}
