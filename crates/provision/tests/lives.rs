//! Whole lives of a machine, with a crash before and after every recorded action of every flow: the end is always the
//! same, and nothing destructive happens twice.
#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use std::time::Duration;

use model::{
    BootDevice, BootIntent, InterfaceKind, Node, PowerState, PowerTarget, ProvisionState as S, Timestamp,
};
use provision::{
    Action, AgentStep, Decision, Effect, ErrorCode, FlowRecord, Input, Observed, OfferedStep, OnRestart,
    Outcome, PlannedStep, Plans, Policy, StepError, StepList, StepWait, Verb, WaitFor, World, decide,
    perform, perform_power,
};
use serde_json::{Map, json};

/// The plans of a machine with an agent, and with drivers that offer a step that waits and one that does not.
struct DirectPlans;

impl Plans for DirectPlans {
    fn deploy(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::deploy::direct()
    }

    fn clean(&self, _node: &Node) -> Vec<PlannedStep> {
        provision::flow::clean::in_band()
    }

    fn offered(&self, _node: &Node, list: StepList) -> Vec<OfferedStep> {
        if list != StepList::Clean {
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
}

/// A machine with an agent, as simple as can be.
#[derive(Default)]
struct Machine {
    on: bool,
    network_boot: bool,
    agent: Option<Agent>,
    boots: u32,
    writes: u32,
    erasures: u32,
    tenant_boots: u32,
    /// Tasks of the BMC begun so far.
    tasks: u32,
    /// Whether one goes on, and whether it was asked about.
    task: Option<bool>,
    logs: u32,
}

#[derive(Default)]
struct Agent {
    started_at: String,
    commands: Vec<(String, bool)>,
}

impl Machine {
    fn power_on(&mut self, intent: BootIntent) {
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

    fn power_off(&mut self) {
        self.on = false;
        self.agent = None;
    }

    fn run(&mut self, step: &PlannedStep) -> Outcome {
        let Some(agent) = &mut self.agent else { return Outcome::Failed(lost()) };
        match step.step.as_str() {
            "write_image" => self.writes += 1,
            "erase_devices_metadata" => self.erasures += 1,
            other => panic!("nobody planned {other}"),
        }
        agent.commands.push((step.step.clone(), false));
        Outcome::Started
    }

    fn ask(&self, step: &PlannedStep, known: Option<&str>) -> Outcome {
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
    fn driver_step(&mut self, effect: &Effect) -> Outcome {
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

    fn carry_out(&mut self, node: &Node, effect: &Effect) -> Outcome {
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
            Action::FetchAgentSteps(_) => {
                let Some(agent) = &self.agent else { return Outcome::Failed(lost()) };
                let cleaning = node.provision_state == S::Cleaning;
                let erase = AgentStep {
                    interface: "deploy".to_owned(),
                    step: "erase_devices_metadata".to_owned(),
                    priority: if cleaning { 99 } else { 0 },
                    abortable: true,
                    reboot_requested: false,
                };
                Outcome::Done(Box::new(Observed {
                    steps: vec![erase],
                    agent_started_at: Some(agent.started_at.clone()),
                    ..Observed::default()
                }))
            }
            Action::RunAgentStep(_) => {
                let step = effect.step.as_ref().expect("a step");
                if effect.poll { self.ask(step, effect.agent_started_at.as_deref()) } else { self.run(step) }
            }
            Action::RunStep { .. } | Action::AwaitStep { .. } => self.driver_step(effect),
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
    fn finish_work(&mut self) -> bool {
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
enum Crash {
    Never,
    /// The intent is recorded, nothing was done.
    Before(usize),
    /// It was done, the outcome is not recorded.
    After(usize),
}

struct Life {
    node: Node,
    flow: Option<FlowRecord>,
    machine: Machine,
    policy: Policy,
    now: Timestamp,
    effects: usize,
    crash: Crash,
}

impl Life {
    fn new(crash: Crash) -> Self {
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

    fn with_world<T>(&mut self, turn: impl FnOnce(Node, Option<FlowRecord>, World<'_>) -> T) -> T {
        self.now = self.now.plus(Duration::from_secs(1));
        let world = World { now: self.now, holder: "host", policy: &self.policy, plans: &DirectPlans };
        turn(self.node.clone(), self.flow.clone(), world)
    }

    /// Stores a decision, through JSON as the real store does, and carries out what it asks for, until it rests.
    fn settle(&mut self, mut decision: Decision) {
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
                    Input::Ended { seq: effect.seq, outcome }
                }
            };
            decision = self.input(input);
        }
    }

    fn input(&mut self, input: Input) -> Decision {
        let flow = self.flow.clone().expect("a flow");
        self.with_world(|node, _, world| decide(node, flow, input, world))
    }

    fn ask(&mut self, verb: Verb) {
        let decision =
            self.with_world(|node, flow, world| perform(node, flow, verb, world)).expect("allowed");
        self.settle(decision);
        self.run_to_rest();
    }

    /// The agent calls whenever somebody waits for it.
    fn run_to_rest(&mut self) {
        while let Some(flow) = self.flow.clone() {
            let wait = flow.wait.as_ref().unwrap_or_else(|| panic!("neither an effect nor a wait: {flow:?}"));
            if wait.event == WaitFor::Step {
                self.now = self.now.plus(Duration::from_secs(21));
                let decision = self.input(Input::Timer);
                self.settle(decision);
                continue;
            }
            assert!(self.machine.finish_work(), "nobody is there to call: {flow:?}");
            let members = Map::from_iter([("agent_url".to_owned(), json!("https://agent"))]);
            let decision = self.input(Input::Heartbeat(members));
            self.settle(decision);
        }
    }

    fn whole(crash: Crash) -> Self {
        let mut life = Self::new(crash);
        for (verb, end) in [
            (Verb::Manage, S::Manageable),
            (Verb::Provide, S::Available),
            (Verb::Active, S::Active),
            (Verb::Rebuild, S::Active),
            (Verb::Deleted, S::Available),
        ] {
            life.ask(verb);
            assert_eq!(life.node.provision_state, end, "{verb} with {crash:?}: {:?}", life.node.last_error);
            assert_eq!(life.node.target_provision_state, None);
            assert_eq!(life.node.lease, None);
        }
        life
    }
}

#[test]
fn a_life_without_a_crash() {
    let life = Life::whole(Crash::Never);
    assert_eq!((life.machine.writes, life.machine.erasures, life.machine.tenant_boots), (2, 2, 2));
    assert_eq!((life.machine.tasks, life.machine.logs), (2, 2));
    assert!(!life.machine.on);
    assert_eq!(life.node.power_state, Some(PowerState::Off));
    assert_eq!(life.node.boot_intent, BootIntent::None);
}

#[test]
fn a_crash_at_any_record_changes_nothing() {
    let effects = Life::whole(Crash::Never).effects;
    assert!(effects > 40, "the life has only {effects} actions");
    for number in 0..effects {
        for crash in [Crash::Before(number), Crash::After(number)] {
            let life = Life::whole(crash);
            let done = (life.machine.writes, life.machine.erasures, life.machine.tenant_boots);
            assert_eq!(done, (2, 2, 2), "{crash:?}");
            assert_eq!(life.machine.tasks, 2, "{crash:?}");
            assert!(life.machine.logs >= 2, "{crash:?}");
        }
    }
}

/// Brings a node to the point where its image is being written.
fn writing() -> Life {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    let decision =
        life.with_world(|node, flow, world| perform(node, flow, Verb::Active, world)).expect("allowed");
    life.settle(decision);
    let decision = life.input(Input::Heartbeat(Map::new()));
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait);
    assert!(matches!(life.flow.as_ref().unwrap().wait.as_ref().unwrap().event, WaitFor::AgentStep(_)));
    life
}

#[test]
fn an_agent_that_never_calls_fails_the_deployment_with_its_code() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    life.ask(Verb::Provide);
    let decision =
        life.with_world(|node, flow, world| perform(node, flow, Verb::Active, world)).expect("allowed");
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait);
    let before = life.input(Input::Timer);
    assert!(before.flow.is_some(), "given up before the deadline");
    life.now = life.now.plus(Duration::from_secs(1801));
    let decision = life.input(Input::Timer);
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0301"), "{:?}", life.node.last_error);
    assert!(!life.machine.on && life.node.boot_intent == BootIntent::None);
    life.ask(Verb::Active);
    assert_eq!(life.node.provision_state, S::Active);
}

#[test]
fn an_agent_that_dies_is_asked_and_then_given_up() {
    let mut life = writing();
    life.machine.power_off();
    life.now = life.now.plus(Duration::from_secs(361));
    let decision = life.input(Input::Timer);
    assert!(decision.effect.as_ref().is_some_and(|effect| effect.poll), "asked before it is given up");
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0302"), "{:?}", life.node.last_error);
}

#[test]
fn an_agent_that_only_missed_heartbeats_goes_on() {
    let mut life = writing();
    life.now = life.now.plus(Duration::from_secs(361));
    let decision = life.input(Input::Timer);
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait);
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Active);
    assert_eq!(life.machine.writes, 1);
}

#[test]
fn a_reboot_in_the_middle_of_a_write_is_not_written_over() {
    let mut life = writing();
    life.machine.power_off();
    life.machine.network_boot = true;
    life.machine.power_on(BootIntent::Ramdisk);
    let decision = life.input(Input::Heartbeat(Map::new()));
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0303"), "{:?}", life.node.last_error);
    assert_eq!(life.machine.writes, 1);
}

#[test]
fn an_agent_may_call_before_the_bmc_says_that_power_is_on() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    let mut decision =
        life.with_world(|node, flow, world| perform(node, flow, Verb::Provide, world)).expect("allowed");
    // Up to the point where power on is being carried out.
    while !decision.effect.as_ref().is_some_and(|effect| effect.action == Action::PowerOn) {
        let effect = decision.effect.clone().expect("an effect");
        life.node = decision.node;
        life.flow = decision.flow;
        let outcome = life.machine.carry_out(&life.node, &effect);
        decision = life.input(Input::Ended { seq: effect.seq, outcome });
    }
    let effect = decision.effect.clone().expect("an effect");
    life.node = decision.node;
    life.flow = decision.flow;
    let outcome = life.machine.carry_out(&life.node, &effect);
    let early =
        life.input(Input::Heartbeat(Map::from_iter([("agent_url".to_owned(), json!("https://agent"))])));
    assert!(early.effect.is_none());
    life.settle(early);
    let decision = life.input(Input::Ended { seq: effect.seq, outcome });
    let next = decision.effect.as_ref().map(|effect| effect.action.clone());
    assert!(matches!(next, Some(Action::FetchAgentSteps(_))), "{next:?}");
    life.settle(decision);
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::Available);
}

