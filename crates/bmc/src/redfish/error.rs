//! What went wrong with a Redfish service: what was tried, against which address, and what to do about it. Why it went
//! wrong is in the chain of sources, so print the chain.

use super::options::Address;
use crate::breaker::{Judged, Sign};
use crate::client::PowerState;
use crate::error::Retry;
use core::fmt;
use core::time::Duration;
use redfish::{BootMode, BootTarget, DocumentError, Fault, KeysReset, Meaning, Members, ResetType};
use std::sync::Arc;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading the power state.
    PowerState,
    /// Switching power.
    Reset(ResetType),
    /// Reading the machine's facts.
    Facts,
    /// Reading the boot device.
    GetBoot,
    /// Setting the boot device.
    SetBoot(BootTarget),
    /// Setting the boot mode.
    SetBootMode(BootMode),
    /// Reading whether secure boot is on.
    GetSecureBoot,
    /// Switching secure boot.
    SetSecureBoot(bool),
    /// Resetting or removing secure boot's keys.
    ResetKeys(KeysReset),
    /// Reading the BMC's clock.
    GetClock,
    /// Setting it.
    SetClock,
    /// Having firmware fetched and applied.
    Update,
    /// Asking about a task.
    AskTask,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerState => f.write_str("read the power state"),
            Self::Reset(ResetType::Nmi) => f.write_str("inject a non-maskable interrupt"),
            Self::Reset(kind) => write!(f, "switch power ({kind})"),
            Self::Facts => f.write_str("describe the machine"),
            Self::GetBoot => f.write_str("read the boot device"),
            Self::SetBoot(target) => write!(f, "set the boot device to {target}"),
            Self::SetBootMode(mode) => write!(f, "set the boot mode to {mode}"),
            Self::GetSecureBoot => f.write_str("read the secure boot setting"),
            Self::ResetKeys(KeysReset::Default) => f.write_str("reset the keys of secure boot"),
            Self::ResetKeys(KeysReset::Clear) => f.write_str("remove the keys of secure boot"),
            Self::GetClock => f.write_str("read its clock"),
            Self::SetClock => f.write_str("set its clock"),
            Self::Update => f.write_str("update firmware"),
            Self::AskTask => f.write_str("tell of a task"),
            Self::SetSecureBoot(on) => write!(f, "switch secure boot {}", if *on { "on" } else { "off" }),
        }
    }
}

/// An error of this module. It can be cloned, since a dead BMC's error is remembered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be made: no certificates of the system, no crypto provider.
    #[error("cannot talk to BMC {address}: TLS could not be set up on this host")]
    Setup {
        /// Whom.
        address: Address,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// No connection.
    #[error("BMC {address} is unreachable; check the address, the port and the network")]
    Unreachable {
        /// Whom.
        address: Address,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The BMC's certificate is not trusted.
    #[error(
        "the certificate of BMC {address} is not trusted; give its authority as PEM text in redfish_verify_ca, or set that to false"
    )]
    Certificate {
        /// Whom.
        address: Address,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The connection broke before the answer was complete.
    #[error("BMC {address} broke the connection when asked to {operation}; it may have been done")]
    Broken {
        /// Whom.
        address: Address,
        /// What.
        operation: Operation,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// No answer in time.
    #[error(
        "BMC {address} did not answer within {waited:.0?} when asked to {operation}; it may have been done"
    )]
    Slow {
        /// Whom.
        address: Address,
        /// What.
        operation: Operation,
        /// How long was waited.
        waited: Duration,
    },
    /// The login was refused.
    #[error("BMC {address} refuses the login of user {user:?}{}", login_advice(.source))]
    Login {
        /// Whom.
        address: Address,
        /// As whom.
        user: String,
        /// What the BMC says.
        #[source]
        source: Fault,
    },
    /// The service has no sessions, and only a session is allowed.
    #[error("BMC {address} offers no sessions; set redfish_auth_type to auto or basic")]
    NoSessions {
        /// Whom.
        address: Address,
    },
    /// The BMC answered with an error.
    #[error("BMC {address} could not {operation}{}", advice(.source))]
    Refused {
        /// Whom.
        address: Address,
        /// What.
        operation: Operation,
        /// What the BMC says.
        #[source]
        source: Fault,
    },
    /// A task that the BMC began did not end well.
    #[error("BMC {address} began to {operation} and failed")]
    Task {
        /// Whom.
        address: Address,
        /// What.
        operation: Operation,
        /// What the task says.
        #[source]
        source: Fault,
    },
    /// The answer is not what Redfish says it should be.
    #[error("BMC {address} gave an unusable answer when asked to {operation}")]
    Document {
        /// Whom.
        address: Address,
        /// What.
        operation: Operation,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// The answer leads to another host, another port or another scheme, where the password must not go.
    #[error("BMC {address} redirects to {to}; give that address if it is the right one")]
    Redirected {
        /// Whom.
        address: Address,
        /// Where to: scheme, host and port.
        to: String,
    },
    /// There is no such machine.
    #[error("BMC {address} has no system {system}; it has: {known}. Correct redfish_system_id")]
    NoSuchSystem {
        /// Whom.
        address: Address,
        /// Which.
        system: String,
        /// Those there are.
        known: Members,
    },
    /// There is not exactly one machine, and none was named.
    #[error("set redfish_system_id to the system that is meant: BMC {address} has {known}")]
    WhichSystem {
        /// Whom.
        address: Address,
        /// Those there are.
        known: Members,
    },
    /// The BMC does not offer it.
    #[error("BMC {address} cannot {operation}: it offers {offered}")]
    Unsupported {
        /// Whom.
        address: Address,
        /// What.
        operation: Operation,
        /// What it offers in its place.
        offered: String,
    },
    /// Too many callers wait for this BMC.
    #[error("{waiting} callers wait for BMC {address} already")]
    QueueFull {
        /// Whom.
        address: Address,
        /// The bound.
        waiting: usize,
    },
    /// It took too long until the callers before were served.
    #[error("BMC {address} was busy with other callers for {waited:.0?}")]
    Busy {
        /// Whom.
        address: Address,
        /// How long this caller waited.
        waited: Duration,
    },
    /// The BMC failed a moment ago and is left alone until the next probe.
    #[error("BMC {address} is not tried again for {probe_in:.0?}")]
    Remembered {
        /// Whom.
        address: Address,
        /// Until the next caller may try.
        probe_in: Duration,
        /// What happened.
        #[source]
        source: Arc<Error>,
    },
    /// The power state did not become what was wanted.
    #[error("power of BMC {address} is not {wanted} after {waited:.1?} (last seen: {})", seen(*.last))]
    PowerStateNotReached {
        /// Whom.
        address: Address,
        /// What was waited for.
        wanted: PowerState,
        /// What was seen last, if anything.
        last: Option<redfish::PowerState>,
        /// How long.
        waited: Duration,
        /// The last failure to look, if the last look failed.
        #[source]
        source: Option<Arc<Error>>,
    },
    /// The pool is shut down.
    #[error("BMC {address} is not asked: the pool is shutting down")]
    ShuttingDown {
        /// Whom.
        address: Address,
    },
}

