//! Whom to talk to, as whom, and with which patience.

use crate::patience::Patience;
use core::fmt;
use core::time::Duration;
use ipmi::{CipherChoice, Password, Privilege, RMCP_PORT, Timing, Username};

/// Where a BMC is: a name or an address (IPv4 or IPv6, without brackets) and a UDP port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// UDP port, usually 623.
    pub port: u16,
}

impl Target {
    /// A BMC at the standard port.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), port: RMCP_PORT }
    }

    /// A BMC at another port.
    pub fn with_port(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Who logs in. Two equal values share a session; a different one replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: Username,
    /// The user's password.
    pub password: Password,
    /// The BMC key (Kg), if the BMC has one.
    pub bmc_key: Option<Password>,
    /// The privilege level to ask for.
    pub privilege: Privilege,
    /// Which cipher suites to propose.
    pub cipher: CipherChoice,
}

impl Credentials {
    /// An administrator without BMC key, any cipher suite.
    pub const fn new(username: Username, password: Password) -> Self {
        Self {
            username,
            password,
            bmc_key: None,
            privilege: Privilege::Administrator,
            cipher: CipherChoice::Negotiate,
        }
    }
}

/// How a pool treats its BMCs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Retries and deadlines of connecting, requests and closing.
    pub timing: Timing,
    /// The least time between two commands to one BMC; 0 for BMCs that behave.
    pub min_command_interval: Duration,
    /// A session not used for so long is closed. Below the 60 s after which BMCs forget it themselves.
    pub idle_close: Duration,
    /// A session that is held ([`IpmiClient::hold`](crate::IpmiClient::hold)) and idle for so long is kept alive by a
    /// question.
    pub keep_alive: Duration,
    /// Callers that may wait for one BMC; the next one gets [`Error::QueueFull`](crate::Error::QueueFull).
    pub max_waiting: usize,
    /// Sessions open at a time in the whole pool; each has a socket. When all are taken, the one idle for longest is
    /// closed to make room.
    pub max_sessions: usize,
    /// When a BMC counts as dead, and how often it is looked at.
    pub patience: Patience,
    /// Ask BMCs not to drop a boot override when no power command follows within 60 s.
    pub keep_boot_override: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            min_command_interval: Duration::ZERO,
            idle_close: Duration::from_secs(45),
            keep_alive: Duration::from_secs(30),
            max_waiting: 16,
            max_sessions: 4096,
            patience: Patience::default(),
            keep_boot_override: true,
        }
    }
}
