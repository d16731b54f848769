//! Rules for names of nodes and ports (contract/README: identifiers).

use uuid::Uuid;

/// Words that are parts of a node's routes and so cannot be its name.
pub const NODE_NAMES_RESERVED: [&str; 6] =
    ["maintenance", "management", "states", "vendor_passthru", "detail", "validate"];

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Longer than 255 characters, or empty.
    #[error("a name has 1 to 255 characters; this one has {0}")]
    Length(usize),
    /// A character outside the allowed set.
    #[error("'{name}' is not a name: '{character}' is not allowed; use letters, digits and . - _ ~")]
    Character {
        /// The name as given.
        name: String,
        /// The first character at fault.
        character: char,
    },
    /// It would be taken for a UUID.
    #[error("'{0}' has the form of a UUID and cannot be a name")]
    LooksLikeUuid(String),
    /// It is part of a route.
    #[error("'{0}' is reserved and cannot be a name")]
    Reserved(String),
    /// Not a host name (API versions below 1.10).
    #[error("'{0}' is not a host name, which names must be below API version 1.10")]
    NotAHostname(String),
}

/// Checks a logical name: `[A-Za-z0-9\-._~]`, 1 to 255 characters, not of the form of a UUID.
pub fn validate_logical_name(name: &str) -> Result<(), InvalidName> {
    if name.is_empty() || name.len() > 255 {
        return Err(InvalidName::Length(name.chars().count()));
    }
    if let Some(character) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~".contains(*c))) {
        return Err(InvalidName::Character { name: name.to_owned(), character });
    }
    if Uuid::parse_str(name).is_ok() {
        return Err(InvalidName::LooksLikeUuid(name.to_owned()));
    }
    Ok(())
}

/// Checks a host name: labels of letters, digits and inner dashes, at most 63 each, 255 in all.
pub fn validate_hostname(name: &str) -> Result<(), InvalidName> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 255 && !name.is_empty() && name.split('.').all(label) {
        Ok(())
    } else {
        Err(InvalidName::NotAHostname(name.chars().take(300).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_names() {
        assert_eq!(validate_logical_name("rack-1.node_2~a"), Ok(()));
        assert!(matches!(validate_logical_name(""), Err(InvalidName::Length(0))));
        assert!(matches!(validate_logical_name("a b"), Err(InvalidName::Character { character: ' ', .. })));
        assert!(matches!(validate_logical_name(&NodeLike::uuid()), Err(InvalidName::LooksLikeUuid(_))));
        assert!(validate_logical_name(&"x".repeat(256)).is_err());
    }

    #[test]
    fn host_names() {
        assert_eq!(validate_hostname("a-1.example.org"), Ok(()));
        for bad in ["", "-a", "a-", "a..b", "a_b"] {
            assert!(validate_hostname(bad).is_err(), "{bad}");
        }
    }

    struct NodeLike;

    impl NodeLike {
        fn uuid() -> String {
            Uuid::new_v4().to_string()
        }
    }
}