fn seen(state: Option<redfish::PowerState>) -> String {
    state.map_or_else(|| "nothing".to_owned(), |state| state.to_string())
}

fn login_advice(fault: &Fault) -> &'static str {
    match fault.meaning() {
        Meaning::PasswordChange => {
            " (the BMC wants its password changed first: do that, then correct redfish_password)"
        }
        Meaning::SessionLimit => {
            " (no session is free: wait, close other tools' sessions, or set redfish_auth_type to basic)"
        }
        Meaning::Forbidden => " (the account is locked or lacks the privilege to log in)",
        Meaning::NotNow => " (it is not ready: try again in a moment)",
        _ => " (correct redfish_username and redfish_password)",
    }
}

fn advice(fault: &Fault) -> &'static str {
    match fault.meaning() {
        Meaning::Licence => " (the BMC lacks the licence for it)",
        Meaning::Forbidden => " (the user lacks the privilege)",
        Meaning::PasswordChange => " (the BMC wants its password changed first)",
        Meaning::NotFound => " (it has no such resource)",
        _ => "",
    }
}

impl Error {
    /// What to do with it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { source, .. } | Self::Login { source, .. } | Self::Task { source, .. } => {
                fault_retry(source)
            }
            Self::Document { .. } | Self::Unsupported { .. } => Retry::Permanent,
            Self::Certificate { .. }
            | Self::NoSessions { .. }
            | Self::Redirected { .. }
            | Self::NoSuchSystem { .. }
            | Self::WhichSystem { .. } => Retry::NeedsOperator,
            Self::Remembered { source, .. } | Self::PowerStateNotReached { source: Some(source), .. } => {
                source.retry()
            }
            Self::Setup { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Slow { .. }
            | Self::QueueFull { .. }
            | Self::Busy { .. }
            | Self::PowerStateNotReached { source: None, .. }
            | Self::ShuttingDown { .. } => Retry::Transient,
        }
    }

    /// What the BMC said, when it refused a request.
    pub(super) const fn refusal(&self) -> Option<&Fault> {
        match self {
            Self::Refused { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Judged for Error {
    fn sign(&self) -> Sign {
        match self {
            Self::Login { source, .. } if fault_retry(source) == Retry::NeedsOperator => Sign::Distrust,
            Self::Certificate { .. } => Sign::Distrust,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Slow { .. } => Sign::Silence,
            _ => Sign::Life,
        }
    }
}

fn fault_retry(fault: &Fault) -> Retry {
    match fault.meaning() {
        // The state of the machine changes; sessions end.
        Meaning::NotNow | Meaning::Conflict | Meaning::SessionLimit => Retry::Transient,
        Meaning::Unauthenticated | Meaning::Forbidden | Meaning::PasswordChange | Meaning::Licence => {
            Retry::NeedsOperator
        }
        Meaning::NotFound | Meaning::Precondition | Meaning::Unsupported | Meaning::Other => Retry::Permanent,
    }
}
