//! What can go wrong, each variant naming what was tried. It does not know addresses: the shell adds them.

use crate::completion::CompletionCode;
use crate::wire::handshake::Status;
use core::fmt;

/// Bytes that are not what they should be. Decoders return this and never panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The data ends too early.
    #[error("{what}: {need} more bytes needed, {have} left")]
    Truncated {
        /// What was being decoded.
        what: &'static str,
        /// Bytes needed from here.
        need: usize,
        /// Bytes left.
        have: usize,
    },
    /// The data is longer than this kind of message can be.
    #[error("{what}: {have} bytes, at most {limit} are allowed")]
    TooLong {
        /// What was being decoded.
        what: &'static str,
        /// Bytes given.
        have: usize,
        /// The bound.
        limit: usize,
    },
    /// A field has a value that is not allowed.
    #[error("{what}: value {value:#x} is not valid")]
    Invalid {
        /// The field.
        what: &'static str,
        /// The value found.
        value: u32,
    },
    /// A checksum, padding or authentication code is wrong.
    #[error("{what}: check failed")]
    Check {
        /// What was checked.
        what: &'static str,
    },
}

/// The exchange that a console is in, in the order of a session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Get Channel Authentication Capabilities: the first datagram to a BMC.
    Capabilities,
    /// Get Channel Cipher Suites.
    CipherSuites,
    /// RMCP+ Open Session.
    OpenSession,
    /// RAKP messages 1 and 2: the user's name and the proof that the BMC knows the password.
    Rakp1,
    /// RAKP messages 3 and 4: our proof.
    Rakp3,
    /// Set Session Privilege Level.
    Privilege,
    /// A command in the session.
    Command,
    /// Close Session.
    Close,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capabilities => "Get Channel Authentication Capabilities",
            Self::CipherSuites => "Get Channel Cipher Suites",
            Self::OpenSession => "Open Session Request",
            Self::Rakp1 => "RAKP message 1",
            Self::Rakp3 => "RAKP message 3",
            Self::Privilege => "Set Session Privilege Level",
            Self::Command => "command",
            Self::Close => "Close Session",
        })
    }
}

/// Why a session could not be opened or was lost. The [`Client`](crate::Client) is dead afterwards, except after a
/// [`ClientError::Timeout`] in [`Phase::Command`], when the session may still live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nothing came back.
    #[error("no answer to {sent} datagrams of {phase}")]
    Timeout {
        /// What was asked.
        phase: Phase,
        /// Datagrams sent in this phase.
        sent: u32,
    },
    /// The BMC's proof in RAKP message 2 was made with another password, or it said so.
    #[error("wrong password")]
    WrongPassword,
    /// The BMC's proof in RAKP message 4 was made with another BMC key (Kg).
    #[error("wrong BMC key (Kg)")]
    WrongBmcKey,
    /// The BMC has no such user.
    #[error("user is unknown to the BMC or disabled")]
    UnknownUser,
    /// The user may not have the privilege level asked for.
    #[error("user may not have privilege level {requested}")]
    PrivilegeTooHigh {
        /// What was asked for.
        requested: crate::Privilege,
    },
    /// Neither suite 17 nor suite 3 is possible. `offered` has the suites the BMC listed; it is empty when it did not say.
    #[error("no cipher suite in common (BMC offers {offered:?})")]
    NoMatchingCipherSuite {
        /// Suite numbers that the BMC listed.
        offered: Vec<u8>,
    },
    /// All of the BMC's sessions are in use.
    #[error("BMC has no free session")]
    NoFreeSession,
    /// The BMC speaks IPMI 1.5 only, which has no encryption.
    #[error("BMC does not speak IPMI 2.0 (RMCP+)")]
    OldProtocol,
    /// Another refusal by a status code.
    #[error("BMC refused {phase}: {status}")]
    Refused {
        /// What was refused.
        phase: Phase,
        /// Why.
        status: Status,
    },
    /// A session-less command or the privilege command ended with an error.
    #[error("BMC refused {phase}: {code}")]
    Completion {
        /// What was refused.
        phase: Phase,
        /// Why.
        code: CompletionCode,
    },
    /// All 2^32 - 1 sequence numbers of the session are used up: open another.
    #[error("session has used up its sequence numbers")]
    SequenceExhausted,
}

/// Why a request cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no session (yet, or any more).
    #[error("no session is established")]
    NoSession,
    /// One request is in flight already.
    #[error("a request is in flight")]
    Busy,
    /// The request does not fit into a datagram.
    #[error("request data of {have} bytes is too long")]
    TooLong {
        /// Bytes given.
        have: usize,
    },
}

/// Why a response is not the answer hoped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The BMC answered with an error.
    #[error("{command}: {code}")]
    Completion {
        /// The command's name.
        command: &'static str,
        /// The completion code.
        code: CompletionCode,
    },
    /// The BMC's answer makes no sense.
    #[error("{command}: malformed answer")]
    Malformed {
        /// The command's name.
        command: &'static str,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
}
