//! A machine with an agent and a BMC, as simple as can be, and the life of its node under the core.

use std::time::Duration;

use model::{
    BootDevice, BootIntent, InterfaceKind, JsonObject, Node, PowerState, ProvisionState as S, Timestamp,
};
use provision::{
    Action, AgentStep, Decision, Effect, ErrorCode, FlowRecord, Input, Observed, OfferedStep, OnRestart,
    Outcome, PlannedStep, Plans, Policy, RequestedStep, StepError, StepList, StepWait, Verb, WaitFor, Wish,
    World, decide, perform,
};
use serde_json::{Map, json};

/// The plans of a machine with an agent, and with drivers that offer a step that waits and one that does not.
pub(crate) struct DirectPlans;

impl Plans for DirectPlans {
    fn deploy(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::deploy::direct()
    }

    fn clean(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::clean::in_band()
    }

    fn offered(&self, _node: &Node, list: StepList) -> Vec<OfferedStep> {
        if list == StepList::Service {
            return vec![OfferedStep::new(list, InterfaceKind::Vendor, "log_passthrough")];
        }
        if list == StepList::Deploy {
            return Vec::new();
        }
        let settings = OfferedStep {
            priority: 50,
            on_restart: OnRestart::Poll,
            ..OfferedStep::new(list, InterfaceKind::Bios, "apply_defaults")
        };
        let log =
            OfferedStep { priority: 1, ..OfferedStep::new(list, InterfaceKind::Vendor, "log_passthrough") };
        vec![settings, log]
    }

    fn service(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::service::in_band()
    }

    fn rescue(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::in_band()
    }

    fn unrescue(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::rescue::leave()
    }

    fn inspect(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::inspect::in_band()
    }
}

/// A machine with an agent, as simple as can be.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) on: bool,
    pub(crate) network_boot: bool,
    pub(crate) agent: Option<Agent>,
    pub(crate) boots: u32,
    pub(crate) writes: u32,
    pub(crate) erasures: u32,
    pub(crate) tenant_boots: u32,
    /// Tasks of the BMC begun so far.
    pub(crate) tasks: u32,
    /// Whether one goes on, and whether it was asked about.
    pub(crate) task: Option<bool>,
    pub(crate) logs: u32,
    pub(crate) rescues: u32,
    /// It does nothing that it is asked for.
    pub(crate) broken: bool,
    /// Its power cannot be changed.
    pub(crate) stuck: bool,
    pub(crate) inspections: u32,
}

#[derive(Default)]
pub(crate) struct Agent {
    pub(crate) started_at: String,
    pub(crate) commands: Vec<(String, bool)>,
}

impl Machine {
    pub(crate) fn power_on(&mut self, intent: BootIntent) {
        if self.on {
            return;
        }
        self.on = true;
        self.boots += 1;
        if self.network_boot && intent == BootIntent::Ramdisk {
            self.agent = Some(Agent { started_at: format!("boot {}", self.boots), commands: vec![] });
            self.network_boot = false;
        } else if intent == BootIntent::Disk {
            self.tenant_boots += 1;
        }
    }

    pub(crate) fn power_off(&mut self) {
        self.on = false;
        self.agent = None;
    }

    pub(crate) fn run(&mut self, step: &PlannedStep) -> Outcome {
        let Some(agent) = &mut self.agent else { return Outcome::Failed(lost()) };
        match step.step.as_str() {
            "write_image" => self.writes += 1,
            "erase_devices_metadata" => self.erasures += 1,
            "burn_in" => {}
            other => panic!("nobody planned {other}"),
        }
        agent.commands.push((step.step.clone(), false));
        Outcome::Started
    }

    pub(crate) fn ask(&self, step: &PlannedStep, known: Option<&str>) -> Outcome {
        let Some(agent) = &self.agent else { return Outcome::Unreachable(lost()) };
        if known.is_some_and(|known| known != agent.started_at) {
            return Outcome::Failed(StepError::new(ErrorCode::AgentRestarted, "it started anew."));
        }
        match agent.commands.iter().rev().find(|(name, _)| *name == step.step) {
            Some((_, true)) => Outcome::done(),
            Some((_, false)) => Outcome::Running,
            None => Outcome::NotFound,
        }
    }

    /// The step that waits needs a boot and two questions; a crash must not begin it twice.
    pub(crate) fn driver_step(&mut self, effect: &Effect) -> Outcome {
        let step = effect.step.as_ref().expect("a step");
        if step.step == "log_passthrough" {
            self.logs += 1;
            // It comes last: the next cleaning begins a task of its own.
            self.task = None;
            return Outcome::done();
        }
        let wait = StepWait {
            every: Duration::from_secs(20),
            limit: Duration::from_mins(10),
            reboot: true,
            observed: Observed::default(),
        };
        match (&effect.action, effect.poll, self.task) {
            (Action::RunStep { .. }, true, None) | (Action::AwaitStep { .. }, _, None) => Outcome::NotFound,
            (Action::RunStep { .. }, true, Some(_)) => Outcome::Waiting(Box::new(wait)),
            (Action::RunStep { .. }, false, _) => {
                self.tasks += 1;
                self.task = Some(false);
                Outcome::Waiting(Box::new(wait))
            }
            (_, _, Some(false)) => {
                self.task = Some(true);
                Outcome::Running
            }
            (_, _, Some(true) | None) => Outcome::done(),
        }
    }

