//! What can go wrong between a conductor and an agent.

use agent_api::CommandError;
use std::{error::Error as _, io, time::Duration};

/// Why an agent cannot be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not PEM.
    #[error("the agent's certificate is not PEM")]
    NotPem(#[source] rustls::pki_types::pem::Error),
    /// PEM without a certificate in it.
    #[error("there is no certificate in the PEM text")]
    NoCertificate,
    /// A certificate that cannot serve as a root.
    #[error("a certificate of the bundle cannot be a root of trust")]
    BadRoot(#[source] rustls::Error),
    /// No verifier by these roots.
    #[error("no verifier can be made of these roots")]
    NoVerifier(#[source] rustls::client::VerifierBuilderError),
    /// The cryptography lacks what was asked for.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Why a command has no result, or a bad one. A variant is what was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The agent's URL is not one.
    #[error("the agent's URL is not an http or https URL")]
    BadUrl,
    /// The certificate given for the agent is of no use.
    #[error("the agent's certificate cannot be used")]
    Trust(#[source] TrustError),
    /// The HTTP client could not be built.
    #[error("no HTTP client could be set up for the agent")]
    Setup(#[source] reqwest::Error),
    /// No connection came about, in as many attempts as are allowed. The agent did not see the command.
    #[error("the agent cannot be reached ({attempts} attempts)")]
    Unreachable {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody answers, but not the agent whose certificate is known.
    #[error("what answers at the agent's address does not hold the agent's certificate")]
    Untrusted(#[source] reqwest::Error),
    /// No answer in time. The agent may have got the command.
    #[error("the agent did not answer within {limit:?}")]
    TimedOut {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The connection broke. The agent may have got the command.
    #[error("the connection to the agent broke")]
    Broken(#[source] reqwest::Error),
    /// The agent is at another command: wait for its next heartbeat.
    #[error("the agent is busy: {text}")]
    InProgress {
        /// What it says.
        text: String,
    },
    /// The agent refuses.
    #[error("the agent answered {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says, cut to 500 characters.
        text: String,
    },
    /// More than the allowed number of bytes.
    #[error("the agent's answer is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// Not what the protocol says.
    #[error("the agent's answer to {command} is not what the protocol says")]
    BadReply {
        /// Which command, or path.
        command: String,
        /// The parser's complaint.
        #[source]
        source: serde_json::Error,
    },
    /// The command's arguments do not fit this agent.
    #[error("this agent's {command} takes other arguments: {text}")]
    Mismatch {
        /// Which command.
        command: String,
        /// What it says.
        text: String,
    },
    /// The command ran and failed.
    #[error("the agent's {command} failed: {}", error.text())]
    Failed {
        /// Which command.
        command: String,
        /// Why.
        error: Box<CommandError>,
    },
    /// The command did not end in time.
    #[error("the agent's {command} did not end within {limit:?}")]
    StillRunning {
        /// Which command.
        command: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl AgentError {
    /// Whether the next heartbeat may well bring success: the agent is busy, or could not be reached.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Broken(_)
                | Self::InProgress { .. }
                | Self::StillRunning { .. }
        )
    }

    /// Whether a machine answers that nobody listens there: it is up, and its agent takes no commands any more.
    pub fn is_refused_connection(&self) -> bool {
        let Self::Unreachable { source, .. } = self else { return false };
        let mut next = source.source();
        while let Some(cause) = next {
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(io::ErrorKind::ConnectionRefused) {
                return true;
            }
            next = cause.source();
        }
        false
    }

    /// Whether no one knows if the agent got what it was sent.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Broken(_))
    }

    /// Whether the agent, being older or newer, does not know the command or its arguments.
    pub fn is_api_error(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Mismatch { .. })
    }
}
