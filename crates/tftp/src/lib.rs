//! TFTP for network boot, sans-IO: a read-only server's transfer and a small client.
//!
//! RFC 1350 with the options of RFC 2347 (`blksize` RFC 2348, `timeout` and `tsize` RFC 2349, `windowsize` RFC 7440) and
//! block numbers that go on at 0 after 65535, as all boot firmware expects of files beyond 65535 blocks. Knows neither
//! sockets, clocks nor files: a time is a [`std::time::Duration`] since any moment the caller keeps to, and a file is
//! whatever implements [`Content`].

pub mod client;
mod name;
mod request;
mod transfer;
pub mod wire;

pub use name::{FileName, InvalidName};
pub use request::{Limits, ReadRequest, Refusal};
pub use transfer::{Content, Ended, Transfer};
pub use wire::{DecodeError, ErrorCode, Packet};
