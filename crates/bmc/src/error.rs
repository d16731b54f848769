//! What went wrong with a BMC: what was tried, against which address, and what to do about it. Why it went wrong is in the
//! chain of sources, so print the chain.

use crate::breaker::{Judged, Sign};
use crate::client::PowerState;
use crate::options::Target;
use core::fmt;
use core::time::Duration;
use ipmi::command::boot::BootDevice;
use ipmi::command::chassis::ChassisControl;
use ipmi::{CipherSuite, ClientError, CommandError, CompletionCode};
use std::sync::Arc;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call may work in a moment.
    Transient,
    /// The same call will fail again: this BMC cannot do it.
    Permanent,
    /// Someone must change something first: a password, an address, the BMC's settings.
    NeedsOperator,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading the power state.
    PowerState,
    /// Switching power.
    Control(ChassisControl),
    /// Reading the boot device.
    GetBootDevice,
    /// Setting the boot device.
    SetBootDevice(BootDevice),
    /// Reading the BMC's identity.
    DeviceId,
    /// Reading the GUID.
    Guid,
    /// The identify light.
    Identify,
    /// Restarting the BMC.
    ResetBmc,
    /// A command given as bytes.
    Raw {
        /// Network function.
        net_fn: u8,
        /// Command.
        command: u8,
    },
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerState => f.write_str("read the power state"),
            Self::Control(control) => f.write_str(match control {
                ChassisControl::PowerDown => "power off",
                ChassisControl::PowerUp => "power on",
                ChassisControl::PowerCycle => "power cycle",
                ChassisControl::HardReset => "reset",
                ChassisControl::DiagnosticInterrupt => "inject a diagnostic interrupt",
                ChassisControl::SoftShutdown => "power off softly",
            }),
            Self::GetBootDevice => f.write_str("read the boot device"),
            Self::SetBootDevice(device) => write!(f, "set the boot device to {device:?}"),
            Self::DeviceId => f.write_str("read the BMC's identity"),
            Self::Guid => f.write_str("read the GUID"),
            Self::Identify => f.write_str("switch the identify light"),
            Self::ResetBmc => f.write_str("restart the BMC"),
            Self::Raw { net_fn, command } => write!(f, "send raw command {net_fn:#04x} {command:#04x}"),
        }
    }
}

/// An error of this crate. It can be cloned, since a dead BMC's error is remembered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The BMC's name has no address.
    #[error("cannot resolve the BMC's name {target}: correct the address or the name service")]
    Resolve {
        /// Whom.
        target: Target,
        /// Why; nothing when the answer was empty.
        #[source]
        source: Option<Arc<std::io::Error>>,
    },
    /// This host could not send or receive.
    #[error("cannot talk to BMC {target}: local network error")]
    Socket {
        /// Whom.
        target: Target,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The BMC's host says that nothing listens at the port.
    #[error(
        "BMC {target} refuses UDP datagrams: nothing listens there; check the port and that IPMI over LAN is enabled"
    )]
    PortClosed {
        /// Whom.
        target: Target,
    },
    /// No answer to anything.
    #[error(
        "BMC {target} is unreachable: no answer to {sent} datagrams; check the address, the network and that IPMI over LAN is enabled"
    )]
    Unreachable {
        /// Whom.
        target: Target,
        /// Datagrams sent.
        sent: u32,
    },
    /// The BMC answered at first and then fell silent in the login.
    #[error(
        "BMC {target} stopped answering during login (some stay silent for a user or privilege they do not know)"
    )]
    LoginSilent {
        /// Whom.
        target: Target,
        /// Where.
        #[source]
        source: ClientError,
    },
    /// The BMC refused the login.
    #[error("BMC {target} refuses the login of user {user:?}{}", advice(.source))]
    Login {
        /// Whom.
        target: Target,
        /// As whom.
        user: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// A command was not answered. It may have been carried out.
    #[error(
        "BMC {target} did not answer when asked to {operation} ({sent} datagrams); it may have been done"
    )]
    NoAnswer {
        /// Whom.
        target: Target,
        /// What.
        operation: Operation,
        /// Datagrams sent.
        sent: u32,
    },
    /// The BMC answered with an error.
    #[error("BMC {target} could not {operation}")]
    Command {
        /// Whom.
        target: Target,
        /// What.
        operation: Operation,
        /// Why.
        #[source]
        source: CommandError,
    },
    /// The answer is not what the question asks for.
    #[error("BMC {target} answered with another boot parameter when asked to {operation}")]
    WrongParameter {
        /// Whom.
        target: Target,
        /// What.
        operation: Operation,
    },
    /// A raw command is longer than a message can be.
    #[error("cannot {operation} on BMC {target}: {bytes} bytes of data are too many")]
    RequestTooLong {
        /// Whom.
        target: Target,
        /// What.
        operation: Operation,
        /// Bytes given.
        bytes: usize,
    },
    /// Too many callers wait for this BMC.
    #[error("{waiting} callers wait for BMC {target} already")]
    QueueFull {
        /// Whom.
        target: Target,
        /// The bound.
        waiting: usize,
    },
    /// It took too long until the callers before were served.
    #[error("BMC {target} was busy with other callers for {waited:?}")]
    Busy {
        /// Whom.
        target: Target,
        /// How long this caller waited.
        waited: Duration,
    },
    /// The pool has as many sessions as it may have, all in use.
    #[error("no session is free for BMC {target}: the limit of {limit} sessions is reached")]
    TooManySessions {
        /// Whom.
        target: Target,
        /// The bound.
        limit: usize,
    },
    /// The BMC failed a moment ago and is left alone until the next probe.
    #[error("BMC {target} is not tried again for {probe_in:.0?}")]
    Remembered {
        /// Whom.
        target: Target,
        /// Until the next caller may try.
        probe_in: Duration,
        /// What happened.
        #[source]
        source: Arc<Error>,
    },
    /// The power state did not become what was wanted.
    #[error("power of BMC {target} is not {wanted} after {waited:.1?} (last seen: {last:?})")]
    PowerStateNotReached {
        /// Whom.
        target: Target,
        /// What was waited for.
        wanted: PowerState,
        /// What was seen last, if anything.
        last: Option<PowerState>,
        /// How long.
        waited: Duration,
        /// The last failure to look, if the last look failed.
        #[source]
        source: Option<Arc<Error>>,
    },
    /// The pool is shut down.
    #[error("BMC {target} is not asked: the pool is shutting down")]
    ShuttingDown {
        /// Whom.
        target: Target,
    },
}

