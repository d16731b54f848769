//! The agent token: a shared secret of one boot. It never prints.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a conductor shows in place of a token that it already gave away.
pub const MASK: &str = "******";

/// Shortest token that an agent accepts, in characters.
pub const MIN_LENGTH: usize = 32;

/// Longest token that is taken from the wire or a kernel command line, in characters.
pub const MAX_LENGTH: usize = 512;

/// A shared secret between one agent and its conductor. `Debug` masks it; use [`AgentToken::reveal`] to send it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentToken(String);

impl AgentToken {
    /// Wraps a token as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The clear text, for the one place that puts it on the wire.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is the mask that stands for "you were told before".
    pub fn is_mask(&self) -> bool {
        self.0 == MASK
    }

    /// Whether an agent may use this as its secret: long enough, bounded, and not the mask.
    pub fn is_usable(&self) -> bool {
        (MIN_LENGTH..=MAX_LENGTH).contains(&self.0.len()) && !self.is_mask()
    }

    /// Compares in a time that depends on the lengths only.
    pub fn matches(&self, other: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.as_bytes());
        let differences = ours.iter().zip(theirs).fold(0u8, |sum, (a, b)| sum | (a ^ b));
        ours.len() == theirs.len() && differences == 0
    }
}

impl fmt::Debug for AgentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentToken(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints() {
        assert!(!format!("{:?}", AgentToken::new("secret-secret")).contains("secret"));
    }

    #[test]
    fn matches_whole_text_only() {
        let token = AgentToken::new("abc");
        assert!(token.matches("abc"));
        for other in ["", "ab", "abcd", "abd"] {
            assert!(!token.matches(other), "{other}");
        }
    }

    #[test]
    fn usable_needs_length_and_no_mask() {
        assert!(!AgentToken::new(MASK).is_usable());
        assert!(!AgentToken::new("x".repeat(31)).is_usable());
        assert!(AgentToken::new("x".repeat(32)).is_usable());
        assert!(!AgentToken::new("x".repeat(MAX_LENGTH + 1)).is_usable());
    }
}
