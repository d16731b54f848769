//! Why a fleet cannot be started or enrolled. What goes wrong inside a simulated machine is that machine's story
//! ([`crate::MachineState::last_problem`]), not an error of the fleet.

use std::io;
use std::net::SocketAddr;

/// Why a fleet cannot be started, listed or enrolled.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The addresses for so many nodes do not exist.
    #[error("there are no {nodes} addresses or ports from {first} on")]
    OutOfAddresses {
        /// Nodes wanted.
        nodes: usize,
        /// The first address.
        first: SocketAddr,
    },
    /// A BMC's socket could not be opened.
    #[error("BMC of node {index}: could not listen on {address}")]
    Listen {
        /// Number of the node, from 0.
        index: usize,
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// User name or password do not fit IPMI (16 and 20 bytes).
    #[error("the BMCs' user name or password cannot be used")]
    Credentials(#[source] ipmi::SecretError),
    /// The agents' key or certificates could not be made.
    #[error("the agents' certificates could not be made")]
    Certificate(#[source] rcgen::Error),
    /// The agents' TLS could not be set up.
    #[error("the agents' TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
    /// The API's certificate authority cannot be read or is no PEM.
    #[error("the certificate authority {path} cannot be read")]
    Authority {
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A share on the command line is not `KIND=SHARE`.
    #[error("'{given}' is not a fault: use KIND=SHARE, with a share from 0 to 1 and one of {known}")]
    FaultSyntax {
        /// As given.
        given: String,
        /// The kinds there are.
        known: String,
    },
    /// The API could not be asked.
    #[error("{what}: the API could not be reached")]
    Api {
        /// What was tried.
        what: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The API refused.
    #[error("{what}: the API answered {status}: {text}")]
    Refused {
        /// What was tried.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the API said.
        text: String,
    },
    /// `--enroll` needs `--api`.
    #[error("enrolling needs the URL of the API")]
    NoApi,
    /// The listing could not be written.
    #[error("the listing could not be written")]
    Print(#[source] io::Error),
}
