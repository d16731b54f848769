//! The one place where effects leave the process: each action becomes one call of a driver.

use std::time::Duration;

use boot_trace::{BootEventKind, Told};
use db::DbError;
use driver::{AgentCall, AgentReply, DriverError, Drivers, KnownAgent, PowerChange, Retry, StepReply};
use model::{InterfaceKind, Node, PowerState, Timestamp};
use provision::{Action, Effect, ErrorCode, Observed, Outcome, StepError, StepList};

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::engine::Engine;

/// How long reading BIOS settings, or firmware versions, may take.
const READING: Duration = Duration::from_secs(30);

impl Engine {
    pub(crate) async fn carry_out(&self, node: &Node, effect: Effect) -> Outcome {
        let drivers = match self.registry.drivers(node) {
            Ok(drivers) => drivers,
            Err(error) => return Outcome::Failed(StepError::new(ErrorCode::DriverInfo, error.to_string())),
        };
        if let Action::RunOnChildren { list, only } = &effect.action {
            return Box::pin(self.run_on_children(node, effect.step.as_ref(), *list, only)).await;
        }
        if matches!(effect.action, Action::PowerOn | Action::Reset) {
            // Before it is done: the machine may ask for an address while the BMC still confirms.
            let told = Told::machine(BootEventKind::PowerOn { intent: node.boot_intent });
            self.db.see_boot(Some(node.uuid), Timestamp::now(), told);
        }
        if matches!(effect.action, Action::StopConsole | Action::StartConsole) {
            let switched = self.switch(node, effect.action == Action::StartConsole).await;
            return switched.map_or_else(Outcome::Failed, |()| Outcome::done());
        }
        let reads_facts = effect.action == Action::ReadBmcFacts;
        let inspects = effect.action == Action::Inspect;
        let mut outcome = match attempt(&drivers, node, effect).await {
            Ok(outcome) => outcome,
            Err(error) => return Outcome::Failed(error.into_step_error()),
        };
        if let Outcome::Done(observed) = &mut outcome {
            if reads_facts {
                self.read_firmware(node, observed).await;
            }
            if let Err(error) = self.keep(node, observed).await {
                let text = format!("what was read from the machine cannot be stored: {error}.");
                return Outcome::Failed(StepError::new(ErrorCode::Internal, text));
            }
            if inspects && let Err(error) = self.work_on_report(node.uuid).await {
                return Outcome::Failed(error);
            }
        }
        outcome
    }

    /// Reads BIOS settings and firmware versions, where the node's drivers can. A failure is no reason to stop.
    async fn read_firmware(&self, node: &Node, observed: &mut Observed) {
        if let Ok(Some(bios)) = self.registry.bios(node) {
            let settings = timeout(READING, bios.settings(node)).await;
            observed.bios = told(node, "BIOS settings", settings).flatten();
        }
        if let Ok(Some(firmware)) = self.registry.firmware(node) {
            let components = timeout(READING, firmware.components(node)).await;
            observed.firmware = told(node, "firmware versions", components).flatten().unwrap_or_default();
        }
    }

    /// Keeps what is stored apart from the node. The same again changes nothing.
    async fn keep(&self, node: &Node, observed: &mut Observed) -> Result<(), DbError> {
        if let Some(settings) = observed.bios.take() {
            self.db.put_bios_settings(node.uuid, settings).await?;
        }
        let seen = std::mem::take(&mut observed.firmware);
        if seen.is_empty() { Ok(()) } else { self.db.note_firmware(node.uuid, seen).await }
    }
}

/// What was read in time; the log has why not.
fn told<T>(node: &Node, what: &str, read: Result<Result<T, DriverError>, Elapsed>) -> Option<T> {
    match read {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(node = %node.uuid, what, %error, "cannot read from the machine");
            None
        }
        Err(_) => {
            tracing::warn!(node = %node.uuid, what, "the machine did not tell in time");
            None
        }
    }
}

