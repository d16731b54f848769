//! URLs as boot loaders take them: one word, nothing to expand, nothing to quote.

use std::fmt;

/// A URL of scheme `http`, `https`, `tftp` or `ftp` that every boot loader takes for one word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url(String);

/// A text is not a URL that a boot loader can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The scheme is missing or not one that iPXE fetches from.
    #[error("{0:?} does not begin with http://, https://, tftp:// or ftp:// and a host")]
    Scheme(String),
    /// A character that must be percent-encoded.
    #[error("a URL of a boot file cannot hold {0:?}; percent-encode it")]
    Character(char),
    /// More than 1024 bytes.
    #[error("a URL of {0} bytes is longer than 1024")]
    TooLong(usize),
}

impl Url {
    /// Checks a text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidUrl> {
        let text = text.into();
        if text.len() > 1024 {
            return Err(InvalidUrl::TooLong(text.len()));
        }
        let schemes = ["http://", "https://", "tftp://", "ftp://"];
        let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Err(InvalidUrl::Scheme(text));
        }
        // RFC 3986's characters less `$` (variables), `'` (GRUB's quotes) and `#` (a fragment is never sent).
        let allowed =
            |character: char| character.is_ascii_alphanumeric() || "-._~:/?[]@!&()*+,;=%".contains(character);
        if let Some(character) = text.chars().find(|character| !allowed(*character)) {
            return Err(InvalidUrl::Character(character));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
