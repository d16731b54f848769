//! What an operator may turn.

use std::time::Duration;

use microversion::Version;

/// Settings of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Start of links, as `https://bmc.example.org:6385`; without it, links follow the request's `Host`.
    pub public_endpoint: Option<String>,
    /// Whether callers come by TLS; decides the scheme of links when there is no public endpoint.
    pub tls: bool,
    /// The most objects on one page, and how many there are when the caller names no limit.
    pub max_limit: usize,
    /// The newest version on offer; older than the newest one while a site is being upgraded.
    pub max_version: Version,
    /// When a request is given up: so long its body may take (408), and so long its work (503).
    pub request_deadline: Duration,
    /// How long to wait before a locked node is looked at again; the third time it is refused (409).
    pub lock_retry: Duration,
    /// Whether nodes in `available` may be deleted.
    pub delete_available_nodes: bool,
    /// Resource class of nodes enrolled without one.
    pub default_resource_class: Option<String>,
    /// A conductor that was silent for longer does not count as alive.
    pub conductor_timeout: Duration,
    /// Whether administrators of a project may enrol nodes, which their project then owns, and remove these.
    pub project_admin_can_manage_own_nodes: bool,
    /// How long a reader of events hears nothing before it is told that the service is still there.
    pub event_heartbeat: Duration,
    /// Whether agents may look nodes up and send heartbeats; off for sites without ramdisks.
    pub ramdisk_endpoints: bool,
    /// What of booting this site serves, for the diagnosis of boots that fail.
    pub hears: boot_trace::Hears,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            public_endpoint: None,
            tls: false,
            max_limit: 1000,
            max_version: Version::MAX,
            request_deadline: Duration::from_mins(1),
            lock_retry: Duration::from_secs(1),
            delete_available_nodes: true,
            default_resource_class: None,
            conductor_timeout: Duration::from_mins(1),
            project_admin_can_manage_own_nodes: true,
            event_heartbeat: Duration::from_secs(15),
            ramdisk_endpoints: true,
            hears: boot_trace::Hears::default(),
        }
    }
}
