//! The life of a node under the core, effect by effect, on the rehearsal's machine.

use std::time::Duration;

use model::{JsonObject, Node, ProvisionState as S, Timestamp};
use provision::{
    Decision, FlowRecord, Input, Policy, RequestedStep, Verb, WaitFor, Wish, World, decide, perform,
};
use rehearsal::{Hardware, Machine};
use serde_json::{Map, json};

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
    pub(crate) plans: Hardware,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    pub(crate) effects: usize,
    pub(crate) crash: Crash,
    /// Every record that was stored.
    pub(crate) records: Vec<FlowRecord>,
}

impl Life {
    pub(crate) fn new(crash: Crash) -> Self {
        Self {
            node: Node::new("ipmi", Timestamp::from_micros(0)),
            flow: None,
            machine: Machine::default(),
            plans: Hardware::default(),
            policy: Policy::default(),
            now: Timestamp::from_micros(0),
            effects: 0,
            crash,
            records: Vec::new(),
        }
    }

    pub(crate) fn with_world<T>(&mut self, turn: impl FnOnce(Node, Option<FlowRecord>, World<'_>) -> T) -> T {
        self.now = self.now.plus(Duration::from_secs(1));
        let world = World { now: self.now, holder: "host", policy: &self.policy, plans: &self.plans };
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
            self.records.extend(self.flow.clone());
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
        Self::whole_of(crash, |_| ())
    }

    /// The same for a node with something special about it.
    pub(crate) fn whole_of(crash: Crash, special: impl FnOnce(&mut Node)) -> Self {
        let mut life = Self::new(crash);
        special(&mut life.node);
        let mut cleaning = manual_clean();
        // It would be refused.
        cleaning.steps.retain(|step| step.step != "power_off" || !life.node.disable_power_off);
        let none = Wish::default();
        for (verb, wish, end) in [
            (Verb::Manage, &none, S::Manageable),
            (Verb::Inspect, &none, S::Manageable),
            (Verb::Clean, &cleaning, S::Manageable),
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