#[test]
fn deletion_overtakes_a_wait() {
    let mut life = writing();
    life.ask(Verb::Deleted);
    assert_eq!(life.node.provision_state, S::Available);
    assert!(life.node.instance_info.is_empty());
}

#[test]
fn abort_waits_for_a_step_that_must_not_be_interrupted() {
    let mut life = writing();
    let decision =
        life.with_world(|node, flow, world| perform(node, flow, Verb::Abort, world)).expect("allowed");
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::DeployWait, "write_image is not abortable");
    life.run_to_rest();
    assert_eq!(life.node.provision_state, S::DeployFailed);
    assert!(life.node.last_error.as_ref().unwrap().contains("E0401"));
}

#[test]
fn a_failed_cleaning_step_puts_the_node_into_maintenance() {
    let mut life = Life::new(Crash::Never);
    life.ask(Verb::Manage);
    let decision =
        life.with_world(|node, flow, world| perform(node, flow, Verb::Provide, world)).expect("allowed");
    life.settle(decision);
    let decision = life.input(Input::Heartbeat(Map::new()));
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::CleanWait);
    life.machine.power_off();
    life.now = life.now.plus(Duration::from_secs(400));
    let decision = life.input(Input::Timer);
    life.settle(decision);
    assert_eq!(life.node.provision_state, S::CleanFailed);
    assert!(life.node.maintenance);
    assert_eq!(life.node.fault, Some(model::Fault::Clean));
    assert_eq!(life.node.target_provision_state, Some(S::Available));
}

