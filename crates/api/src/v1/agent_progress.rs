//! Progress that agents report: an addition to the contract. Public; the agent's token is checked by the conductor.

use conductor_api::AgentProgress;
use model::{NodeUuid, Secret};

use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::{Request, no_node};

/// The longest name of a command or phase that is kept.
const MAX_NAME: usize = 128;

/// The body: the agent's token beside the progress.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    agent_token: Secretive,
    command: String,
    phase: String,
    bytes_done: u64,
    bytes_total: Option<u64>,
}

/// A secret as it comes by the wire.
#[derive(serde::Deserialize)]
#[serde(from = "String")]
struct Secretive(Secret);

impl From<String> for Secretive {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// `POST /v1/agent/{node_uuid}/progress`
pub(crate) async fn report(request: Request) -> Answer {
    request.authorise("baremetal:node:ipa_heartbeat", None)?;
    let ident = request.param("node_uuid");
    let node: NodeUuid = ident.parse().map_err(|_| no_node(ident))?;
    let report: Report = serde_json::from_slice(&request.body)
        .map_err(|error| ApiError::bad_request(format!("The body is not a progress report: {error}")))?;
    if report.command.len() > MAX_NAME || report.phase.len() > MAX_NAME {
        return Err(ApiError::bad_request(format!("command and phase have at most {MAX_NAME} bytes")));
    }
    let progress = AgentProgress {
        command: report.command,
        phase: report.phase,
        bytes_done: report.bytes_done,
        bytes_total: report.bytes_total,
    };
    request.state.conductors.agent_progress(node, report.agent_token.0, progress).await?;
    Ok(Reply::no_content())
}
