//! Direct deployment: the agent in the ramdisk fetches the image and writes it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_api::{
    AgentStep as WireStep, CommandResult, CommandStatus, StepKind, StepOutcome, params::InstallBootloader,
};
use agent_client::{AgentClient, AgentError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use driver::{AgentCall, AgentReply, Answer, Deploy, DriverError, KnownAgent, Retry, with_causes};
use images::configdrive::{ConfigDrive, ConfigDriveSource, Identity};
use images::{CachedImage, ImageCache};
use model::{Node, NodeUuid};
use provision::{AgentStep, ErrorCode, Observed, PlannedStep, StepError, StepList};
use serde_json::{Map, Value, json};

use super::image::{self, REMEMBERED};
use super::rescue;
use crate::Options;
use crate::agents::Agents;
use crate::boot::mode::wanted_boot_mode;
use crate::raid::raid_after;

/// How long installing the boot loader may take.
const BOOTLOADER_LIMIT: Duration = Duration::from_mins(4);

/// Most bytes of logs kept from one machine.
const LOG_LIMIT: usize = 64 << 20;

/// Deployment by the agent.
#[derive(Debug)]
pub struct DirectDeploy {
    agents: Agents,
    images: ImageCache,
    images_url: String,
    log_dir: PathBuf,
    /// Priorities in automated cleaning that replace the agent's.
    step_priorities: BTreeMap<String, i64>,
    /// Keeps the images of running deployments in the cache.
    pinned: Arc<Mutex<HashMap<NodeUuid, CachedImage>>>,
}

impl DirectDeploy {
    /// With what the process offers.
    pub fn new(options: &Options) -> Self {
        Self {
            agents: Agents::default(),
            images: options.images.clone(),
            images_url: options.images_url.clone(),
            log_dir: options.log_dir.clone(),
            step_priorities: options.step_priorities.clone(),
            pinned: Arc::default(),
        }
    }

    async fn fetch_image(&self, node: &Node) -> Result<Observed, DriverError> {
        let wanted = image::wanted(node)?;
        let cached =
            self.images.fetch(&wanted.request, |_| ()).await.map_err(|error| image::failed(&error))?;
        let remembered = image::remember(&cached, &wanted, &self.images_url);
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).insert(node.uuid, cached);
        // Built now so that a bad one fails before the machine is touched; built again when it is sent.
        self.configdrive(node).await?;
        let internal = Map::from_iter([
            (REMEMBERED.to_owned(), remembered),
            ("is_whole_disk_image".to_owned(), json!(true)),
        ]);
        Ok(Observed { internal, ..Observed::default() })
    }

    /// The config drive as the agent takes it: base64 of a gzip ISO 9660 image.
    async fn configdrive(&self, node: &Node) -> Result<Option<String>, DriverError> {
        let Some(given) = node.instance_info.get("configdrive").filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let identity = Identity { uuid: node.uuid.to_string(), name: node.name.clone() };
        let drive = match ConfigDriveSource::parse(&given) {
            Ok(source) => ConfigDrive::resolve(source, identity, self.images.web()).await,
            Err(error) => Err(error),
        };
        let drive = drive.map_err(|error| unusable_drive(&error))?;
        Ok(Some(drive.to_wire().map_err(|error| unusable_drive(&error))?))
    }

    async fn steps(
        &self,
        client: &AgentClient,
        node: &Node,
        list: StepList,
    ) -> Result<AgentReply, DriverError> {
        let started = client.started_at().await.ok();
        let (reply, command) = client
            .get_steps(kind(list)?, &agent_node(node), &json!([]))
            .await
            .map_err(|error| command_failed(&error))?;
        let steps = reply
            .steps
            .into_values()
            .flatten()
            .map(|step| AgentStep {
                priority: self.priority(list, &step),
                abortable: step.abortable.unwrap_or(false),
                reboot_requested: step.reboot_requested.unwrap_or(false),
                interface: step.interface,
                step: step.step,
            })
            .collect();
        let internal =
            Map::from_iter([("hardware_manager_version".to_owned(), json!(reply.hardware_manager_version))]);
        Ok(AgentReply::Done(Box::new(Observed {
            steps,
            internal,
            agent_started_at: started,
            agent_command: Some(command),
            ..Observed::default()
        })))
    }

    /// The operator's priorities are for cleaning; in a deployment only the agent's own count.
    fn priority(&self, list: StepList, step: &WireStep) -> i64 {
        let chosen = match list {
            StepList::Clean => self.step_priorities.get(&format!("{}.{}", step.interface, step.step)),
            StepList::Deploy | StepList::Service | StepList::Verify => None,
        };
        chosen.copied().unwrap_or(step.priority)
    }

    async fn run(
        &self,
        client: &AgentClient,
        node: &Node,
        list: StepList,
        step: &PlannedStep,
        known: KnownAgent<'_>,
    ) -> Result<AgentReply, DriverError> {
        let mut args = step.args.to_map();
        if step.step == "write_image" {
            args.insert("image_info".to_owned(), image::image_info(node)?);
            args.insert("configdrive".to_owned(), json!(self.configdrive(node).await?));
        }
        let wire = WireStep {
            step: step.step.clone(),
            interface: step.interface.clone(),
            priority: step.priority,
            abortable: Some(step.abortable),
            args: Some(args),
            ..WireStep::default()
        };
        let versions = node
            .driver_internal_info
            .get("hardware_manager_version")
            .and_then(|value| serde_json::from_value(value).ok());
        let result =
            client.execute_step(kind(list)?, &wire, &agent_node(node), &json!([]), versions.as_ref()).await;
        match result {
            Ok(result) => judge(kind(list)?, step, &result),
            Err(AgentError::InProgress { .. }) => Ok(AgentReply::Running),
            // It may have ended before the agent was asked whether it runs.
            Err(error) if error.is_uncertain() => match ask(client, list, step, known).await? {
                reply @ (AgentReply::Done(_) | AgentReply::Running) => Ok(reply),
                AgentReply::NotFound | AgentReply::Unreachable(_) => Err(command_failed(&error)),
            },
            Err(error) => Err(command_failed(&error)),
        }
    }

    async fn store_logs(&self, client: &AgentClient, node: &Node) -> Result<AgentReply, DriverError> {
        let logs = client.collect_system_logs().await.map_err(|error| command_failed(&error))?;
        let unusable = |text: String| DriverError::new(ErrorCode::AgentCommand, Retry::Permanent, text);
        let bytes = STANDARD
            .decode(logs.system_logs.as_bytes())
            .map_err(|error| unusable(format!("the agent's logs are not base64: {error}.")))?;
        if bytes.len() > LOG_LIMIT {
            return Err(unusable(format!(
                "the agent's logs have {} bytes, more than {LOG_LIMIT}.",
                bytes.len()
            )));
        }
        let path = self.log_dir.join(format!("{}_{}.tar.gz", node.uuid, model::Timestamp::now().as_micros()));
        let stored = async {
            tokio::fs::create_dir_all(&self.log_dir).await?;
            tokio::fs::write(&path, &bytes).await
        };
        stored.await.map_err(|error| {
            unusable(format!("the logs cannot be stored at {}: {error}.", path.display()))
        })?;
        tracing::info!(node = %node.uuid, path = %path.display(), "agent logs stored");
        Ok(AgentReply::Done(Box::default()))
    }

    async fn call(
        &self,
        node: &Node,
        call: AgentCall,
        known: KnownAgent<'_>,
    ) -> Result<AgentReply, DriverError> {
        if matches!(call, AgentCall::CollectLogs | AgentCall::PowerOff | AgentCall::Lockdown) {
            // The end of a deployment, one way or the other: the cache may drop the image now.
            self.pinned.lock().unwrap_or_else(PoisonError::into_inner).remove(&node.uuid);
            // An agent that never called has nothing to collect and nothing to switch off.
            if node.driver_internal_info.get_str("agent_url").is_none() {
                return Ok(AgentReply::Done(Box::default()));
            }
        }
        let client = self.agents.client(node)?;
        let done = || AgentReply::Done(Box::default());
        match call {
            AgentCall::Steps(list) => self.steps(&client, node, list).await,
            AgentCall::Run(list, step) => self.run(&client, node, list, &step, known).await,
            AgentCall::Ask(list, step) => ask(&client, list, &step, known).await,
            AgentCall::FinalizeRescue => rescue::finalize(&client, node).await.map(|()| done()),
            AgentCall::AskRescue => rescue::ask(&client).await,
            AgentCall::InstallBootloader => {
                install_bootloader(&client, node).await?;
                Ok(done())
            }
            AgentCall::Sync => {
                client.sync().await.map_err(|error| command_failed(&error))?;
                Ok(done())
            }
            AgentCall::PowerOff => {
                let result = client.power_off().await.map(drop).map_err(|error| command_failed(&error));
                self.agents.forget(node.uuid);
                result.map(|()| done())
            }
            AgentCall::Lockdown => {
                let result = client.lockdown().await.map(drop).map_err(|error| command_failed(&error));
                self.agents.forget(node.uuid);
                result.map(|()| done())
            }
            AgentCall::CollectLogs => self.store_logs(&client, node).await,
        }
    }
}

