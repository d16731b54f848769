//! Whom to talk to, as whom, and with which patience.

use crate::patience::Patience;
use core::fmt;
use core::time::Duration;
use redfish::{DEFAULT_ROOT, ResourcePath};
use reqwest::{Certificate, Url};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// The longest address, in bytes.
const MAX_ADDRESS: usize = 1024;
/// The longest list of authorities, in bytes of PEM.
pub const MAX_AUTHORITIES: usize = 256 << 10;

/// Where a Redfish service is: scheme, host, port, and the path of its root.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    base: Url,
    root: ResourcePath,
}

/// A text is not an address of a Redfish service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not the address of a Redfish service: {why}")]
pub struct BadAddress {
    /// What was given, cut, without any password.
    pub given: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Address {
    /// Reads `[https://]HOST[:PORT][/ROOT]`, with `https` and `/redfish/v1` when they are left out.
    ///
    /// # Errors
    /// [`BadAddress`] for other schemes, a user in the address, a query, or no host.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        let bad = |why| BadAddress {
            given: text.rsplit('@').next().unwrap_or_default().chars().take(64).collect(),
            why,
        };
        if text.len() > MAX_ADDRESS {
            return Err(bad("it is too long"));
        }
        let full = match text.parse::<Ipv6Addr>() {
            Ok(address) => format!("https://[{address}]"),
            Err(_) if text.contains("://") => text.to_owned(),
            Err(_) => format!("https://{text}"),
        };
        let mut base = Url::parse(&full).map_err(|_| bad("it is not a URL"))?;
        if !matches!(base.scheme(), "https" | "http") {
            return Err(bad("its scheme is not https or http"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("it has a user in it; give user and password apart"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(bad("it has a query or a fragment"));
        }
        let root = match base.path().trim_end_matches('/') {
            "" => DEFAULT_ROOT,
            path => path,
        };
        let root = ResourcePath::new(root).map_err(|_| bad("its path is not usable"))?;
        base.set_path("/");
        Ok(Self(Arc::new(Parts { base, root })))
    }

    /// The path of the service root.
    pub(crate) fn root(&self) -> &ResourcePath {
        &self.0.root
    }

    /// The URL of a resource. Paths are checked, so the host stays what it is.
    pub(crate) fn url(&self, path: &ResourcePath) -> Url {
        let mut url = self.0.base.clone();
        let (path, query) = match path.as_str().split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path.as_str(), None),
        };
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Whether a URL leads to this service: scheme, host and port are the same.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        self.0.base.origin() == url.origin()
    }

    /// The resource that a link or a header names, when it is on this service; a path or a whole URL.
    pub(crate) fn path_of(&self, link: &str) -> Option<ResourcePath> {
        let url = self.0.base.join(link).ok().filter(|url| self.is_origin_of(url))?;
        let path =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        ResourcePath::new(&path).ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.base.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// A password. It never prints.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password(String);

impl Password {
    /// From text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// A session where the service offers them, else HTTP basic.
    #[default]
    Auto,
    /// HTTP basic with every request.
    Basic,
    /// A session only.
    Session,
}

/// Which certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Verify {
    /// Those of the system's authorities.
    #[default]
    System,
    /// Any: no protection against someone in the middle.
    Nothing,
    /// Those of the given authorities (PEM) and no others. Made by [`Verify::authorities`].
    Authorities(Arc<str>),
}

/// A text is not a list of certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the text is not PEM: it must have at least one usable certificate and at most {MAX_AUTHORITIES} bytes"
)]
pub struct BadAuthorities;

impl Verify {
    /// Trusts the certificates in `pem`.
    ///
    /// # Errors
    /// [`BadAuthorities`].
    pub fn authorities(pem: &str) -> Result<Self, BadAuthorities> {
        if pem.len() > MAX_AUTHORITIES {
            return Err(BadAuthorities);
        }
        match Certificate::from_pem_bundle(pem.as_bytes()) {
            Ok(list) if !list.is_empty() => Ok(Self::Authorities(pem.into())),
            Ok(_) | Err(_) => Err(BadAuthorities),
        }
    }
}

/// Who logs in, how, and what the BMC's certificate must be. Two equal values share a login; a different one replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// The user; without one nothing is sent.
    pub username: Option<String>,
    /// The password.
    pub password: Password,
    /// How to log in.
    pub auth: Auth,
    /// Which certificates are trusted.
    pub verify: Verify,
}

