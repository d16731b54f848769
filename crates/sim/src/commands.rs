//! The agent's table of commands: one runs at a time, all of this boot are remembered. Which command does what is
//! decided here; what steps do to the machine is in `steps`.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_api::command::{CommandError, CommandRequest, CommandResult, CommandStatus};
use agent_api::params::{PartitionUuids, SystemLogs};
use agent_api::step::StepKind;
use agent_api::{Fault as ApiFault, Progress};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::agent::Agent;
use crate::machine::Machine;
use crate::operation::{OperationKind, Outcome};
use crate::steps;

/// Commands remembered; the oldest ended one goes first.
const MAX_COMMANDS: usize = 200;
/// Base64 of a gzipped tar without a file.
const EMPTY_LOGS: &str = "H4sIAAAAAAACA+3BAQ0AAADCoPdPbQ43oAAAAAAAAAAAAIA3A5reHScAKAAA";

/// The commands of one boot.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    table: Mutex<Vec<CommandResult>>,
    /// Wakes those who wait for an end.
    ended: Notify,
}

/// How a command ended, when not well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With an error.
    Error(CommandError),
    /// The step list is from another agent.
    VersionMismatch,
}

impl Failure {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Error(CommandError::new(kind, 500, &message, message.clone()))
    }
}

impl Commands {
    pub(crate) fn list(&self) -> Vec<CommandResult> {
        self.table().clone()
    }

    pub(crate) fn get(&self, id: &str) -> Option<CommandResult> {
        self.table().iter().find(|result| result.id == id).cloned()
    }

    /// As [`Commands::get`], when the command has ended.
    pub(crate) async fn join(&self, id: &str) -> Option<CommandResult> {
        loop {
            let mut ended = pin!(self.ended.notified());
            // From here on no end is missed.
            ended.as_mut().enable();
            let result = self.get(id)?;
            if !result.is_running() {
                return Some(result);
            }
            ended.await;
        }
    }

    fn begin(&self, name: &str) -> Result<String, Box<ApiFault>> {
        let mut table = self.table();
        if let Some(running) = table.iter().find(|result| result.is_running()) {
            let text = format!("Agent is busy: executing {}", running.command_name);
            return Err(refuse(409, "AgentIsBusy", text));
        }
        if table.len() == MAX_COMMANDS {
            table.remove(0);
        }
        let id = Uuid::new_v4().to_string();
        table.push(CommandResult {
            id: id.clone(),
            command_name: name.to_owned(),
            command_status: CommandStatus::Running,
            command_error: None,
            command_result: Value::Null,
            command_progress: None,
        });
        Ok(id)
    }

    fn end(&self, id: &str, outcome: Result<Value, Failure>) {
        let mut table = self.table();
        let Some(result) = table.iter_mut().find(|result| result.id == id) else { return };
        result.command_progress = None;
        (result.command_status, result.command_result, result.command_error) = match outcome {
            Ok(value) => (CommandStatus::Succeeded, value, None),
            Err(Failure::VersionMismatch) => (CommandStatus::CleanVersionMismatch, Value::Null, None),
            Err(Failure::Error(error)) => (CommandStatus::Failed, Value::Null, Some(error)),
        };
        drop(table);
        self.ended.notify_waiters();
    }

    pub(crate) fn set_progress(&self, id: &str, progress: Progress) {
        if let Some(result) = self.table().iter_mut().find(|result| result.id == id) {
            result.command_progress = Some(progress);
        }
    }

    fn table(&self) -> MutexGuard<'_, Vec<CommandResult>> {
        // No change under this lock can be left half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error body, boxed as every function that gives one is to have a small `Err`.
#[expect(clippy::unnecessary_box_returns, reason = "callers put it into an Err as it is")]
pub(crate) fn refuse(code: u16, kind: &str, details: impl Into<String>) -> Box<ApiFault> {
    Box::new(ApiFault::new(code, kind, details))
}

/// What a command name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    GetSteps(StepKind),
    ExecuteStep(StepKind),
    InstallBootloader,
    GetPartitionUuids,
    Sync,
    PowerOff,
    Reboot,
    CollectLogs,
    FinalizeRescue,
    Lockdown,
}

impl Command {
    fn parse(name: &str) -> Option<Self> {
        for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
            if name == kind.get_command() {
                return Some(Self::GetSteps(kind));
            }
            if name == kind.execute_command() {
                return Some(Self::ExecuteStep(kind));
            }
        }
        Some(match name {
            "image.install_bootloader" => Self::InstallBootloader,
            "standby.get_partition_uuids" => Self::GetPartitionUuids,
            "standby.sync" => Self::Sync,
            "standby.power_off" => Self::PowerOff,
            "standby.run_image" => Self::Reboot,
            "log.collect_system_logs" => Self::CollectLogs,
            "rescue.finalize_rescue" => Self::FinalizeRescue,
            "system.lockdown" => Self::Lockdown,
            _ => return None,
        })
    }

    /// Whether the agent answers at once and goes on working.
    fn is_asynchronous(self) -> bool {
        matches!(self, Self::ExecuteStep(_) | Self::InstallBootloader)
    }
}

