//! File names that clients may ask for.

use std::fmt;

/// A relative name of plain components: no `..`, no empty or hidden component, no backslash, no control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName(String);

/// The text asked for is not a name of a file that could be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a file name that is served")]
pub struct InvalidName(pub String);

impl FileName {
    /// Checks a name as a client sent it. Slashes at the beginning, single or double, are dropped: firmware puts
    /// them there at will.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let relative = text.trim_start_matches('/');
        let good = |character: char| character.is_ascii_alphanumeric() || "._-+=:@,~ ".contains(character);
        let component = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(good);
        if relative.len() > 255 || !relative.split('/').all(component) {
            return Err(InvalidName(text.chars().take(255).collect()));
        }
        Ok(Self(relative.to_owned()))
    }

    /// The name, components apart by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names() {
        for (text, name) in
            [("/snponly.efi", "snponly.efi"), ("//a/b.c", "a/b.c"), ("ipxe-x64/x.efi", "ipxe-x64/x.efi")]
        {
            assert_eq!(FileName::new(text).unwrap().as_str(), name);
        }
        let long = "a".repeat(256);
        for text in [
            "", "/", "..", "a/../b", "../a", "a//b", ".hidden", "a/.ssh/b", "a\\b", "a\nb", "a/", "a?b", "é",
            &long,
        ] {
            assert_eq!(FileName::new(text), Err(InvalidName(text.chars().take(255).collect())), "{text:?}");
        }
    }
}
