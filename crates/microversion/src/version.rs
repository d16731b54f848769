//! One version of the API.

use std::fmt;

/// A version of the API: `1.` and this minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u16);

impl Version {
    /// The oldest version, used where a caller names none.
    pub const MIN: Self = Self(1);
    /// The newest version.
    pub const MAX: Self = Self(115);

    /// The version `1.minor`; `None` outside [`Self::MIN`] to [`Self::MAX`].
    pub const fn new(minor: u16) -> Option<Self> {
        if minor < Self::MIN.0 || minor > Self::MAX.0 { None } else { Some(Self(minor)) }
    }

    /// The minor number.
    pub const fn minor(self) -> u16 {
        self.0
    }

    /// Whether this is `1.minor` or newer.
    pub const fn at_least(self, minor: u16) -> bool {
        self.0 >= minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}
