//! `POST /v1/heartbeat/{uuid}`: the agent says that it lives, and where.

use crate::{token::AgentToken, version};
use serde::{Deserialize, Serialize};

/// The body of a heartbeat. Servers refuse unknown keys and keys that are newer than the request's version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Base URL of the agent's own server; empty for agents that take no commands.
    pub callback_url: String,
    /// From API 1.36.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The shared secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_token: Option<AgentToken>,
    /// From API 1.68: PEM text of the certificate that the agent serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_verify_ca: Option<String>,
    /// From API 1.72: `start`, `end` or `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_status: Option<String>,
    /// From API 1.72: free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_status_message: Option<String>,
}

impl Heartbeat {
    /// The same heartbeat without what `version` does not know.
    #[must_use]
    pub fn for_version(mut self, version: version::ApiVersion) -> Self {
        if version < version::AGENT_VERSION_MIN {
            self.agent_version = None;
        }
        if version < version::VERIFY_CA_MIN {
            self.agent_verify_ca = None;
        }
        if version < version::STATUS_MIN {
            self.agent_status = None;
            self.agent_status_message = None;
        }
        self
    }
}
