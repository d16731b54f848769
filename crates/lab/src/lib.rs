//! The virtual lab: QEMU machines with real firmware and BMC servers that we did not write, in a network of their own.
//!
//! Knows nothing of the service under test: it powers machines, shows their consoles and measures them.

mod dir;

pub use dir::LabDir;

/// Whether this process may make network namespaces and start machines in them.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
