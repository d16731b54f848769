//! Which version a request asks for (contract/errors.md, section 3).

use crate::Version;

/// The Bare Metal service's own header.
pub const VERSION_HEADER: &str = "x-openstack-ironic-api-version";
/// The header that all OpenStack services share: `baremetal 1.50`.
pub const OPENSTACK_HEADER: &str = "openstack-api-version";

/// Why a request's version is refused: 406 in every case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// Neither `1.N` nor `latest`.
    #[error("'{given}' is not an API version: expected 1.N with N from {min} to {max}, or latest", min = Version::MIN.minor(), max = max.minor())]
    Malformed {
        /// The value as given, cut.
        given: String,
        /// The newest version on offer.
        max: Version,
    },
    /// Well formed, not on offer.
    #[error("Version {given} was requested, but only versions {min} to {max} are supported", min = Version::MIN)]
    OutOfRange {
        /// The version as given, cut.
        given: String,
        /// The newest version on offer.
        max: Version,
    },
}

/// Picks the version of a request from its two headers; the shared one wins, as it does elsewhere in OpenStack.
///
/// `own` is the value of [`VERSION_HEADER`], `shared` that of [`OPENSTACK_HEADER`] (several values joined by commas),
/// `max` the newest version on offer. Without either header it is [`Version::MIN`].
pub fn negotiate(own: Option<&str>, shared: Option<&str>, max: Version) -> Result<Version, NegotiationError> {
    match shared.and_then(baremetal_entry).or(own) {
        Some(text) => parse(text.trim(), max),
        None => Ok(Version::MIN),
    }
}

/// The last entry for this service in the shared header.
fn baremetal_entry(header: &str) -> Option<&str> {
    header.rsplit(',').find_map(|entry| {
        let (service, version) = entry.trim().split_once(char::is_whitespace)?;
        service.eq_ignore_ascii_case("baremetal").then_some(version)
    })
}

fn parse(text: &str, max: Version) -> Result<Version, NegotiationError> {
    let given = || text.chars().take(64).collect::<String>();
    if text.eq_ignore_ascii_case("latest") {
        return Ok(max);
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (major, minor) = text
        .split_once('.')
        .filter(|(major, minor)| digits(major.strip_prefix('-').unwrap_or(major)) && digits(minor))
        .ok_or_else(|| NegotiationError::Malformed { given: given(), max })?;
    let version = minor.parse().ok().and_then(Version::new).filter(|version| *version <= max);
    match version {
        Some(version) if major.trim_start_matches('0') == "1" => Ok(version),
        _ => Err(NegotiationError::OutOfRange { given: given(), max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Result<u16, NegotiationError> {
        negotiate(Some(text), None, Version::MAX).map(Version::minor)
    }

    #[test]
    fn both_headers() {
        assert_eq!(negotiate(None, None, Version::MAX), Ok(Version::MIN));
        assert_eq!(own("1.50"), Ok(50));
        assert_eq!(own("Latest"), Ok(115));
        let shared = |text| negotiate(Some("1.2"), Some(text), Version::MAX).map(Version::minor);
        assert_eq!(shared("compute 2.1, baremetal 1.50"), Ok(50));
        assert_eq!(shared("baremetal latest"), Ok(115));
        assert_eq!(shared("compute 2.1"), Ok(2));
    }

    #[test]
    fn refusals() {
        for bad in ["", "1", "1.", ".5", "1.x", "1.5.1", "--1.5", "-.5", "baremetal 1.5", "1.+5", "1.-5"] {
            assert!(matches!(own(bad), Err(NegotiationError::Malformed { .. })), "{bad}");
        }
        for far in ["1.0", "1.116", "2.1", "0.5", "1.99999999999", "-1.5"] {
            assert!(matches!(own(far), Err(NegotiationError::OutOfRange { .. })), "{far}");
        }
        let pinned = Version::new(50).unwrap();
        assert_eq!(negotiate(Some("latest"), None, pinned), Ok(pinned));
        assert!(negotiate(Some("1.51"), None, pinned).is_err());
        let text = own("1.116").unwrap_err().to_string();
        assert!(text.contains("1.1 to 1.115"), "{text}");
    }
}
