//! Traits: qualities of a node that schedulers ask for.

use std::fmt;
use std::str::FromStr;

/// A trait's name: `CUSTOM_…` or a standard name, upper case, 1 to 255 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Trait(String);

/// The text is not a trait name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a trait: expected CUSTOM_ or a standard prefix (HW_, COMPUTE_, STORAGE_, MISC_, OWNER_), then A-Z, 0-9 and _, at most 255 characters"
)]
pub struct InvalidTrait(pub String);

/// The name spaces of the standard traits library.
const STANDARD_PREFIXES: [&str; 5] = ["HW_", "COMPUTE_", "STORAGE_", "MISC_", "OWNER_"];

impl Trait {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Trait {
    type Err = InvalidTrait;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest =
            std::iter::once("CUSTOM_").chain(STANDARD_PREFIXES).find_map(|prefix| text.strip_prefix(prefix));
        let fits = text.len() <= 255
            && rest.is_some_and(|rest| !rest.is_empty())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidTrait(text.chars().take(300).collect())) }
    }
}

impl fmt::Display for Trait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["CUSTOM_A", "CUSTOM_GPU_2", "HW_CPU_X86_AVX2"] {
            assert!(good.parse::<Trait>().is_ok(), "{good}");
        }
        for bad in ["", "CUSTOM_", "custom_a", "GPU", "CUSTOM_a", "CUSTOM A"] {
            assert!(bad.parse::<Trait>().is_err(), "{bad}");
        }
    }
}
