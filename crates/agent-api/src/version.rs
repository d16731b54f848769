//! API microversions that the agent speaks to the conductor's side, and the root document that announces them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Header that carries the version of a request.
pub const VERSION_HEADER: &str = "X-OpenStack-Ironic-API-Version";
/// Header that carries the request id which the operator's request had.
pub const REQUEST_ID_HEADER: &str = "X-OpenStack-Request-ID";

/// First version with lookup and heartbeat.
pub const LOOKUP_MIN: ApiVersion = ApiVersion::new(1, 22);
/// Assumed when `GET /` gives no answer.
pub const FALLBACK: ApiVersion = ApiVersion::new(1, 31);
/// First version whose heartbeat takes `agent_version`.
pub const AGENT_VERSION_MIN: ApiVersion = ApiVersion::new(1, 36);
/// First version with agent tokens; also the highest that a lookup asks for.
pub const TOKEN_MIN: ApiVersion = ApiVersion::new(1, 62);
/// First version whose heartbeat takes `agent_verify_ca`; also the highest that a heartbeat asks for.
pub const VERIFY_CA_MIN: ApiVersion = ApiVersion::new(1, 68);
/// First version whose heartbeat takes `agent_status` and `agent_status_message`.
pub const STATUS_MIN: ApiVersion = ApiVersion::new(1, 72);

/// `major.minor`, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    /// A version by its parts.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The version a lookup is sent with, given the server's highest.
    #[must_use]
    pub fn for_lookup(self) -> Self {
        self.min(TOKEN_MIN)
    }

    /// The version a heartbeat is sent with, given the server's highest.
    #[must_use]
    pub fn for_heartbeat(self) -> Self {
        self.min(VERIFY_CA_MIN)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A version text that is not `number.number`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an API version")]
pub struct VersionError;

impl FromStr for ApiVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (major, minor) = text.split_once('.').ok_or(VersionError)?;
        let number = |part: &str| part.parse::<u16>().map_err(|_| VersionError);
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

/// `GET /` of the API, so far as the agent reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiRoot {
    /// The version that the server prefers.
    pub default_version: ApiRootVersion,
}

/// One version of the root document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiRootVersion {
    /// Highest microversion, as text.
    #[serde(default)]
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_by_call() {
        let newest: ApiVersion = "1.109".parse().expect("version");
        assert_eq!(newest.for_lookup().to_string(), "1.62");
        assert_eq!(newest.for_heartbeat().to_string(), "1.68");
        assert_eq!(FALLBACK.for_lookup(), FALLBACK);
        assert!(ApiVersion::new(1, 9) < ApiVersion::new(1, 22), "numbers, not text");
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "1", "1.", ".1", "1.2.3", "a.b", "1.99999"] {
            assert_eq!(text.parse::<ApiVersion>(), Err(VersionError), "{text}");
        }
    }
}