impl Deploy for DirectDeploy {
    fn validate(&self, node: &Node) -> Result<(), DriverError> {
        image::wanted(node).map(drop)
    }

    fn deploy_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::deploy::direct()
    }

    fn clean_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::clean::in_band()
    }

    fn service_steps(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::service::in_band()
    }

    fn prepare_image<'a>(&'a self, node: &'a Node) -> Answer<'a, Observed> {
        Box::pin(self.fetch_image(node))
    }

    fn agent<'a>(&'a self, node: &'a Node, call: AgentCall, known: KnownAgent<'a>) -> Answer<'a, AgentReply> {
        Box::pin(self.call(node, call, known))
    }
}

fn unusable_drive(error: &dyn std::error::Error) -> DriverError {
    DriverError::new(ErrorCode::ConfigDrive, Retry::Permanent, format!("the config drive cannot be used: {}.", with_causes(error)))
        .hint("Give a URL, base64 of a gzip ISO 9660 image, or an object with meta_data, user_data and network_data.")
}

fn kind(list: StepList) -> Result<StepKind, DriverError> {
    match list {
        StepList::Clean => Ok(StepKind::Clean),
        StepList::Deploy => Ok(StepKind::Deploy),
        StepList::Service => Ok(StepKind::Service),
        StepList::Verify => {
            let text = "no agent takes part in a verification.";
            Err(DriverError::new(ErrorCode::Internal, Retry::Permanent, text))
        }
    }
}

