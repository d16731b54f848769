//! The Wrought agent: what runs in the deploy ramdisk of a machine, as its only program.
//!
//! It speaks the protocol of ironic-python-agent to either a Wrought or a stock Ironic server. Read in this order: `session`
//! (its dealings with the API), `server` and `extension` (what a conductor can ask), `step` (what it does to disks),
//! `init` and `network` (being the only program of a machine). It starts no child process but one: the login server of a
//! machine that is rescued (`rescue`).

pub mod agent;
pub mod clock;
pub mod command;
pub mod conductor;
pub mod config_drive;
pub mod console;
pub mod disks;
pub mod download;
pub mod extension;
pub mod fetch;
pub mod init;
pub mod inventory;
pub mod ipmi_device;
pub mod logs;
pub mod machine;
pub mod modules;
pub mod netlink;
pub mod network;
pub mod parameters;
pub mod rescue;
pub mod server;
pub mod session;
pub mod step;
pub mod tls;
pub mod write_image;

/// What heartbeats send as `agent_version`: the version of ironic-python-agent whose protocol this is, and ours.
pub const AGENT_VERSION: &str = concat!("13.0.0+wrought.", env!("CARGO_PKG_VERSION"));
/// Name of the one hardware manager, as the lists of steps know it.
pub const MANAGER: &str = "wrought_hardware_manager";
/// Its version: conductors ask for the steps again when it changes.
pub const MANAGER_VERSION: &str = "1";
