//! The commands that a conductor sends, one method each.

use crate::{client::AgentClient, error::AgentError};
use agent_api::{
    AgentStep, CommandResult, CommandStatus, StepKind, StepsReply,
    params::{FinalizeRescue, InstallBootloader, PartitionUuids, SystemLogs},
    step::ManagerVersions,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::time::Duration;

/// Setting a password takes no time; an agent that is still at it after this long is stuck.
const RESCUE_LIMIT: Duration = Duration::from_mins(1);

fn object(value: impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The result of a command that must have ended well.
fn succeeded(result: CommandResult) -> Result<CommandResult, AgentError> {
    if result.command_status == CommandStatus::Succeeded {
        return Ok(result);
    }
    let command = result.command_name;
    let error = Box::new(result.command_error.unwrap_or_default());
    if error.is_argument_mismatch() {
        return Err(AgentError::Mismatch { command, text: error.text().to_owned() });
    }
    Err(AgentError::Failed { command, error })
}

fn parsed<T: DeserializeOwned>(result: CommandResult) -> Result<T, AgentError> {
    let command = result.command_name;
    serde_json::from_value(result.command_result).map_err(|source| AgentError::BadReply { command, source })
}

impl AgentClient {
    /// When the agent started, in its own words: another value than before means that it lost all it was told.
    pub async fn started_at(&self) -> Result<String, AgentError> {
        let status: Value = self.status().await?;
        let bad = || AgentError::BadReply {
            command: "status".to_owned(),
            source: serde::de::Error::missing_field("started_at"),
        };
        match status.get("started_at") {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Null) | None => Err(bad()),
            Some(other) => Ok(other.to_string()),
        }
    }

    /// The steps that the agent offers, and the identifier of the command that told them. `node` and `ports` are the
    /// records, secrets masked.
    pub async fn get_steps(
        &self,
        kind: StepKind,
        node: &Value,
        ports: &Value,
    ) -> Result<(StepsReply, String), AgentError> {
        let params = object(serde_json::json!({ "node": node, "ports": ports }));
        let result = succeeded(self.command(&kind.get_command(), params, true).await?)?;
        let bad = |source| AgentError::BadReply { command: kind.get_command(), source };
        Ok((StepsReply::from_value(kind, &result.command_result).map_err(bad)?, result.id))
    }

    /// Starts a step. It runs on; heartbeats and [`AgentClient::commands`] tell of its end. `versions` are those that came
    /// with the steps.
    pub async fn execute_step(
        &self,
        kind: StepKind,
        step: &AgentStep,
        node: &Value,
        ports: &Value,
        versions: Option<&ManagerVersions>,
    ) -> Result<CommandResult, AgentError> {
        let mut params = object(serde_json::json!({ "step": step, "node": node, "ports": ports }));
        params.insert(kind.version_key(), serde_json::json!(versions));
        let result = self.command(&kind.execute_command(), params, false).await?;
        match &result.command_error {
            Some(error) if error.is_argument_mismatch() => succeeded(result),
            _ => Ok(result),
        }
    }

    /// Identifiers of what was written.
    pub async fn get_partition_uuids(&self) -> Result<PartitionUuids, AgentError> {
        parsed(succeeded(self.command("standby.get_partition_uuids", Map::new(), true).await?)?)
    }

    /// Makes the written disk bootable; waits for the end, for at most `limit`. An agent that does not take
    /// `target_boot_mode` is asked again without it.
    pub async fn install_bootloader(
        &self,
        request: &InstallBootloader,
        limit: Duration,
    ) -> Result<(), AgentError> {
        let outcome = self.try_bootloader(request, limit).await;
        match outcome {
            Err(error) if error.is_api_error() && request.target_boot_mode.is_some() => {
                tracing::info!(%error, "agent does not take the boot mode, asking without it");
                let plain = InstallBootloader { target_boot_mode: None, ..request.clone() };
                self.try_bootloader(&plain, limit).await
            }
            other => other,
        }
    }

    /// Starts a command that may be repeated, or finds the same one at work: a conductor that has died since may have asked
    /// for it.
    async fn begun(&self, name: &str, params: Map<String, Value>) -> Result<CommandResult, AgentError> {
        match self.command(name, params.clone(), false).await {
            Err(AgentError::InProgress { .. }) => match self.adopt(name).await {
                Some(running) => Ok(running),
                // It has just ended, or the agent is at something else and says so again.
                None => self.command(name, params, false).await,
            },
            other => other,
        }
    }

    async fn try_bootloader(&self, request: &InstallBootloader, limit: Duration) -> Result<(), AgentError> {
        let started = self.begun("image.install_bootloader", object(request)).await?;
        succeeded(self.wait_for(started, limit).await?).map(drop)
    }

    /// Writes everything to the disks.
    pub async fn sync(&self) -> Result<(), AgentError> {
        succeeded(self.command("standby.sync", Map::new(), true).await?).map(drop)
    }

    /// Has the machine turn itself off, soon.
    pub async fn power_off(&self) -> Result<CommandResult, AgentError> {
        self.command("standby.power_off", Map::new(), false).await
    }

    /// Has the machine reboot, soon.
    pub async fn run_image(&self) -> Result<CommandResult, AgentError> {
        self.command("standby.run_image", Map::new(), false).await
    }

    /// The ramdisk's logs: base64 of a gzipped tar.
    pub async fn collect_system_logs(&self) -> Result<SystemLogs, AgentError> {
        parsed(succeeded(self.command("log.collect_system_logs", Map::new(), true).await?)?)
    }

    /// Lets the rescuer in by this password.
    pub async fn finalize_rescue(&self, request: &FinalizeRescue) -> Result<(), AgentError> {
        let begun = self.begun("rescue.finalize_rescue", object(request)).await?;
        self.end_of_rescue(begun).await
    }

    /// Waits for the end of a `finalize_rescue` that was begun before.
    pub async fn end_of_rescue(&self, begun: CommandResult) -> Result<(), AgentError> {
        succeeded(self.wait_for(begun, RESCUE_LIMIT).await?).map(drop)
    }

    /// Has the agent cut itself off from the network, soon.
    pub async fn lockdown(&self) -> Result<CommandResult, AgentError> {
        self.command("system.lockdown", Map::new(), false).await
    }
}