/// Which of a BMC's machines is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemId {
    /// The resource itself: `/redfish/v1/Systems/1`.
    Path(ResourcePath),
    /// The last segment of the path, in the service's collection: `1`.
    Name(String),
}

/// A text names no machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the path of a system, such as /redfish/v1/Systems/1")]
pub struct BadSystemId(pub String);

impl SystemId {
    /// Reads a path, or a name when there is no slash at the start.
    ///
    /// # Errors
    /// [`BadSystemId`] with the text, cut.
    pub fn parse(text: &str) -> Result<Self, BadSystemId> {
        let bad = || BadSystemId(text.chars().take(64).collect());
        if text.starts_with('/') {
            return ResourcePath::new(text).map(Self::Path).map_err(|_| bad());
        }
        // What cannot be a segment of a path is no name.
        let probe = ResourcePath::new("/x").and_then(|path| path.join(text));
        probe.map(|_| Self::Name(text.to_owned())).map_err(|_| bad())
    }
}

/// How a pool treats its BMCs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Deadline of a TCP and TLS connection.
    pub connect: Duration,
    /// Deadline of one answer, from the connection to the last byte. Some BMCs hold a change for more than a minute.
    pub answer: Duration,
    /// Deadline of one call with all its requests and retries.
    pub operation: Duration,
    /// How often a request is sent, when the BMC says that it is busy or drops the connection of a repeatable one.
    pub attempts: u32,
    /// The pause before the second attempt; doubles with each.
    pub first_pause: Duration,
    /// Callers that may wait for one BMC; the next one gets [`Error::QueueFull`](super::Error::QueueFull).
    pub max_waiting: usize,
    /// BMCs that are remembered. Above it, those that nobody uses are forgotten.
    pub max_bmcs: usize,
    /// When a BMC counts as dead, and how often it is looked at.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(90),
            operation: Duration::from_mins(3),
            attempts: 4,
            first_pause: Duration::from_millis(500),
            max_waiting: 16,
            max_bmcs: 16_384,
            patience: Patience::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for (given, shown, root) in [
            ("10.0.0.1", "https://10.0.0.1", "/redfish/v1"),
            ("http://bmc.example:8000/", "http://bmc.example:8000", "/redfish/v1"),
            ("bmc.example:8443/other/redfish/v1/", "https://bmc.example:8443", "/other/redfish/v1"),
            ("fd00::1", "https://[fd00::1]", "/redfish/v1"),
        ] {
            let address = Address::parse(given).unwrap();
            assert_eq!((address.to_string().as_str(), address.root().as_str()), (shown, root), "{given}");
        }
    }

    #[test]
    fn other_addresses_are_refused_and_passwords_not_shown() {
        for bad in [
            "",
            "ftp://bmc",
            "https://u:secret@bmc",
            "https://bmc/?a=b",
            "https://bmc/#x",
            "file:///etc/passwd",
        ] {
            let error = Address::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn links_to_other_hosts_are_none() {
        let address = Address::parse("https://bmc.example").unwrap();
        for link in ["https://evil.example/redfish/v1", "http://bmc.example/redfish/v1", "//evil.example/x"] {
            assert_eq!(address.path_of(link), None, "{link}");
        }
        let path = address.path_of("https://bmc.example:443/redfish/v1/TaskService/Tasks/1").unwrap();
        assert_eq!(path.as_str(), "/redfish/v1/TaskService/Tasks/1");
        assert_eq!(address.url(&path).as_str(), "https://bmc.example/redfish/v1/TaskService/Tasks/1");
    }

    #[test]
    fn systems_have_paths_or_names() {
        assert!(matches!(SystemId::parse("/redfish/v1/Systems/1/"), Ok(SystemId::Path(_))));
        assert_eq!(SystemId::parse("System.Embedded.1"), Ok(SystemId::Name("System.Embedded.1".into())));
        for bad in ["", "a/b", "..", "//evil.example", "a b"] {
            assert!(SystemId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_print_and_paths_are_no_certificates() {
        let credentials = Credentials { password: Password::new("secret"), ..Credentials::default() };
        assert!(!format!("{credentials:?}").contains("secret"));
        assert_eq!(Verify::authorities("/etc/ssl/certs/ca.pem"), Err(BadAuthorities));
    }
}
