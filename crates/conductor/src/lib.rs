//! The conductor: runs what the core decides. Loads a node, asks `provision` what comes next, stores that, carries out
//! the one effect it asked for, and feeds the outcome back.
//!
//! Knows the driver traits, not the drivers; knows no HTTP. Keeps no state of a node in memory but locks and progress.

mod agent;
mod alarm;
mod allocation;
mod carry_out;
mod children;
mod cleaning;
mod consoles;
mod disallowed;
mod engine;
mod gate;
mod hardware;
mod housekeeping;
mod inspection;
mod limits;
mod machine;
mod measure;
mod membership;
mod options;
mod orphans;
mod overdue;
mod power_sync;
mod request;
mod rescue_password;
mod service;
mod standing;
mod tenure;
mod timer;
mod vendor;
mod wish;

pub use cleaning::{AutomatedCleaning, CleaningSteps};
pub use disallowed::DisallowedSteps;
pub use inspection::Inspection;
pub use limits::Limits;
pub use measure::METRICS;
pub use options::Options;
pub use power_sync::PowerSync;
pub use service::{Conductor, StartError};
