//! Clients of the agents that called: one per node, made anew when its address, certificate or token changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent_api::AgentToken;
use agent_client::{AgentClient, AgentTarget, ClientOptions, Trust};
use driver::{DriverError, Retry};
use model::{Node, NodeUuid};
use provision::ErrorCode;

/// Most clients kept; beyond that all are made anew.
const MAX_KEPT: usize = 4096;

/// What identifies one boot of an agent.
#[derive(Clone, PartialEq, Eq)]
struct Identity {
    url: String,
    certificate: Option<String>,
    token: Option<String>,
}

/// The clients of the agents that work for us now.
#[derive(Clone, Default)]
pub struct Agents {
    kept: Arc<Mutex<HashMap<NodeUuid, (Identity, AgentClient)>>>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agents")
    }
}

impl Agents {
    /// The client of the node's agent.
    pub fn client(&self, node: &Node) -> Result<AgentClient, DriverError> {
        let known = |key| node.driver_internal_info.get_str(key).filter(|text| !text.is_empty());
        let Some(url) = known("agent_url") else {
            return Err(failed("the agent has not called yet, so its address is not known."));
        };
        let identity =
            Identity { url, certificate: known("agent_verify_ca"), token: known("agent_secret_token") };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.get(&node.uuid).filter(|(of, _)| *of == identity) {
            return Ok(client.clone());
        }
        let target = AgentTarget {
            url: identity.url.clone(),
            token: identity.token.clone().map(AgentToken::new),
            trust: match identity.certificate.clone() {
                Some(certificate) => Trust::Certificate(certificate),
                // An agent without TLS, where the site allows such: there is nothing to verify.
                None if identity.url.starts_with("http://") => Trust::Nothing,
                None => Trust::Authorities(String::new()),
            },
        };
        let client = AgentClient::new(&target, ClientOptions::default()).map_err(|error| {
            failed(format!("the agent's address or certificate cannot be used: {error}."))
        })?;
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(node.uuid, (identity, client.clone()));
        Ok(client)
    }

    /// Closes the connection to the node's agent.
    pub fn forget(&self, node: NodeUuid) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }
}

fn failed(text: impl Into<String>) -> DriverError {
    DriverError::new(ErrorCode::AgentCommand, Retry::Permanent, text)
}
