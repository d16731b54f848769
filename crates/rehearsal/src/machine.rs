//! A machine with a BMC and an agent, as simple as can be: what each action does to it, and what it counts. When things
//! happen is for its owner to say.

use std::time::Duration;

use model::{BootDevice, BootIntent, FlowId, Node, PowerState, Timestamp};
use provision::{
    Action, AgentStep, Effect, ErrorCode, Observed, Outcome, PlannedStep, StepError, StepList, StepPart,
    StepWait,
};

/// The one run of a step that a task of the BMC was begun for.
pub(crate) type StepRun = (FlowId, String, Option<Timestamp>);

/// Which run of which step an effect is about.
pub(crate) fn step_run(effect: &Effect) -> StepRun {
    let label = effect.step.as_ref().map(PlannedStep::label).unwrap_or_default();
    (effect.run, label, effect.step.as_ref().and_then(|step| step.started_at))
}

/// A machine.
#[derive(Debug, Default)]
pub struct Machine {
    /// Whether power is on.
    pub on: bool,
    /// Whether the next boot goes over the network.
    pub network_boot: bool,
    /// What runs in the ramdisk, if that runs.
    pub agent: Option<Agent>,
    /// Boots so far.
    pub boots: u32,
    /// How often it was switched off.
    pub offs: u32,
    /// A boot takes its time: it ends when the owner calls [`Machine::arrive`], not at once.
    pub slow: bool,
    /// Images written, or begun.
    pub writes: u32,
    /// Disks erased, or begun.
    pub erasures: u32,
    /// Boots from the disk.
    pub tenant_boots: u32,
    /// Whether the disks hold something of a user.
    pub dirty: bool,
    /// Tasks of the BMC begun so far.
    pub tasks: u32,
    /// Updates of firmware begun.
    pub updates: u32,
    /// Log steps run.
    pub logs: u32,
    /// Rescues opened to their users.
    pub rescues: u32,
    /// It is open to its rescuer: its agent serves nobody any more.
    pub opened: bool,
    /// Inspections worked on.
    pub inspections: u32,
    /// It does nothing that it is asked for.
    pub broken: bool,
    /// Its power cannot be changed.
    pub stuck: bool,
    /// Its agent offers no step that erases.
    pub spares_disks: bool,
    /// The task of the BMC that goes on, and whether it was asked about.
    pub(crate) task: Option<(StepRun, bool)>,
    /// The update that was begun last, and whether it is the second part.
    pub(crate) update: Option<(StepRun, bool)>,
}

/// An agent in its ramdisk.
#[derive(Debug, Default)]
pub struct Agent {
    /// Tells one boot of it from another.
    pub started_at: String,
    /// What it was told to run, the latest last.
    pub commands: Vec<Command>,
}

/// A step that an agent was told to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The step.
    pub step: String,
    /// How it ended; `None` while it runs.
    pub succeeded: Option<bool>,
}

impl Machine {
    /// Switches it on; nothing happens to one that is on.
    pub fn power_on(&mut self, intent: BootIntent) {
        if self.on {
            return;
        }
        self.on = true;
        self.boots += 1;
        if !self.slow {
            self.arrive(intent);
        }
    }

    /// Its firmware is done: it asks the network, or its disk.
    pub fn arrive(&mut self, intent: BootIntent) {
        let network = std::mem::take(&mut self.network_boot);
        if network && intent == BootIntent::Ramdisk {
            self.agent = Some(Agent { started_at: format!("boot {}", self.boots), commands: Vec::new() });
        } else if intent == BootIntent::Disk {
            self.tenant_boots += 1;
        }
    }

    /// Cuts the power.
    pub fn power_off(&mut self) {
        self.on = false;
        self.opened = false;
        self.agent = None;
    }

