//! The layers of a datagram, outermost first: [`rmcp`], [`packet`] (the session header), then either a message of the
//! [`handshake`] or an IPMI [`message`]. Pure functions from bytes to values and back; every length is bounded and no
//! input makes a decoder panic.

pub mod handshake;
pub mod message;
pub mod packet;
mod reader;
pub mod rmcp;

pub(crate) use reader::Reader;

/// The longest datagram that is looked at, in bytes. The messages of this crate stay far below; a payload's length
/// field could say 65,535.
pub const MAX_DATAGRAM: usize = 1024;
