//! Messages between a conductor and the agent in the deploy ramdisk, as JSON shapes with serde.
//!
//! The wire is that of ironic-python-agent: the agent calls `GET /`, `GET /v1/lookup`, `POST /v1/heartbeat/{uuid}` and
//! `POST /v1/continue_inspection`; the conductor calls the agent's `/v1/commands`. Input is read leniently (unknown keys are
//! ignored, optional keys default), output is exact. What Wrought adds is marked as such and is never sent to a peer
//! that did not announce it: see [`progress`].
//!
//! This crate knows no sockets, clocks or disks. The wire names are frozen by the samples in `tests/versioning/`.

pub mod command;
pub mod error;
pub mod heartbeat;
pub mod image;
pub mod inspection;
pub mod inventory;
pub mod lookup;
pub mod params;
pub mod progress;
pub mod step;
pub mod token;
pub mod version;

pub use command::{CommandError, CommandList, CommandRequest, CommandResult, CommandStatus};
pub use error::Fault;
pub use heartbeat::Heartbeat;
pub use image::{Checksum, HashAlgorithm, ImageInfo, ImageInfoError};
pub use inspection::{InspectionReply, InspectionReport};
pub use inventory::Inventory;
pub use lookup::{LookupConfig, LookupNode, LookupReply};
pub use progress::{Progress, ProgressReport};
pub use step::{AgentStep, StepKind, StepOutcome, StepsReply};
pub use token::AgentToken;