    fn run(&mut self, step: &PlannedStep) -> Outcome {
        let Some(agent) = &mut self.agent else { return Outcome::Failed(lost()) };
        if agent.commands.last().is_some_and(|command| command.succeeded.is_none()) {
            let text = "the agent is busy with another command.";
            return Outcome::Failed(StepError::new(ErrorCode::AgentCommand, text));
        }
        match step.step.as_str() {
            "write_image" => {
                self.writes += 1;
                self.dirty = true;
            }
            "erase_devices_metadata" => self.erasures += 1,
            "burn_in" => {}
            other => {
                let text = format!("the agent has no step {other}.");
                return Outcome::Failed(StepError::new(ErrorCode::AgentStepFailed, text));
            }
        }
        agent.commands.push(Command { step: step.step.clone(), succeeded: None });
        Outcome::Started
    }

    fn ask(&self, step: &PlannedStep, effect: &Effect) -> Outcome {
        let Some(agent) = &self.agent else { return Outcome::Unreachable(lost()) };
        if effect.agent_started_at.as_ref().is_some_and(|known| *known != agent.started_at) {
            return Outcome::Failed(StepError::new(ErrorCode::AgentRestarted, "it started anew."));
        }
        let known = effect.agent_command.as_ref().and_then(|command| command.parse().ok()).unwrap_or(0);
        let sent = agent.commands.iter().enumerate().skip(known);
        let told = sent.rev().find(|(_, command)| command.step == step.step);
        match told.map(|(_, command)| command.succeeded) {
            Some(Some(true)) => observed(Observed {
                agent_command: told.map(|(at, _)| (at + 1).to_string()),
                ..Observed::default()
            }),
            Some(Some(false)) => {
                Outcome::Failed(StepError::new(ErrorCode::AgentStepFailed, "the step failed."))
            }
            Some(None) => Outcome::Running,
            None => Outcome::NotFound,
        }
    }

    /// The agent's latest command ends.
    pub fn end_command(&mut self, success: bool) {
        let command = self.agent.as_mut().and_then(|agent| agent.commands.last_mut());
        let Some(command) = command.filter(|command| command.succeeded.is_none()) else { return };
        command.succeeded = Some(success);
        if success && command.step == "erase_devices_metadata" {
            self.dirty = false;
        }
    }

    /// The agent finishes what it does; true when there is one to call.
    pub fn finish_work(&mut self) -> bool {
        self.end_command(true);
        self.agent.is_some()
    }

    /// A task of the BMC was begun for this step before, in `run`.
    pub fn begin_task(&mut self, run: FlowId, step: &PlannedStep) {
        self.task = Some(((run, step.label(), step.started_at), false));
    }

    /// A driver's step: one is done at once, the other needs a boot and two questions, and must not be begun twice.
    fn driver_step(&mut self, node: &Node, effect: &Effect) -> Outcome {
        match effect.step.as_ref().map_or("", |step| step.step.as_str()) {
            "log_passthrough" => {
                self.logs += 1;
                return Outcome::done();
            }
            "verify_clock" => return Outcome::done(),
            "update" => return self.firmware_update(node, effect),
            _ => {}
        }
        let wait = StepWait {
            every: Duration::from_secs(20),
            limit: Duration::from_mins(10),
            reboot: true,
            observed: Observed::default(),
        };
        let ours = step_run(effect);
        let task = self.task.as_mut().filter(|(begun, _)| *begun == ours);
        match (&effect.action, effect.poll, task) {
            (Action::RunStep { .. }, false, _) => {
                self.tasks += 1;
                self.task = Some((ours, false));
                Outcome::Waiting(Box::new(wait))
            }
            (_, _, None) => Outcome::NotFound,
            (Action::RunStep { .. }, true, Some(_)) => Outcome::Waiting(Box::new(wait)),
            (_, _, Some((_, asked))) if !*asked => {
                *asked = true;
                Outcome::Running
            }
            (_, _, Some(_)) => Outcome::done(),
        }
    }

    /// Firmware in two parts, each a task of the BMC that must not be begun twice; the node remembers which is next.
    fn firmware_update(&mut self, node: &Node, effect: &Effect) -> Outcome {
        let second = node.driver_internal_info.get("second_part").is_some();
        let remember = |value| Observed {
            internal: serde_json::Map::from_iter([("second_part".to_owned(), value)]),
            ..Observed::default()
        };
        let begun = self.update == Some((step_run(effect), second));
        if matches!(effect.action, Action::AwaitStep { .. }) {
            let observed = remember(if second { serde_json::Value::Null } else { true.into() });
            return if begun {
                Outcome::Part(Box::new(StepPart { pause: u32::from(!second) * 5, again: !second, observed }))
            } else {
                Outcome::NotFound
            };
        }
        if effect.poll && !begun {
            return Outcome::NotFound;
        }
        if !effect.poll {
            self.updates += 1;
            self.update = Some((step_run(effect), second));
        }
        let (every, limit) = (Duration::from_secs(20), Duration::from_mins(10));
        Outcome::Waiting(Box::new(StepWait { every, limit, reboot: true, observed: Observed::default() }))
    }

