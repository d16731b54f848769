//! How far a long command is: Wrought's addition to the protocol.
//!
//! A Wrought server names a path in the lookup reply (`config.wrought.progress_path`). Only then the agent posts
//! [`ProgressReport`]s there, at most one a second. A stock server is never sent any.

use crate::token::AgentToken;
use serde::{Deserialize, Serialize};

/// What a running command does, and how far it is. Also the optional key `command_progress` of a command's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// One word: `connect`, `write`, `verify`, `config_drive`, `erase`, `boot_loader`.
    pub phase: String,
    /// Bytes done in this phase.
    pub bytes_done: u64,
    /// Bytes in all, when known.
    #[serde(default)]
    pub bytes_total: Option<u64>,
}

/// Body of a progress report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The shared secret.
    pub agent_token: AgentToken,
    /// The running command, without its extension: `execute_deploy_step`.
    pub command: String,
    /// Where it is.
    #[serde(flatten)]
    pub progress: Progress,
}
