//! A simulated fleet: machines with an IPMI BMC each and agents that speak the real protocols, thousands of them in
//! one process. What a machine does is decided by a seed; what goes wrong too, or by the caller at any moment.
//!
//! ```text
//! IPMI 2.0 over UDP ──► Bmc ──► Machine (power, boot device, disk) ──► firmware ──► ramdisk ──► Agent
//!                                                                      asks the     boots for    calls the API,
//!                                                                      boot server  a while      serves commands
//! ```
//! Nothing is written anywhere: a disk is a name of an image. What would have destroyed data is kept in a list per
//! machine ([`Machine::operations`]), so that a test can say "no destructive step was repeated".
//!
//! Does not know the service that manages it: no state names, no flows; only the wire.

mod agent;
mod agent_http;
mod certificates;
mod chassis;
mod commands;
mod console;
mod enrolment;
mod error;
mod fault;
mod firmware;
mod fleet;
mod identity;
mod life;
mod machine;
mod operation;
mod options;
mod steps;

pub use console::{Login, SimArgs, TimingPreset, run_cli};
pub use enrolment::Enrolment;
pub use error::SimError;
pub use fault::{Fault, FaultKind, FaultPlan};
pub use fleet::{Fleet, NodeListing};
pub use identity::Credentials;
pub use ipmi::command::boot::BootDevice;
pub use machine::{Machine, MachineState, Phase};
pub use operation::{BmcCommand, BmcOrder, Operation, OperationKind, Outcome};
pub use options::{ApiAccess, Bind, FleetOptions, Span, Timing};
