//! The commands by name: which exist, which are waited for, and which part of the agent carries them out.

use crate::{
    agent::Agent,
    command::{Command, Commands, Failure, Outcome},
    init, inventory, logs,
    machine::Ending,
    rescue, step,
};
use agent_api::{CommandRequest, Fault, StepKind, params};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Extensions of the protocol.
const EXTENSIONS: [&str; 10] =
    ["clean", "deploy", "service", "standby", "image", "log", "poll", "rescue", "system", "flow"];

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    GetSteps(StepKind),
    ExecuteStep(StepKind),
    GetPartitionUuids,
    InstallBootLoader,
    Sync,
    End(Ending),
    CollectLogs,
    HardwareInfo,
    FinalizeRescue,
}

impl Kind {
    fn of(extension: &str, command: &str) -> Option<Self> {
        Some(match (extension, command) {
            ("clean", "get_clean_steps") => Self::GetSteps(StepKind::Clean),
            ("deploy", "get_deploy_steps") => Self::GetSteps(StepKind::Deploy),
            ("service", "get_service_steps") => Self::GetSteps(StepKind::Service),
            ("clean", "execute_clean_step") => Self::ExecuteStep(StepKind::Clean),
            ("deploy", "execute_deploy_step") => Self::ExecuteStep(StepKind::Deploy),
            ("service", "execute_service_step") => Self::ExecuteStep(StepKind::Service),
            ("standby", "get_partition_uuids") => Self::GetPartitionUuids,
            ("standby", "sync") => Self::Sync,
            ("standby", "power_off") => Self::End(Ending::PowerOff),
            ("standby", "run_image") => Self::End(Ending::Reboot),
            ("system", "lockdown") => Self::End(Ending::Lockdown),
            ("image", "install_bootloader") => Self::InstallBootLoader,
            ("log", "collect_system_logs") => Self::CollectLogs,
            ("poll", "get_hardware_info") => Self::HardwareInfo,
            ("rescue", "finalize_rescue") => Self::FinalizeRescue,
            _ => return None,
        })
    }

    /// Whether a conductor gets the result in the answer even if it does not ask to wait.
    fn is_synchronous(self) -> bool {
        !matches!(self, Self::ExecuteStep(_) | Self::InstallBootLoader | Self::End(_))
    }
}

/// Starts a command. Returns it, and whether its answer waits for its end in any case.
pub fn start(agent: &Arc<Agent>, request: CommandRequest) -> Result<(Arc<Command>, bool), Box<Fault>> {
    let fault = |code, kind: &str, text: String| Box::new(Fault::new(code, kind, text));
    let bad = |text| fault(400, "InvalidCommandError", text);
    let form = || bad("Invalid command: Command name must be of the form <extension>.<name>".to_owned());
    let (extension, name) = request.parts().ok_or_else(form)?;
    if !EXTENSIONS.contains(&extension) {
        return Err(fault(
            404,
            "RequestedObjectNotFoundError",
            format!("Extension with id {extension} not found."),
        ));
    }
    let kind = Kind::of(extension, name);
    let busy = |busy: crate::command::Busy| fault(409, "AgentIsBusy", busy.to_string());
    let Some(kind) = kind else {
        return Err(bad(format!("Invalid command: Unknown command: {name}")));
    };
    let command = agent.commands.begin(name).map_err(busy)?;
    tracing::info!("command {}", request.name);
    let (agent, running) = (agent.clone(), command.clone());
    tokio::spawn(async move {
        let outcome = carry_out(&agent, &running, kind, request.params).await;
        Commands::end(&running, outcome);
        if !kind.is_synchronous() {
            agent.beat.notify_one();
        }
    });
    Ok((command, kind.is_synchronous()))
}

async fn carry_out(
    agent: &Arc<Agent>,
    command: &Arc<Command>,
    kind: Kind,
    params: Map<String, Value>,
) -> Outcome {
    match kind {
        Kind::GetSteps(kind) => {
            let _: (Value, Value) = (required(&params, "node")?, required(&params, "ports")?);
            Ok(step::offered(kind).to_value(kind))
        }
        Kind::ExecuteStep(kind) => step::execute(agent, command, kind, params).await,
        Kind::GetPartitionUuids => step::partition_uuids(agent).await,
        Kind::InstallBootLoader => {
            let request: params::InstallBootloader = arguments(params)?;
            command.set_progress("boot_loader", 0, None);
            step::install_boot_loader(agent, &request).await
        }
        Kind::Sync => {
            blocking(|| {
                rustix::fs::sync();
                Ok(Value::Null)
            })
            .await
        }
        Kind::End(ending) => {
            blocking(|| {
                rustix::fs::sync();
                Ok(Value::Null)
            })
            .await?;
            agent.machine.end_soon(ending);
            Ok(Value::Null)
        }
        Kind::CollectLogs => {
            let gathering = agent.clone();
            blocking(move || logs::collect(&gathering)).await
        }
        Kind::HardwareInfo => {
            let gathering = agent.clone();
            blocking(move || Ok(json!(inventory::gather(&gathering)))).await
        }
        Kind::FinalizeRescue => {
            rescue::open(agent, &arguments(params)?).await?;
            agent.machine.end_soon(Ending::Rescue);
            Ok(Value::Null)
        }
    }
}

/// One argument by name.
pub fn required<T: DeserializeOwned>(params: &Map<String, Value>, name: &str) -> Result<T, Failure> {
    let value =
        params.get(name).ok_or_else(|| Failure::arguments(format!("missing required argument: {name}")))?;
    T::deserialize(value).map_err(|error| Failure::arguments(format!("argument {name}: {error}")))
}

/// All arguments as one object.
fn arguments<T: DeserializeOwned>(params: Map<String, Value>) -> Result<T, Failure> {
    serde_json::from_value(Value::Object(params)).map_err(|error| Failure::arguments(error.to_string()))
}

/// Runs work that blocks on a thread of its own. A panic of it (which as init never returns) is a failure.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let task = tokio::task::spawn_blocking(work);
    tokio::select! {
        biased;
        joined = task => joined.unwrap_or_else(|error| Err(Failure::failed(format!("internal error: {error}")))),
        message = init::panicked() => Err(Failure::failed(format!("internal error: {message}"))),
    }
}