#[test]
fn a_reboot_survives_a_crash_at_any_record() {
    for crash in [Crash::Never, Crash::Before(0), Crash::After(0), Crash::Before(1), Crash::After(1)] {
        let mut life = Life::new(crash);
        life.machine.on = true;
        let decision = life
            .with_world(|node, flow, world| {
                perform_power(node, flow.as_ref(), PowerTarget::Reboot, 60, world)
            })
            .expect("allowed");
        assert_eq!(decision.node.target_power_state, Some(PowerTarget::Reboot));
        life.settle(decision);
        assert_eq!(life.machine.boots, 1, "{crash:?}");
        assert_eq!(life.node.power_state, Some(PowerState::On));
        assert_eq!(life.node.target_power_state, None);
        assert!(life.flow.is_none());
    }
}

#[test]
fn every_refusal_names_its_reason() {
    let mut life = Life::new(Crash::Never);
    let refuse = |life: &mut Life, verb| {
        life.with_world(|node, flow, world| perform(node, flow, verb, world))
            .expect_err("refused")
            .to_string()
    };
    assert!(refuse(&mut life, Verb::Active).contains("enroll"));
    life.ask(Verb::Manage);
    life.node.retired = true;
    assert!(refuse(&mut life, Verb::Provide).contains("retired"));
    life.node.retired = false;
    life.ask(Verb::Provide);
    life.node.maintenance = true;
    life.node.maintenance_reason = Some("fans".to_owned());
    assert!(refuse(&mut life, Verb::Active).contains("fans"));
    life.node.maintenance = false;
    life.ask(Verb::Active);
    life.node.protected = true;
    assert!(refuse(&mut life, Verb::Deleted).contains("protected"));
}