    /// The steps of the agent.
    fn offered(&self, node: &Node) -> Outcome {
        let Some(agent) = &self.agent else { return Outcome::Failed(lost()) };
        let cleaning = node.provision_state == S::Cleaning;
        let erase = AgentStep {
            interface: "deploy".to_owned(),
            step: "erase_devices_metadata".to_owned(),
            priority: if cleaning { 99 } else { 0 },
            abortable: true,
            reboot_requested: false,
        };
        let burn = AgentStep {
            interface: "deploy".to_owned(),
            step: "burn_in".to_owned(),
            priority: 0,
            abortable: false,
            reboot_requested: true,
        };
        Outcome::Done(Box::new(Observed {
            steps: vec![erase, burn],
            agent_started_at: Some(agent.started_at.clone()),
            ..Observed::default()
        }))
    }

    pub(crate) fn carry_out(&mut self, node: &Node, effect: &Effect) -> Outcome {
        let changes_power = matches!(effect.action, Action::PowerOn | Action::PowerOff { .. });
        if self.broken || (self.stuck && changes_power) {
            return crate::ways_out::broken();
        }
        let power = |state| Outcome::Done(Box::new(Observed { power: Some(state), ..Observed::default() }));
        match &effect.action {
            Action::PowerOn => {
                self.power_on(node.boot_intent);
                power(PowerState::On)
            }
            Action::PowerOff { .. } | Action::SoftPowerOff { .. } => {
                self.power_off();
                power(PowerState::Off)
            }
            Action::ReadPower => power(if self.on { PowerState::On } else { PowerState::Off }),
            Action::SetBootDevice { device, .. } => {
                self.network_boot = *device == BootDevice::Pxe;
                Outcome::done()
            }
            Action::FetchAgentSteps(_) => self.offered(node),
            Action::RunAgentStep(_) => {
                let step = effect.step.as_ref().expect("a step");
                if effect.poll { self.ask(step, effect.agent_started_at.as_deref()) } else { self.run(step) }
            }
            Action::RunStep { .. } | Action::AwaitStep { .. } => self.driver_step(effect),
            Action::Inspect => {
                self.inspections += 1;
                Outcome::done()
            }
            Action::FinalizeRescue => match self.agent {
                Some(_) => {
                    self.rescues += 1;
                    Outcome::done()
                }
                None => Outcome::Failed(lost()),
            },
            Action::InstallBootloader | Action::AgentSync => match self.agent {
                Some(_) => Outcome::done(),
                None => Outcome::Failed(lost()),
            },
            Action::AgentPowerOff => match self.agent {
                Some(_) => {
                    self.power_off();
                    Outcome::done()
                }
                None => Outcome::Failed(lost()),
            },
            _ => Outcome::done(),
        }
    }

    /// The agent finishes what it does; true when there is one to call.
    pub(crate) fn finish_work(&mut self) -> bool {
        match &mut self.agent {
            Some(agent) => {
                agent.commands.iter_mut().for_each(|(_, done)| *done = true);
                true
            }
            None => false,
        }
    }
}

fn lost() -> StepError {
    StepError::new(ErrorCode::AgentLost, "there is no agent.")
}

/// When the process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Crash {
    Never,
    /// The intent is recorded, nothing was done.
    Before(usize),
    /// It was done, the outcome is not recorded.
    After(usize),
}

pub(crate) struct Life {
    pub(crate) node: Node,
    pub(crate) flow: Option<FlowRecord>,
    pub(crate) machine: Machine,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    pub(crate) effects: usize,
    pub(crate) crash: Crash,
}

impl Life {
    pub(crate) fn new(crash: Crash) -> Self {
        Self {
            node: Node::new("ipmi", Timestamp::from_micros(0)),
            flow: None,
            machine: Machine::default(),
            policy: Policy::default(),
            now: Timestamp::from_micros(0),
            effects: 0,
            crash,
        }
    }

