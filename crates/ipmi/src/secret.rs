//! Names and secrets of a session: bounded as IPMI bounds them, never printed, wiped when dropped.

use core::fmt;
use zeroize::Zeroizing;

/// The longest password or key of IPMI 2.0, in bytes (IPMI section 22.30).
pub const MAX_SECRET: usize = 20;
/// The longest user name, in bytes (IPMI section 13.20, RAKP message 1).
pub const MAX_USERNAME: usize = 16;

/// Why a name or secret cannot be used with IPMI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// IPMI 2.0 stores at most 20 bytes of password; a longer one could only be cut silently.
    #[error("an IPMI password or key has at most {MAX_SECRET} bytes, this one has {bytes}")]
    SecretTooLong {
        /// Bytes given.
        bytes: usize,
    },
    /// IPMI 2.0 user names have at most 16 bytes.
    #[error("an IPMI user name has at most {MAX_USERNAME} bytes, this one has {bytes}")]
    UsernameTooLong {
        /// Bytes given.
        bytes: usize,
    },
}

/// A password or key of at most 20 bytes. `Debug` masks it, dropping it wipes it, comparing takes constant time.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes over the bytes of a password.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() > MAX_SECRET {
            return Err(SecretError::SecretTooLong { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The secret itself, for key derivation only.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_slice(), other.0.as_slice()).into()
    }
}

impl Eq for Password {}

/// A user name of at most 16 bytes; the empty name is IPMI's "null user".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// Checks the length.
    pub fn new(name: impl Into<String>) -> Result<Self, SecretError> {
        let name = name.into();
        if name.len() > MAX_USERNAME {
            return Err(SecretError::UsernameTooLong { bytes: name.len() });
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's bytes, at most 16.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The number of bytes as the wire carries it.
    pub(crate) fn wire_len(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(0)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_prints() {
        let secret = Password::new("hunter2hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "Password(***)");
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(Password::new(vec![b'a'; 20]).is_ok());
        assert_eq!(Password::new(vec![b'a'; 21]), Err(SecretError::SecretTooLong { bytes: 21 }));
        assert!(Username::new("a".repeat(16)).is_ok());
        assert_eq!(Username::new("a".repeat(17)), Err(SecretError::UsernameTooLong { bytes: 17 }));
    }
}