/// The node's record as agents get it: what they need, and nothing secret.
fn agent_node(node: &Node) -> Value {
    json!({
        "uuid": node.uuid.to_string(),
        "name": node.name,
        "driver": node.driver,
        "properties": node.properties,
        "instance_info": { "capabilities": node.instance_info.get("capabilities") },
        "provision_state": node.provision_state,
        "target_provision_state": node.target_provision_state,
        "extra": node.extra,
        "raid_config": node.raid_config,
        "target_raid_config": node.target_raid_config,
        "driver_internal_info": {
            "is_whole_disk_image": true,
            "agent_erase_devices_iterations": 1,
            "agent_erase_devices_zeroize": true,
            "agent_continue_if_secure_erase_failed": false,
            "agent_enable_nvme_secure_erase": true,
            "agent_enable_ata_secure_erase": true,
            "agent_erase_skip_read_only": false,
            "disk_erasure_concurrency": 4,
        },
    })
}

pub(super) fn command_failed(error: &AgentError) -> DriverError {
    let retry = if error.is_transient() { Retry::Transient } else { Retry::Permanent };
    let code = match error {
        AgentError::Failed { .. } => ErrorCode::AgentStepFailed,
        _ => ErrorCode::AgentCommand,
    };
    DriverError::new(code, retry, format!("{}.", with_causes(error)))
}