/// What to do about a refused login.
fn advice(error: &ClientError) -> String {
    let text = match error {
        ClientError::WrongPassword => "correct the node's BMC password".to_owned(),
        ClientError::WrongBmcKey => "give the BMC key (Kg) that is set in the BMC".to_owned(),
        ClientError::UnknownUser => "create or enable the user in the BMC, or correct the name".to_owned(),
        ClientError::PrivilegeTooHigh { .. } => {
            "raise the user's privilege on the LAN channel in the BMC, or ask for less".to_owned()
        }
        ClientError::NoMatchingCipherSuite { .. } => {
            let [first, second] = CipherSuite::PREFERENCE.map(CipherSuite::id);
            format!("enable cipher suite {first} or {second} in the BMC")
        }
        ClientError::NoFreeSession => "wait, or close other tools' sessions".to_owned(),
        ClientError::OldProtocol => "enable IPMI 2.0 (RMCP+) in the BMC".to_owned(),
        _ => return String::new(),
    };
    format!(" ({text})")
}

impl Error {
    /// What to do with it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Login { source, .. } => login_retry(source),
            Self::Command { source, .. } => command_retry(source),
            Self::WrongParameter { .. } | Self::RequestTooLong { .. } => Retry::Permanent,
            Self::Remembered { source, .. } | Self::PowerStateNotReached { source: Some(source), .. } => {
                source.retry()
            }
            Self::Resolve { .. }
            | Self::Socket { .. }
            | Self::PortClosed { .. }
            | Self::Unreachable { .. }
            | Self::LoginSilent { .. }
            | Self::NoAnswer { .. }
            | Self::QueueFull { .. }
            | Self::Busy { .. }
            | Self::TooManySessions { .. }
            | Self::PowerStateNotReached { source: None, .. }
            | Self::ShuttingDown { .. } => Retry::Transient,
        }
    }

    /// The completion code, when the BMC answered with one.
    pub(crate) const fn completion(&self) -> Option<CompletionCode> {
        match self {
            Self::Command { source: CommandError::Completion { code, .. }, .. } => Some(*code),
            _ => None,
        }
    }
}

impl Judged for Error {
    fn sign(&self) -> Sign {
        match self {
            Self::Login { .. } if self.retry() == Retry::NeedsOperator => Sign::Distrust,
            Self::Login { .. }
            | Self::Unreachable { .. }
            | Self::PortClosed { .. }
            | Self::LoginSilent { .. }
            | Self::Resolve { .. }
            | Self::Socket { .. } => Sign::Silence,
            _ => Sign::Nothing,
        }
    }
}

fn login_retry(error: &ClientError) -> Retry {
    match error {
        ClientError::WrongPassword
        | ClientError::WrongBmcKey
        | ClientError::UnknownUser
        | ClientError::PrivilegeTooHigh { .. }
        | ClientError::NoMatchingCipherSuite { .. }
        | ClientError::OldProtocol => Retry::NeedsOperator,
        ClientError::Completion { code, .. } if !code.is_transient() => Retry::NeedsOperator,
        _ => Retry::Transient,
    }
}

fn command_retry(error: &CommandError) -> Retry {
    match error {
        CommandError::Completion { code: CompletionCode::InsufficientPrivilege, .. } => Retry::NeedsOperator,
        CommandError::Completion { code, .. } if code.is_transient() => Retry::Transient,
        // The state changes: a machine that is off cannot be reset now.
        CommandError::Completion {
            code: CompletionCode::NotInThisState | CompletionCode::Unspecified,
            ..
        } => Retry::Transient,
        CommandError::Completion { .. } | CommandError::Malformed { .. } => Retry::Permanent,
    }
}
