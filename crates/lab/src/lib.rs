//! The virtual lab: QEMU machines with real firmware and BMC servers that we did not write, in a network of their own.
//!
//! [`Lab::up`] makes a network namespace and starts the machines' BMCs in it; [`Lab::block_on`] runs code inside that
//! network; dropping the [`Lab`] leaves nothing behind. Knows nothing of the service under test: it powers machines,
//! shows their consoles and measures them.
//!
//! [`Postgres`] and [`Rabbit`] are servers for tests that need no machine.

mod console;
mod control;
mod dir;
mod machine;
mod network;
mod running;
mod servers;

pub use console::{Console, Waited};
pub use control::MachineInfo;
pub use dir::LabDir;
pub use machine::{Firmware, MachineSpec};
pub use network::{BRIDGE, GATEWAY, Namespace, PREFIX_LENGTH};
pub use running::{Lab, LabOptions, Machine, list, sweep};
pub use servers::{Postgres, Rabbit, Shutdown, idle_port};

/// TCP port of the lab's HTTP server for tenant images, on [`GATEWAY`].
pub const IMAGE_PORT: u16 = 8080;

/// Whether this process may make network namespaces and start machines in them.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
