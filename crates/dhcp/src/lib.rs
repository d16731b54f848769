//! `DHCPv4` for network boot (RFC 2131, RFC 2132, the PXE 2.1 specification, UEFI HTTP boot), sans-IO.
//!
//! Three machines that take bytes and a time and give bytes back:
//! * [`Server`] in [`Mode::Full`] leases addresses and names boot files; in [`Mode::Proxy`] it stands beside another
//!   DHCP server and names boot files only (ports 67 and 4011).
//! * [`client::Client`] gets one interface an address and keeps it.
//!
//! Nothing here knows sockets, clocks or which machines exist: times are a [`std::time::Duration`] since any moment
//! that the caller keeps to, and who may be served what is the caller's closure. The codec is [`wire`]; it is our own
//! because a server on a boot network meets malformed packets daily: options that are not UTF-8, overloaded header fields,
//! split options and hardware address lengths beyond the field must neither panic nor hide the options after them.

mod architecture;
pub mod client;
mod facts;
mod lease;
mod server;
pub mod wire;

pub use architecture::Architecture;
pub use facts::{ClientFacts, VendorClass};
pub use lease::{Lease, LeaseState};
pub use server::{
    Admission, BootAnswer, Config, ConfigError, Destination, Grant, Ignored, Mode, Outcome, Pool, Port,
    Reply, ReplyKind, Server, Subnet, Verdict,
};
pub use wire::{DecodeError, EthernetAddress, MessageType, Packet};