/// What a result of `execute_…_step` says about `step`.
fn judge(kind: StepKind, step: &PlannedStep, result: &CommandResult) -> Result<AgentReply, DriverError> {
    match result.command_status {
        CommandStatus::Running => Ok(AgentReply::Running),
        CommandStatus::Succeeded => {
            let outcome = StepOutcome::from_value(kind, &result.command_result);
            let ours = outcome.as_ref().is_none_or(|outcome| {
                outcome.step.get("step").and_then(Value::as_str) == Some(step.step.as_str())
                    && outcome.step.get("interface").and_then(Value::as_str) == Some(step.interface.as_str())
            });
            let raid = outcome.and_then(|outcome| raid_after(&step.interface, &step.step, &outcome.result));
            let observed = Observed { raid, agent_command: Some(result.id.clone()), ..Observed::default() };
            Ok(if ours { AgentReply::Done(Box::new(observed)) } else { AgentReply::NotFound })
        }
        CommandStatus::Failed | CommandStatus::CleanVersionMismatch => {
            let text = result.command_error.as_ref().map_or("the agent gave no reason", |error| error.text());
            Err(DriverError::new(
                ErrorCode::AgentStepFailed,
                Retry::Permanent,
                format!("{}.", text.trim_end_matches('.')),
            )
            .hint("The agent's logs were collected into the service's log directory."))
        }
    }
}

/// Asks how far `step` got.
async fn ask(
    client: &AgentClient,
    list: StepList,
    step: &PlannedStep,
    known: KnownAgent<'_>,
) -> Result<AgentReply, DriverError> {
    if let Some(known) = known.started_at {
        match client.started_at().await {
            Ok(started) if started != known => {
                return Err(DriverError::new(
                    ErrorCode::AgentRestarted,
                    Retry::NeedsOperator,
                    format!("the agent started anew at {started} while it was at work on {}.", step.label()),
                )
                .hint(
                    "The machine rebooted by itself; the step is not repeated, as it may have changed disks.",
                ));
            }
            Ok(_) => {}
            Err(error) => return Ok(unreachable(&error)),
        }
    }
    let commands = match client.commands().await {
        Ok(commands) => commands,
        Err(error) => return Ok(unreachable(&error)),
    };
    let name = format!("execute_{}_step", kind(list)?.as_str());
    match sent_after(&commands, known.command).iter().rev().find(|command| command.command_name == name) {
        Some(command) => judge(kind(list)?, step, command),
        None => Ok(AgentReply::NotFound),
    }
}

/// The commands behind the one that is known. All of them where none is known, or where the agent has forgotten it: then
/// the name of the step has to do.
fn sent_after<'c>(commands: &'c [CommandResult], known: Option<&str>) -> &'c [CommandResult] {
    let at = known.and_then(|known| commands.iter().rposition(|command| command.id == known));
    at.map_or(commands, |at| &commands[at + 1..])
}

/// What is said of an agent that does not answer a question.
pub(super) fn unreachable(error: &AgentError) -> AgentReply {
    AgentReply::Unreachable(
        StepError::new(ErrorCode::AgentLost, format!("{}.", with_causes(error)))
            .hint("Look at the machine's console: did it crash, lose power or its network?"),
    )
}

async fn install_bootloader(client: &AgentClient, node: &Node) -> Result<(), DriverError> {
    let request = InstallBootloader {
        target_boot_mode: Some(wanted_boot_mode(node).as_str().to_owned()),
        ..InstallBootloader::default()
    };
    client.install_bootloader(&request, BOOTLOADER_LIMIT).await.map_err(|error| command_failed(&error))
}
