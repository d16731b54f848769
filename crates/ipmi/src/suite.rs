//! Cipher suites: the three algorithms that a session uses together (IPMI table 22-20).
//!
//! Only suites that authenticate, protect and encrypt are taken. Suites 0-2, 15 and 16 leave something out (suite 0 lets
//! anyone in without a password) and MD5 suites are broken, so neither end of this crate ever agrees to them.

use core::fmt;

/// A cipher suite that this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CipherSuite {
    /// Suite 3: RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128. Every IPMI 2.0 BMC must have it.
    Sha1,
    /// Suite 17: RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128. Preferred.
    Sha256,
}

/// Why a cipher suite number is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// The suite leaves authentication, integrity or encryption out.
    #[error("cipher suite {id} is insecure ({lacks}): use 17 or 3")]
    Insecure {
        /// The suite's number.
        id: u8,
        /// What it lacks.
        lacks: &'static str,
    },
    /// The suite is not implemented.
    #[error("cipher suite {id} is not supported: use 17 or 3")]
    Unsupported {
        /// The suite's number.
        id: u8,
    },
}

impl CipherSuite {
    /// Those that are proposed, best first.
    pub const PREFERENCE: [Self; 2] = [Self::Sha256, Self::Sha1];

    /// The suite's number (IPMI table 22-20).
    pub const fn id(self) -> u8 {
        match self {
            Self::Sha1 => 3,
            Self::Sha256 => 17,
        }
    }

    /// The three algorithms of the suite.
    pub const fn algorithms(self) -> Algorithms {
        match self {
            Self::Sha1 => Algorithms { authentication: 1, integrity: 1, confidentiality: 1 },
            Self::Sha256 => Algorithms { authentication: 3, integrity: 4, confidentiality: 1 },
        }
    }

    /// The suite with exactly these algorithms, if it is one of ours.
    pub fn from_algorithms(algorithms: Algorithms) -> Option<Self> {
        Self::PREFERENCE.into_iter().find(|suite| suite.algorithms() == algorithms)
    }

    /// The length of a full digest in bytes: RAKP authentication codes and keys.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The length of the cut digest on every packet of the session, in bytes; also of RAKP message 4's check value.
    pub const fn check_len(self) -> usize {
        match self {
            Self::Sha1 => 12,
            Self::Sha256 => 16,
        }
    }
}

impl TryFrom<u8> for CipherSuite {
    type Error = SuiteError;

    fn try_from(id: u8) -> Result<Self, SuiteError> {
        let lacks = match id {
            3 => return Ok(Self::Sha1),
            17 => return Ok(Self::Sha256),
            0 => "no authentication, no integrity, no encryption",
            1 | 6 | 15 => "no integrity, no encryption",
            2 | 7 | 11 | 16 => "no encryption",
            _ => return Err(SuiteError::Unsupported { id }),
        };
        Err(SuiteError::Insecure { id, lacks })
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cipher suite {}", self.id())
    }
}

/// Which suites a console proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CipherChoice {
    /// Ask the BMC and take the best that both have; propose 17 and then 3 when it does not say.
    #[default]
    Negotiate,
    /// Propose this one and no other.
    Only(CipherSuite),
}

/// Algorithm numbers as they are on the wire (IPMI tables 13-17, 13-18, 13-19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithms {
    /// 0 none, 1 RAKP-HMAC-SHA1, 2 RAKP-HMAC-MD5, 3 RAKP-HMAC-SHA256.
    pub authentication: u8,
    /// 0 none, 1 HMAC-SHA1-96, 2 HMAC-MD5-128, 3 MD5-128, 4 HMAC-SHA256-128.
    pub integrity: u8,
    /// 0 none, 1 AES-CBC-128, 2 xRC4-128, 3 xRC4-40.
    pub confidentiality: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_suites_are_refused_with_the_reason() {
        for id in [0, 1, 2, 6, 7, 11, 15, 16] {
            let error = CipherSuite::try_from(id).unwrap_err();
            assert!(matches!(error, SuiteError::Insecure { .. }), "{id}");
        }
        assert_eq!(
            CipherSuite::try_from(0).unwrap_err().to_string(),
            "cipher suite 0 is insecure (no authentication, no integrity, no encryption): use 17 or 3"
        );
        assert_eq!(CipherSuite::try_from(8), Err(SuiteError::Unsupported { id: 8 }));
    }

    #[test]
    fn numbers_and_algorithms_agree() {
        for suite in CipherSuite::PREFERENCE {
            assert_eq!(CipherSuite::try_from(suite.id()), Ok(suite));
            assert_eq!(CipherSuite::from_algorithms(suite.algorithms()), Some(suite));
        }
        let none = Algorithms { authentication: 0, integrity: 0, confidentiality: 0 };
        assert_eq!(CipherSuite::from_algorithms(none), None);
    }
}