    /// The steps of the agent.
    fn offered(&self, list: StepList) -> Outcome {
        let Some(agent) = &self.agent else { return Outcome::Failed(lost()) };
        let erase = AgentStep {
            interface: "deploy".to_owned(),
            step: "erase_devices_metadata".to_owned(),
            priority: if list == StepList::Clean && !self.spares_disks { 99 } else { 0 },
            abortable: true,
            reboot_requested: false,
        };
        let burn = AgentStep {
            step: "burn_in".to_owned(),
            priority: 0,
            abortable: false,
            reboot_requested: true,
            ..erase.clone()
        };
        observed(Observed {
            steps: vec![erase, burn],
            agent_started_at: Some(agent.started_at.clone()),
            agent_command: Some(agent.commands.len().to_string()),
            ..Observed::default()
        })
    }

    fn power(&self) -> Outcome {
        let power = if self.on { PowerState::On } else { PowerState::Off };
        observed(Observed { power: Some(power), ..Observed::default() })
    }

    fn with_agent(&self) -> Outcome {
        if self.agent.is_some() { Outcome::done() } else { Outcome::Failed(lost()) }
    }

    /// Does what the effect asks for, or tells what it asks about.
    pub fn carry_out(&mut self, node: &Node, effect: &Effect) -> Outcome {
        let changes_power =
            matches!(effect.action, Action::PowerOn | Action::PowerOff { .. } | Action::Reset);
        if self.broken || (self.stuck && changes_power) {
            return Outcome::Failed(StepError::new(ErrorCode::BmcUnreachable, "no answer."));
        }
        match &effect.action {
            Action::PowerOn => {
                self.power_on(node.boot_intent);
                self.power()
            }
            Action::PowerOff { .. } | Action::SoftPowerOff { .. } => {
                self.offs += 1;
                self.power_off();
                self.power()
            }
            Action::Reset => {
                self.power_off();
                self.power_on(node.boot_intent);
                self.power()
            }
            Action::AgentLockdown => {
                let outcome = self.with_agent();
                self.agent = None;
                outcome
            }
            Action::ReadPower => self.power(),
            Action::SetBootDevice { device, .. } => {
                self.network_boot = *device == BootDevice::Pxe;
                Outcome::done()
            }
            Action::FetchAgentSteps(list) => self.offered(*list),
            Action::RunAgentStep(_) => match &effect.step {
                Some(step) if effect.poll => self.ask(step, effect),
                Some(step) => self.run(step),
                None => Outcome::Failed(lost()),
            },
            Action::RunStep { .. } | Action::AwaitStep { .. } => self.driver_step(node, effect),
            Action::Inspect => {
                self.inspections += 1;
                Outcome::done()
            }
            Action::FinalizeRescue if effect.poll => match &self.agent {
                _ if self.opened => Outcome::done(),
                Some(_) => Outcome::NotFound,
                None => Outcome::Unreachable(lost()),
            },
            Action::FinalizeRescue => {
                let outcome = self.with_agent();
                self.opened |= self.agent.take().is_some();
                self.rescues += u32::from(outcome == Outcome::done());
                outcome
            }
            Action::InstallBootloader | Action::AgentSync => self.with_agent(),
            Action::AgentPowerOff => {
                let outcome = self.with_agent();
                self.on &= self.agent.take().is_none();
                outcome
            }
            _ => Outcome::done(),
        }
    }
}

fn observed(observed: Observed) -> Outcome {
    Outcome::Done(Box::new(observed))
}

fn lost() -> StepError {
    StepError::new(ErrorCode::AgentLost, "there is no agent.")
}
