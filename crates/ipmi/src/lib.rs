//! IPMI 2.0 over LAN (RMCP+) as a sans-IO protocol: both ends take datagrams and the time, and give datagrams,
//! deadlines and events. It knows no socket, no clock, no runtime; randomness is injected ([`Random`]).
//!
//! * [`client::Client`] is the remote console: it opens one authenticated, encrypted session and runs one request at
//!   a time through it.
//! * [`server::Server`] is the BMC: a bounded table of sessions in front of a [`server::Chassis`] of the caller's.
//! * [`command`] has the typed requests and responses, [`wire`] the pure encoders and decoders of every layer.
//!
//! Sources are the *IPMI Specification, Second Generation v2.0, revision 1.1* (cited as "IPMI" with the section or
//! table) and the *ASF 2.0 Specification* for presence pings.

pub mod client;
pub mod command;
pub mod completion;
pub mod crypto;
pub mod error;
mod handshake;
pub mod secret;
pub mod server;
pub mod session;
pub mod suite;
pub mod wire;

pub use client::{Client, Config, Event, Timing};
pub use completion::CompletionCode;
pub use error::{ClientError, CommandError, DecodeError, Phase, RequestError};
pub use secret::{Password, SecretError, Username};
pub use suite::{CipherChoice, CipherSuite, SuiteError};

/// The UDP port of RMCP (ASF 2.0, section 3.2.3).
pub const RMCP_PORT: u16 = 623;

/// Where nonces, session identifiers and initialisation vectors come from. Production code gives the system's
/// generator, a test gives a seeded one.
///
/// Any `FnMut(&mut [u8]) + Send + Sync` is a source.
pub trait Random: Send + Sync {
    /// Fills the whole buffer with unpredictable bytes.
    fn fill(&mut self, buffer: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send + Sync> Random for F {
    fn fill(&mut self, buffer: &mut [u8]) {
        self(buffer);
    }
}

impl core::fmt::Debug for dyn Random {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random")
    }
}

/// A level of privilege in a session (IPMI table 6-4 and section 22.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Privilege {
    /// Only what callback needs.
    Callback = 1,
    /// Reads.
    User = 2,
    /// Reads and power control.
    Operator = 3,
    /// Everything.
    Administrator = 4,
    /// Defined by the vendor.
    Oem = 5,
}

impl Privilege {
    /// The level with this wire value, or nothing when the value is reserved.
    pub const fn from_wire(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Callback),
            2 => Some(Self::User),
            3 => Some(Self::Operator),
            4 => Some(Self::Administrator),
            5 => Some(Self::Oem),
            _ => None,
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

impl core::fmt::Display for Privilege {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Callback => "callback",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Oem => "OEM",
        })
    }
}