/// Takes a command. With `wait`, or when the command is a short one, the result is final.
pub(crate) async fn take(
    agent: &Arc<Agent>,
    request: CommandRequest,
    wait: bool,
) -> Result<CommandResult, Box<ApiFault>> {
    let Some((extension, name)) = request.parts() else {
        return Err(refuse(400, "InvalidCommandError", format!("{:?} is no command", request.name)));
    };
    let Some(command) = Command::parse(&request.name) else {
        let text = format!("Extension or command not found: {extension}.{name}");
        return Err(refuse(404, "RequestedObjectNotFoundError", text));
    };
    let id = agent.commands.begin(name)?;
    let name = name.to_owned();
    let worker = Arc::clone(agent);
    let work = {
        let id = id.clone();
        async move {
            let outcome = perform(&worker, command, &id, request.params).await;
            let outcome = outcome.map(|value| wrap(value, &name, command.is_asynchronous()));
            worker.commands.end(&id, outcome);
            if command.is_asynchronous() {
                worker.hurry.notify_one();
            }
        }
    };
    // A task of its own: a client that hangs up does not end what it began.
    let death = agent.death.clone();
    let task = agent.machine.shared.spawn(async move {
        death.run_until_cancelled(work).await;
    });
    if wait || !command.is_asynchronous() {
        task.await.map_err(|error| refuse(500, "CommandExecutionError", error.to_string()))?;
    }
    let gone = || refuse(404, "RequestedObjectNotFoundError", "the command is forgotten");
    agent.commands.get(&id).ok_or_else(gone)
}

/// Texts are wrapped; those of asynchronous commands carry the command's name.
fn wrap(value: Value, name: &str, asynchronous: bool) -> Value {
    match value {
        Value::String(text) if asynchronous => json!({ "result": format!("{name}: {text}") }),
        Value::String(text) => json!({ "result": text }),
        other => other,
    }
}

async fn perform(
    agent: &Arc<Agent>,
    command: Command,
    id: &str,
    params: Map<String, Value>,
) -> Result<Value, Failure> {
    let machine = &agent.machine;
    match command {
        Command::GetSteps(kind) => {
            tokio::time::sleep(machine.sample(machine.shared.timing.step) / 10).await;
            Ok(steps::offered(kind).to_value(kind))
        }
        Command::ExecuteStep(kind) => steps::execute(agent, kind, id, &params).await,
        Command::InstallBootloader => {
            let running = machine.begin(OperationKind::InstallBootloader, "install_bootloader");
            tokio::time::sleep(machine.sample(machine.shared.timing.step)).await;
            if machine.state().image.is_none() {
                running.end(Outcome::Failed, |_| {});
                return Err(Failure::new("DeviceNotFound", "there is no image on the disk"));
            }
            running.end(Outcome::Done, |_| {});
            Ok(Value::Null)
        }
        Command::GetPartitionUuids => {
            let uuids = PartitionUuids {
                root_uuid: Some(machine.uuid().to_string()),
                efi_system_partition_uuid: Some("5C1A-0001".to_owned()),
                ..PartitionUuids::default()
            };
            serde_json::to_value(uuids).map_err(|error| Failure::new("SerializationError", error.to_string()))
        }
        Command::Sync => Ok("synced".into()),
        Command::CollectLogs => serde_json::to_value(SystemLogs { system_logs: EMPTY_LOGS.to_owned() })
            .map_err(|error| Failure::new("SerializationError", error.to_string())),
        Command::FinalizeRescue => finalize_rescue(&params),
        Command::PowerOff => {
            shut_down(machine, Arc::new(|machine: &Arc<Machine>| machine.power_off()));
            Ok(Value::Null)
        }
        Command::Reboot => {
            shut_down(machine, Arc::new(Machine::reset));
            Ok(Value::Null)
        }
        Command::Lockdown => {
            let death = agent.death.clone();
            let pause = machine.shared.timing.shutdown.min;
            machine.spawn_while_powered(async move {
                tokio::time::sleep(pause).await;
                death.cancel();
            });
            Ok(Value::Null)
        }
    }
}

fn finalize_rescue(params: &Map<String, Value>) -> Result<Value, Failure> {
    let password = params.get("rescue_password").and_then(Value::as_str).unwrap_or_default();
    if password.is_empty() {
        return Err(Failure::new("TypeError", "finalize_rescue needs a rescue_password"));
    }
    Ok("rescue user is ready".into())
}

type Ending = Arc<dyn Fn(&Arc<Machine>) + Send + Sync>;

/// Ends the running system in its own time, after the answer is out.
fn shut_down(machine: &Arc<Machine>, ending: Ending) {
    let pause = machine.sample(machine.shared.timing.shutdown);
    let stopping = Arc::clone(machine);
    machine.spawn_while_powered(async move {
        tokio::time::sleep(pause).await;
        ending(&stopping);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_protocol() {
        assert_eq!(Command::parse("clean.execute_clean_step"), Some(Command::ExecuteStep(StepKind::Clean)));
        assert_eq!(Command::parse("deploy.get_deploy_steps"), Some(Command::GetSteps(StepKind::Deploy)));
        assert_eq!(Command::parse("standby.sync"), Some(Command::Sync));
        assert_eq!(Command::parse("iscsi.start_iscsi_target"), None);
        assert!(!Command::Sync.is_asynchronous());
    }

    #[test]
    fn texts_are_wrapped_as_the_agent_does() {
        assert_eq!(wrap("done".into(), "sync", false), json!({"result": "done"}));
        assert_eq!(wrap("done".into(), "step", true), json!({"result": "step: done"}));
        assert_eq!(wrap(Value::Null, "step", true), Value::Null);
    }

    #[test]
    fn one_at_a_time() {
        let commands = Commands::default();
        let id = commands.begin("a").unwrap();
        assert_eq!(commands.begin("b").unwrap_err().code, 409);
        commands.end(&id, Ok(Value::Null));
        commands.begin("b").unwrap();
        assert_eq!(commands.list().len(), 2);
    }
}