async fn attempt(drivers: &Drivers, node: &Node, effect: Effect) -> Result<Outcome, DriverError> {
    let power = |change| change_power(drivers, node, change);
    Ok(match effect.action.clone() {
        Action::ReadPower => {
            let power = drivers.power.state(node).await?;
            observed(Observed { power: Some(power), ..Observed::default() })
        }
        Action::ReadBmcFacts => observed(drivers.management.facts(node).await?),
        Action::PowerOn => power(PowerChange::On).await?,
        Action::Reset => power(PowerChange::Reset).await?,
        Action::PowerOff { grace } => {
            power(PowerChange::Off { grace: Duration::from_secs(grace.into()) }).await?
        }
        Action::SoftPowerOff { limit } => {
            power(PowerChange::SoftOff { limit: Duration::from_secs(limit.into()) }).await?
        }
        Action::SetBootDevice { device, persistent } => {
            drivers.management.set_boot_device(node, device, persistent).await?;
            Outcome::done()
        }
        Action::Network(change) => {
            drivers.network.change(node, change).await?;
            Outcome::done()
        }
        Action::Inspect => {
            let Some(inspect) = &drivers.inspect else {
                let text = "the node's inspect_interface cannot inspect.";
                return Ok(Outcome::Failed(StepError::new(ErrorCode::DriverInfo, text)));
            };
            observed(inspect.inspect(node).await?)
        }
        Action::PrepareImage => observed(drivers.deploy.prepare_image(node).await?),
        Action::RunStep { list, .. } | Action::AwaitStep { list, .. } => {
            driver_step(drivers, node, list, &effect).await?
        }
        // The core settles these without an effect.
        Action::Boot(_)
        | Action::ForgetAgent
        | Action::AwaitAgent
        | Action::AwaitHeartbeat
        | Action::AwaitInspection
        | Action::Hold
        | Action::Pause { .. } => Outcome::done(),
        _ => ask_agent(drivers, node, effect).await?,
    })
}

fn observed(observed: Observed) -> Outcome {
    Outcome::Done(Box::new(observed))
}

async fn change_power(drivers: &Drivers, node: &Node, change: PowerChange) -> Result<Outcome, DriverError> {
    let state: PowerState = drivers.power.change(node, change).await?;
    Ok(observed(Observed { power: Some(state), ..Observed::default() }))
}

/// Runs a driver's step, or asks how far it got.
async fn driver_step(
    drivers: &Drivers,
    node: &Node,
    list: StepList,
    effect: &Effect,
) -> Result<Outcome, DriverError> {
    let Some(step) = &effect.step else {
        return Ok(Outcome::Failed(StepError::new(ErrorCode::Internal, "an action of a step without one.")));
    };
    let steps = step.interface.parse::<InterfaceKind>().ok().and_then(|kind| drivers.steps.get(&kind));
    let Some(steps) = steps else {
        let text = format!("the node's interfaces do not offer step {} any more.", step.label());
        return Ok(Outcome::Failed(StepError::new(ErrorCode::UnknownStep, text)));
    };
    let asked = matches!(effect.action, Action::AwaitStep { .. });
    let reply =
        if effect.poll { steps.poll(node, list, step).await } else { steps.run(node, list, step).await };
    Ok(match reply {
        Ok(StepReply::Done(facts)) => Outcome::Done(facts),
        Ok(StepReply::Part(part)) => Outcome::Part(part),
        Ok(StepReply::Waiting(_)) if asked => Outcome::Running,
        Ok(StepReply::Waiting(wait)) => Outcome::Waiting(wait),
        Ok(StepReply::NotFound) => Outcome::NotFound,
        Err(error) if asked && error.retry() == Retry::Transient => {
            Outcome::Unreachable(error.into_step_error())
        }
        Err(error) => return Err(error),
    })
}

async fn ask_agent(drivers: &Drivers, node: &Node, effect: Effect) -> Result<Outcome, DriverError> {
    let call = match (effect.action, effect.step) {
        (Action::FetchAgentSteps(list), _) => AgentCall::Steps(list),
        (Action::RunAgentStep(list), Some(step)) if effect.poll => AgentCall::Ask(list, step),
        (Action::RunAgentStep(list), Some(step)) => AgentCall::Run(list, step),
        (Action::FinalizeRescue, _) if effect.poll => AgentCall::AskRescue,
        (Action::FinalizeRescue, _) => AgentCall::FinalizeRescue,
        (Action::InstallBootloader, _) => AgentCall::InstallBootloader,
        (Action::AgentSync, _) => AgentCall::Sync,
        (Action::AgentPowerOff, _) => AgentCall::PowerOff,
        (Action::AgentLockdown, _) => AgentCall::Lockdown,
        (Action::CollectLogs, _) => AgentCall::CollectLogs,
        (action, _) => {
            let text = format!("'{action}' is not a question for the agent.");
            return Ok(Outcome::Failed(StepError::new(ErrorCode::Internal, text)));
        }
    };
    let runs = matches!(call, AgentCall::Run(..));
    let known = KnownAgent {
        started_at: effect.agent_started_at.as_deref(),
        command: effect.agent_command.as_deref(),
    };
    let reply = drivers.deploy.agent(node, call, known).await?;
    Ok(match reply {
        AgentReply::Done(facts) => Outcome::Done(facts),
        AgentReply::Running if runs => Outcome::Started,
        AgentReply::Running => Outcome::Running,
        AgentReply::NotFound => Outcome::NotFound,
        AgentReply::Unreachable(error) => Outcome::Unreachable(error),
    })
}