    pub(crate) fn with_world<T>(&mut self, turn: impl FnOnce(Node, Option<FlowRecord>, World<'_>) -> T) -> T {
        self.now = self.now.plus(Duration::from_secs(1));
        let world = World { now: self.now, holder: "host", policy: &self.policy, plans: &DirectPlans };
        turn(self.node.clone(), self.flow.clone(), world)
    }

    /// Stores a decision, through JSON as the real store does, and carries out what it asks for, until it rests.
    pub(crate) fn settle(&mut self, mut decision: Decision) {
        loop {
            self.node = decision.node;
            self.flow = decision.flow.map(|flow| {
                serde_json::from_str(&serde_json::to_string(&flow).expect("JSON"))
                    .expect("the record reads back")
            });
            let Some(effect) = decision.effect else { return };
            assert!(self.flow.is_some(), "an effect without a record");
            assert_eq!(
                self.node.lease.is_some(),
                !effect.poll,
                "a lease for exactly what changes the machine"
            );
            let number = self.effects;
            self.effects += 1;
            assert!(self.effects < 500, "the flow goes in circles");
            let input = if self.crash == Crash::Before(number) {
                Input::Restarted
            } else {
                let outcome = self.machine.carry_out(&self.node, &effect);
                if self.crash == Crash::After(number) {
                    Input::Restarted
                } else {
                    Input::Ended { run: effect.run, seq: effect.seq, outcome }
                }
            };
            decision = self.input(input);
        }
    }

    pub(crate) fn input(&mut self, input: Input) -> Decision {
        let flow = self.flow.clone().expect("a flow");
        self.with_world(|node, _, world| decide(node, flow, input, world))
    }

    pub(crate) fn ask(&mut self, verb: Verb) {
        self.ask_with(verb, &Wish::default());
    }

    pub(crate) fn ask_with(&mut self, verb: Verb, wish: &Wish) {
        self.begin(verb, wish);
        self.run_to_rest();
    }

    /// Up to the first wait.
    pub(crate) fn begin(&mut self, verb: Verb, wish: &Wish) {
        let decision = self
            .with_world(|node, flow, world| perform(node, flow, verb, wish, world))
            .unwrap_or_else(|refusal| panic!("{refusal}"));
        self.settle(decision);
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let decision = self.input(input);
        self.settle(decision);
    }

    /// Whatever is waited for comes.
    pub(crate) fn run_to_rest(&mut self) {
        while let Some(flow) = self.flow.clone() {
            let wait = flow.wait.as_ref().unwrap_or_else(|| panic!("neither an effect nor a wait: {flow:?}"));
            match wait.event {
                WaitFor::Step | WaitFor::Pause => {
                    self.now = self.now.plus(Duration::from_secs(31));
                    self.feed(Input::Timer);
                }
                WaitFor::Unhold => self.begin(Verb::Unhold, &Wish::default()),
                WaitFor::Inspection => self.feed(Input::Inspected),
                WaitFor::Agent | WaitFor::AgentStep(_) | WaitFor::Heartbeat => {
                    assert!(self.machine.finish_work(), "nobody is there to call: {flow:?}");
                    self.feed(Input::Heartbeat(called()));
                }
            }
        }
    }

    pub(crate) fn whole(crash: Crash) -> Self {
        let mut life = Self::new(crash);
        let none = Wish::default();
        for (verb, wish, end) in [
            (Verb::Manage, &none, S::Manageable),
            (Verb::Inspect, &none, S::Manageable),
            (Verb::Clean, &manual_clean(), S::Manageable),
            (Verb::Provide, &none, S::Available),
            (Verb::Active, &none, S::Active),
            (Verb::Rebuild, &none, S::Active),
            (Verb::Service, &servicing(), S::Active),
            (Verb::Rescue, &none, S::Rescue),
            (Verb::Unrescue, &none, S::Active),
            (Verb::Deleted, &none, S::Available),
            (Verb::Manage, &none, S::Manageable),
            (Verb::Adopt, &none, S::Active),
        ] {
            life.ask_with(verb, wish);
            assert_eq!(life.node.provision_state, end, "{verb} with {crash:?}: {:?}", life.node.last_error);
            assert_eq!(life.node.target_provision_state, None);
            assert_eq!(life.node.lease, None);
        }
        life
    }
}

/// What an agent says when it calls.
pub(crate) fn called() -> Map<String, serde_json::Value> {
    Map::from_iter([("agent_url".to_owned(), json!("https://agent"))])
}

pub(crate) fn step(label: &str, args: &str) -> RequestedStep {
    let (interface, step) = label.split_once('.').expect("interface.step");
    RequestedStep {
        interface: interface.to_owned(),
        step: step.to_owned(),
        args: JsonObject::parse(args).expect("an object"),
        priority: 0,
        children: None,
    }
}

pub(crate) fn wish(steps: &[&str]) -> Wish {
    Wish { steps: steps.iter().map(|label| step(label, "{}")).collect(), ..Wish::default() }
}

/// Every kind of step there is.
fn manual_clean() -> Wish {
    let mut wish = wish(&[
        "deploy.erase_devices_metadata",
        "deploy.burn_in",
        "bios.apply_defaults",
        "power.reboot",
        "vendor.log_passthrough",
        "power.hold",
        "power.power_off",
        "power.power_on",
        "power.wait",
    ]);
    wish.steps.push(step("power.wait", r#"{"seconds": 9}"#));
    wish
}

fn servicing() -> Wish {
    wish(&["deploy.hold", "deploy.burn_in", "vendor.log_passthrough"])
}
