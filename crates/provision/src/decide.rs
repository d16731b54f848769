//! The decision: from a node, its flow and what just happened to the node, the flow and the one effect that come next.
//!
//! Pure. The caller stores the whole decision in one transaction and only then carries out its effect, so that at any
//! instant the record says what may have been done to the machine.

use std::time::Duration;

use model::{JsonObject, Lease, Node, PowerTarget, ProvisionState as S, Timestamp};
use serde_json::Value;

use crate::effect::{Effect, Observed, Outcome, StepWait};
use crate::error::{ErrorCode, StepError};
use crate::event::FsmEvent;
use crate::flow::{FlowKind, tear_down, verify};
use crate::offer::{OfferedStep, by_themselves};
use crate::record::{FlowRecord, OpenEffect, Phase, Wait, WaitFor};
use crate::step::{Action, AgentStep, OnRestart, PlannedStep, StepList};
use crate::transitions::next_state;

/// Members of `driver_internal_info` that belong to one boot of the agent.
pub const AGENT_KEYS: [&str; 8] = [
    "agent_url",
    "agent_version",
    "agent_last_heartbeat",
    "agent_verify_ca",
    "agent_secret_token",
    "agent_status",
    "agent_status_message",
    "hardware_manager_version",
];

/// Members of `driver_internal_info` that belong to one instance.
pub const INSTANCE_KEYS: [&str; 4] = ["instance", "is_whole_disk_image", "image", "root_uuid_or_disk_id"];

/// Time limits.
#[derive(Debug, Clone)]
pub struct Policy {
    /// From power on to the agent's first heartbeat.
    pub callback_timeout: Duration,
    /// Silence after which a working agent is asked, and given up if it does not answer.
    pub agent_silence: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { callback_timeout: Duration::from_mins(30), agent_silence: Duration::from_mins(6) }
    }
}

/// The plans that a node's driver gives for flows.
pub trait Plans {
    /// Steps of a deployment.
    fn deploy(&self, node: &Node) -> Vec<PlannedStep>;
    /// The frame of a cleaning, which boots and leaves the ramdisk; empty when the node has none.
    fn clean(&self, node: &Node) -> Vec<PlannedStep>;
    /// Whether automated cleaning is on for the node.
    fn cleans(&self, node: &Node) -> bool {
        let _ = node;
        true
    }
    /// The steps that the node's drivers offer for `list`.
    fn offered(&self, node: &Node, list: StepList) -> Vec<OfferedStep> {
        let _ = (node, list);
        Vec::new()
    }
}

/// What a decision needs to know beside the node.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Now.
    pub now: Timestamp,
    /// Name of the deciding conductor.
    pub holder: &'a str,
    /// Time limits.
    pub policy: &'a Policy,
    /// The driver's plans.
    pub plans: &'a dyn Plans,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// What just happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// An effect ended.
    Ended {
        /// Its number.
        seq: i64,
        /// How.
        outcome: Outcome,
    },
    /// The agent called; the members go into `driver_internal_info`.
    Heartbeat(serde_json::Map<String, Value>),
    /// A deadline may have passed.
    Timer,
    /// The process was started again.
    Restarted,
    /// A caller wants it to end.
    Abort,
}

/// A line for the node's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `provisioning`, `deploy_step_start` …
    pub event_type: &'static str,
    /// Whether it is bad news.
    pub error: bool,
    /// The text.
    pub text: String,
}

/// An entry for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something is about to be done.
    Intent {
        /// Number within the flow.
        seq: i64,
        /// The step.
        step: String,
        /// The action.
        action: Action,
        /// Whether it only asks.
        poll: bool,
    },
    /// It ended.
    Outcome {
        /// Number within the flow.
        seq: i64,
        /// How, in words.
        text: String,
    },
}

/// What to store, and the one effect to carry out once that is stored.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The node as it shall be.
    pub node: Node,
    /// Its flow as it shall be; `None` when nothing is under way any more.
    pub flow: Option<FlowRecord>,
    /// For the journal, with the flow each entry belongs to.
    pub journal: Vec<(model::FlowId, Entry)>,
    /// For the history.
    pub notes: Vec<Note>,
    /// To be carried out.
    pub effect: Option<Effect>,
}

impl Decision {
    /// The node is written and nothing more follows; the flow stays as it is.
    pub fn rest(node: Node, flow: Option<FlowRecord>) -> Self {
        Self { node, flow, journal: Vec::new(), notes: Vec::new(), effect: None }
    }
}

/// Begins `kind` on a node whose provision state is already the flow's first.
pub fn begin(node: Node, kind: FlowKind, power: Option<(PowerTarget, u32)>, world: World<'_>) -> Decision {
    let mut turn = Turn::new(node, world);
    turn.start(kind, power);
    turn.finish()
}

/// Goes on with `flow` after `input`.
pub fn decide(node: Node, flow: FlowRecord, input: Input, world: World<'_>) -> Decision {
    let mut turn = Turn::new(node, world);
    turn.flow = Some(flow);
    match input {
        Input::Ended { seq, outcome } => turn.ended(seq, outcome),
        Input::Heartbeat(members) => turn.heartbeat(members),
        Input::Timer => turn.timer(),
        Input::Restarted => turn.restarted(),
        Input::Abort => turn.abort(),
    }
    turn.finish()
}

/// Moves a node by `event` as the table says; false when the table does not allow it.
pub fn move_node(node: &mut Node, event: FsmEvent, now: Timestamp) -> bool {
    let Some(state) = next_state(node.provision_state, event) else { return false };
    node.provision_state = state;
    node.provision_updated_at = Some(now);
    true
}

/// Forgets what belongs to one boot of the agent.
pub fn forget_agent(node: &mut Node) {
    remove_internal(node, &AGENT_KEYS);
}

/// Whether the agent of this boot has called: what an earlier one said is forgotten before each boot.
fn agent_has_called(node: &Node) -> bool {
    node.driver_internal_info.get("agent_url").is_some()
}

fn remove_internal(node: &mut Node, keys: &[&str]) {
    let mut map = node.driver_internal_info.to_map();
    let before = map.len();
    map.retain(|key, _| !keys.contains(&key.as_str()));
    if map.len() != before {
        node.driver_internal_info = JsonObject::from(map);
    }
}

fn merge(object: &mut JsonObject, members: serde_json::Map<String, Value>, replace: bool) {
    if members.is_empty() {
        return;
    }
    let mut map = object.to_map();
    for (key, value) in members {
        if replace && value.is_null() {
            map.remove(&key);
        } else if replace || !map.contains_key(&key) {
            map.insert(key, value);
        }
    }
    *object = JsonObject::from(map);
}

/// One decision in the making.
struct Turn<'a> {
    world: World<'a>,
    node: Node,
    flow: Option<FlowRecord>,
    journal: Vec<(model::FlowId, Entry)>,
    notes: Vec<Note>,
    effect: Option<Effect>,
}

impl<'a> Turn<'a> {
    fn new(node: Node, world: World<'a>) -> Self {
        Self { world, node, flow: None, journal: Vec::new(), notes: Vec::new(), effect: None }
    }

    fn finish(mut self) -> Decision {
        self.hold_lease();
        Decision {
            node: self.node,
            flow: self.flow,
            journal: self.journal,
            notes: self.notes,
            effect: self.effect,
        }
    }

    /// The lease covers exactly the time in which something is done to the machine: waits and questions need none.
    fn hold_lease(&mut self) {
        let open = self.flow.as_ref().and_then(|flow| flow.open.as_ref().map(|open| (flow.kind, open)));
        let Some((kind, open)) = open.filter(|(_, open)| !open.poll) else {
            self.node.lease = None;
            return;
        };
        if self.node.lease.as_ref().is_none_or(|lease| lease.holder != self.world.holder) {
            self.node.lease_epoch += 1;
        }
        self.node.lease = Some(Lease {
            holder: self.world.holder.to_owned(),
            expires_at: self.world.now.plus(open.action.limit() + Duration::from_mins(1)),
            reason: kind.flow().name.to_owned(),
        });
    }

    fn start(&mut self, kind: FlowKind, power: Option<(PowerTarget, u32)>) {
        let steps = match kind {
            FlowKind::Verify => verify::steps(),
            FlowKind::Deploy => self.with_offered(self.world.plans.deploy(&self.node), StepList::Deploy),
            FlowKind::Clean if !self.world.plans.cleans(&self.node) => Vec::new(),
            FlowKind::Clean => self.with_offered(self.world.plans.clean(&self.node), StepList::Clean),
            FlowKind::TearDown => tear_down::steps(),
            FlowKind::Power => {
                power.map(|(target, limit)| crate::flow::power::steps(target, limit)).unwrap_or_default()
            }
        };
        self.node.last_error = None;
        if let Some(target) = kind.flow().target {
            self.node.target_provision_state = Some(target);
        }
        self.node.target_power_state = power.map(|(target, _)| target);
        self.note("provisioning", false, format!("{} started", kind.flow().name));
        self.flow = Some(FlowRecord::new(kind, steps, self.world.now));
        self.advance();
    }

    /// `frame` with those of the drivers' steps that run by themselves.
    fn with_offered(&self, mut frame: Vec<PlannedStep>, list: StepList) -> Vec<PlannedStep> {
        frame.extend(by_themselves(&self.world.plans.offered(&self.node, list)));
        frame
    }

    fn note(&mut self, event_type: &'static str, error: bool, text: String) {
        self.notes.push(Note { event_type, error, text });
    }

    /// Runs what needs no effect, and stops at the first effect, the first wait, or the end.
    fn advance(&mut self) {
        while let Some(action) = self.next_action() {
            let Some(flow) = &mut self.flow else { return };
            match action {
                Action::Boot(intent) => {
                    self.node.boot_intent = intent;
                    flow.action += 1;
                }
                Action::ForgetAgent => {
                    flow.action += 1;
                    flow.agent_started_at = None;
                    forget_agent(&mut self.node);
                }
                // It may have called while the BMC was still confirming that power is on.
                Action::AwaitAgent if agent_has_called(&self.node) => flow.action += 1,
                Action::AwaitAgent => return self.wait(WaitFor::Agent, self.world.policy.callback_timeout),
                Action::AwaitStep { every, limit, .. } => return self.wait_for_step(every, limit),
                action => return self.open(action, false),
            }
        }
    }

    /// The action at the cursor; ends the step, the flow or the failure when there is none left.
    fn next_action(&mut self) -> Option<Action> {
        loop {
            let flow = self.flow.as_mut()?;
            if flow.phase == Phase::Failing {
                let action = flow.kind.flow().after_failure.get(flow.action).cloned();
                if action.is_none() {
                    self.end_failed();
                }
                return action;
            }
            let Some(step) = flow.steps.get_mut(flow.step) else {
                self.end_done();
                continue;
            };
            if step.started_at.is_none() {
                step.started_at = Some(self.world.now);
                self.show_step();
                continue;
            }
            if let Some(action) = step.actions.get(flow.action) {
                return Some(action.clone());
            }
            flow.step += 1;
            flow.action = 0;
            if flow.abort_after {
                self.fail(aborted());
            }
        }
    }

    fn show_step(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        let Some(step) = flow.steps.get(flow.step) else { return };
        if !step.visible {
            return;
        }
        flow.step_started = true;
        let (wire, label) = (step.wire(), step.label());
        match flow.kind {
            FlowKind::Deploy => self.node.deploy_step = wire,
            FlowKind::Clean => self.node.clean_step = wire,
            FlowKind::Verify | FlowKind::TearDown | FlowKind::Power => {}
        }
        self.note("step", false, format!("step {label} started"));
    }

    fn open(&mut self, action: Action, poll: bool) {
        let Some(flow) = &mut self.flow else { return };
        flow.seq += 1;
        flow.open = Some(OpenEffect { seq: flow.seq, action: action.clone(), poll, since: self.world.now });
        let step = flow.current().cloned().filter(|_| flow.phase == Phase::Running);
        let label = step.as_ref().map_or_else(|| "after failure".to_owned(), PlannedStep::label);
        self.journal
            .push((flow.id, Entry::Intent { seq: flow.seq, step: label, action: action.clone(), poll }));
        self.effect = Some(Effect {
            flow: flow.kind,
            seq: flow.seq,
            action,
            poll,
            step,
            agent_started_at: flow.agent_started_at.clone(),
        });
    }

    fn wait(&mut self, event: WaitFor, limit: Duration) {
        let now = self.world.now;
        move_node(&mut self.node, FsmEvent::Wait, now);
        if let Some(flow) = &mut self.flow {
            flow.wait = Some(Wait { event, since: now, deadline: now.plus(limit), give_up: None });
        }
    }

    fn wait_for_step(&mut self, every: u32, limit: u32) {
        self.wait(WaitFor::Step, Duration::from_secs(every.into()));
        if let Some(wait) = self.flow.as_mut().and_then(|flow| flow.wait.as_mut()) {
            wait.give_up = Some(wait.since.plus(Duration::from_secs(limit.into())));
        }
    }

    /// The end of a driver's step has to be asked about.
    fn ask_about_step(&mut self) {
        let Some(flow) = &self.flow else { return };
        let action = flow.current().and_then(|step| step.actions.get(flow.action)).cloned();
        if let Some(action @ Action::AwaitStep { .. }) = action {
            self.open(action, true);
        }
    }

    /// The wait is over: on with the next action.
    fn resume(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        flow.wait = None;
        flow.ask_again = false;
        flow.action += 1;
        move_node(&mut self.node, FsmEvent::Resume, self.world.now);
        self.advance();
    }

    fn heartbeat(&mut self, members: serde_json::Map<String, Value>) {
        merge(&mut self.node.driver_internal_info, members, true);
        let Some(flow) = &mut self.flow else { return };
        let Some(wait) = &mut flow.wait else { return };
        self.node.provision_updated_at = Some(self.world.now);
        match wait.event {
            WaitFor::Agent => self.resume(),
            WaitFor::AgentStep(list) => {
                wait.deadline = self.world.now.plus(self.world.policy.agent_silence);
                if flow.open.is_some() {
                    flow.ask_again = true;
                } else {
                    self.open(Action::RunAgentStep(list), true);
                }
            }
            // The agent has no part in it.
            WaitFor::Step => {}
        }
    }

    fn timer(&mut self) {
        let Some(flow) = &self.flow else { return };
        let Some(wait) = flow.wait.as_ref().filter(|wait| wait.deadline <= self.world.now) else { return };
        match wait.event {
            WaitFor::Agent => {
                let seconds = self.world.now.since(wait.since).as_secs();
                self.fail(
                    StepError::new(
                        ErrorCode::AgentSilent,
                        format!("the ramdisk's agent did not call within {seconds} s of power on."),
                    )
                    .hint("Look at the machine's console and at its boot trace: did it get an address, the script, the kernel?"),
                );
                self.advance();
            }
            // It may just have missed heartbeats: asked once more, and given up when it does not answer.
            WaitFor::AgentStep(list) if flow.open.is_none() => self.open(Action::RunAgentStep(list), true),
            WaitFor::Step if flow.open.is_none() => self.ask_about_step(),
            WaitFor::AgentStep(_) | WaitFor::Step => {}
        }
    }

    fn restarted(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        if let Some(open) = flow.open.take() {
            let text = "interrupted by a restart of the service".to_owned();
            self.journal.push((flow.id, Entry::Outcome { seq: open.seq, text }));
            let poll = open.poll || open.action.on_restart() == OnRestart::Poll;
            return self.open(open.action, poll);
        }
        let Some(wait) = &flow.wait else { return self.advance() };
        match wait.event {
            WaitFor::Agent if agent_has_called(&self.node) => self.resume(),
            // The timer sees to them.
            WaitFor::Agent | WaitFor::Step => {}
            WaitFor::AgentStep(list) => self.open(Action::RunAgentStep(list), true),
        }
    }

    fn abort(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        let running = flow.wait.as_ref().is_some_and(|wait| wait.event != WaitFor::Agent);
        if running && !flow.current().is_some_and(|step| step.abortable) {
            flow.abort_after = true;
            self.note("provisioning", false, "abort: will stop when the running step ends".to_owned());
            return;
        }
        self.fail(aborted());
        self.advance();
    }

    fn ended(&mut self, seq: i64, outcome: Outcome) {
        let Some(flow) = &mut self.flow else { return };
        // The outcome of an effect that an abort, a deletion or a restart has overtaken says nothing any more.
        let Some(open) = flow.open.take_if(|open| open.seq == seq) else { return };
        self.journal.push((flow.id, Entry::Outcome { seq, text: outcome.summary() }));
        let failing = flow.phase == Phase::Failing;
        match outcome {
            Outcome::Done(observed) => self.done(&open, *observed),
            Outcome::Failed(error) | Outcome::Unreachable(error) if failing || !open.action.is_fatal() => {
                self.note("step", true, error.to_string());
                self.next_after_tolerated();
            }
            Outcome::Waiting(wait) => self.step_waits(&open, *wait),
            Outcome::Running | Outcome::Unreachable(_) if matches!(open.action, Action::AwaitStep { .. }) => {
                self.step_goes_on(&open);
            }
            Outcome::Started | Outcome::Running => self.agent_works(&open),
            Outcome::NotFound if matches!(open.action, Action::AwaitStep { .. }) => {
                let text = "the hardware has no record of the step that it began.";
                self.fail(StepError::new(ErrorCode::StepLost, text));
                self.advance();
            }
            // It took the step and knows nothing of it now: sending it again could go on for ever.
            Outcome::NotFound if flow.wait.is_some() => {
                self.fail(
                    StepError::new(
                        ErrorCode::AgentCommand,
                        "the agent has no record of the step that it began.",
                    )
                    .hint("Boot the ramdisk that belongs to this service, and deploy again."),
                );
                self.advance();
            }
            // Never received, and the same agent: nothing was done, so it is sent now.
            Outcome::NotFound => self.open(open.action, false),
            Outcome::Unreachable(error) => self.agent_silent(&open, error),
            Outcome::Failed(error) => {
                self.fail(error);
                self.advance();
            }
        }
    }

    fn next_after_tolerated(&mut self) {
        if let Some(flow) = &mut self.flow {
            flow.action += 1;
        }
        self.advance();
    }

    fn done(&mut self, open: &OpenEffect, observed: Observed) {
        self.observe(&observed);
        let Some(flow) = &mut self.flow else { return };
        if observed.agent_started_at.is_some() {
            flow.agent_started_at = observed.agent_started_at;
        }
        match open.action {
            Action::FetchAgentSteps(list) => plan_agent_steps(flow, list, observed.steps),
            Action::RunAgentStep(_) => {
                reboot_if_requested(flow);
                return self.resume();
            }
            Action::AwaitStep { .. } => return self.resume(),
            _ => {}
        }
        self.next_after_tolerated();
    }

    /// A driver's step goes on by itself: what follows it is that it is waited for.
    fn step_waits(&mut self, open: &OpenEffect, wait: StepWait) {
        let Action::RunStep { list, .. } = open.action else { return self.step_goes_on(open) };
        self.observe(&wait.observed);
        let in_ramdisk = self.node.boot_intent == model::BootIntent::Ramdisk;
        let seconds = |time: Duration| u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX);
        let Some(flow) = &mut self.flow else { return };
        let (index, next) = (flow.step, flow.action + 1);
        if let Some(step) = flow.steps.get_mut(index) {
            let mut then = match (wait.reboot, in_ramdisk) {
                (false, _) => Vec::new(),
                (true, true) => boot_ramdisk_again(),
                (true, false) => vec![Action::PowerOff { grace: 0 }, Action::PowerOn],
            };
            then.push(Action::AwaitStep { list, every: seconds(wait.every), limit: seconds(wait.limit) });
            step.actions.splice(next..next, then);
        }
        self.next_after_tolerated();
    }

    /// Asked, and not at its end: asked again later, or given up.
    fn step_goes_on(&mut self, open: &OpenEffect) {
        let now = self.world.now;
        let Action::AwaitStep { every, limit, .. } = open.action else { return };
        let Some(wait) = self.flow.as_mut().and_then(|flow| flow.wait.as_mut()) else { return };
        if wait.give_up.is_none_or(|at| at > now) {
            wait.deadline = now.plus(Duration::from_secs(every.into()));
            return;
        }
        self.fail(
            StepError::new(ErrorCode::StepTimeout, format!("the step did not end within {limit} s."))
                .hint("Look at the tasks or jobs of the BMC: what does the machine wait for?"),
        );
        self.advance();
    }

    fn observe(&mut self, observed: &Observed) {
        if let Some(power) = observed.power {
            self.node.power_state = Some(power);
        }
        if let Some(mode) = observed.boot_mode {
            self.node.boot_mode = Some(mode);
        }
        merge(&mut self.node.driver_internal_info, observed.internal.clone(), true);
        merge(&mut self.node.properties, observed.properties.clone(), false);
    }

    fn agent_works(&mut self, open: &OpenEffect) {
        let Action::RunAgentStep(list) = open.action else { return };
        let silence = self.world.policy.agent_silence;
        let Some(flow) = &mut self.flow else { return };
        if let Some(wait) = &mut flow.wait {
            if wait.deadline <= self.world.now {
                wait.deadline = self.world.now.plus(silence);
            }
        } else {
            self.wait(WaitFor::AgentStep(list), silence);
        }
        let Some(flow) = &mut self.flow else { return };
        // The end of a short step may have come before its start was recorded: asked once, then heartbeats tell.
        if !open.poll || std::mem::take(&mut flow.ask_again) {
            self.open(Action::RunAgentStep(list), true);
        }
    }

    fn agent_silent(&mut self, open: &OpenEffect, error: StepError) {
        let Action::RunAgentStep(list) = open.action else {
            self.fail(error);
            return self.advance();
        };
        match self.flow.as_ref().and_then(|flow| flow.wait.as_ref()) {
            Some(wait) if wait.deadline > self.world.now => {}
            Some(_) => {
                self.fail(StepError { code: ErrorCode::AgentLost, ..error });
                self.advance();
            }
            // After a restart in the middle of sending: it may come back, its heartbeat will tell.
            None => self.wait(WaitFor::AgentStep(list), self.world.policy.agent_silence),
        }
    }

    fn fail(&mut self, error: StepError) {
        let Some(flow) = &mut self.flow else { return };
        self.notes.push(Note {
            event_type: "provisioning",
            error: true,
            text: match flow.current().filter(|step| step.visible) {
                Some(step) => format!("{} failed in step {}: {error}", flow.kind.flow().name, step.label()),
                None => format!("{} failed: {error}", flow.kind.flow().name),
            },
        });
        flow.failure = Some(error);
        flow.phase = Phase::Failing;
        flow.action = 0;
        flow.wait = None;
        flow.open = None;
    }

    fn end_failed(&mut self) {
        let Some(record) = self.flow.take() else { return };
        let flow = record.kind.flow();
        let error =
            record.failure.unwrap_or_else(|| StepError::new(ErrorCode::Internal, "no cause was recorded."));
        if let Some(event) = flow.fail {
            move_node(&mut self.node, event, self.world.now);
        }
        if flow.failure_needs_operator && record.step_started {
            self.node.maintenance = true;
            self.node.fault = Some(model::Fault::Clean);
            self.node.maintenance_reason = Some(error.to_string());
        }
        let step = record.steps.get(record.step).filter(|step| step.visible);
        self.node.last_error = Some(match step {
            Some(step) => format!("{} failed in step {}: {error}", flow.name, step.label()),
            None => format!("{} failed: {error}", flow.name),
        });
        self.clear_targets();
    }

    fn end_done(&mut self) {
        let Some(record) = self.flow.take() else { return };
        let flow = record.kind.flow();
        self.note("provisioning", false, format!("{} done", flow.name));
        if let Some(event) = flow.done {
            move_node(&mut self.node, event, self.world.now);
        }
        self.clear_targets();
        if record.kind == FlowKind::TearDown {
            clear_instance(&mut self.node);
            self.start(FlowKind::Clean, None);
        }
    }

    fn clear_targets(&mut self) {
        self.node.target_power_state = None;
        self.node.deploy_step = JsonObject::default();
        self.node.clean_step = JsonObject::default();
        if is_settled(self.node.provision_state) {
            self.node.target_provision_state = None;
        }
    }
}

/// Whether a node in `state` is on its way nowhere. A failed deployment or cleaning still has its aim.
const fn is_settled(state: S) -> bool {
    matches!(state, S::Active | S::Available | S::Enroll | S::Manageable | S::Rescue | S::Error)
}

fn aborted() -> StepError {
    StepError::new(ErrorCode::Aborted, "aborted at a caller's request.")
}

fn clear_instance(node: &mut Node) {
    node.instance_info = JsonObject::default();
    node.instance_uuid = None;
    node.instance_name = None;
    node.allocation_uuid = None;
    remove_internal(node, &INSTANCE_KEYS);
}

/// Puts the agent's steps into the plan behind the current one, by priority.
fn plan_agent_steps(flow: &mut FlowRecord, list: StepList, offered: Vec<AgentStep>) {
    let current = flow.current().map_or(i64::MAX, |step| step.priority);
    let planned: Vec<PlannedStep> = offered
        .into_iter()
        .filter(|step| step.priority > 0 && step.priority < current)
        .filter(|step| {
            !flow.steps.iter().any(|known| known.interface == step.interface && known.step == step.step)
        })
        .map(|step| PlannedStep {
            abortable: step.abortable,
            reboot_requested: step.reboot_requested,
            ..PlannedStep::new(&step.interface, &step.step, step.priority, vec![Action::RunAgentStep(list)])
        })
        .collect();
    flow.steps.extend(planned);
    let rest = flow.step + 1;
    if let Some(rest) = flow.steps.get_mut(rest..) {
        crate::offer::sort(rest);
    }
}

fn reboot_if_requested(flow: &mut FlowRecord) {
    let index = flow.step;
    if let Some(step) = flow.steps.get_mut(index).filter(|step| step.reboot_requested) {
        step.actions.extend(boot_ramdisk_again());
        step.reboot_requested = false;
    }
}

/// Off, and into the ramdisk again.
fn boot_ramdisk_again() -> Vec<Action> {
    vec![
        Action::PowerOff { grace: 0 },
        Action::ForgetAgent,
        Action::SetBootDevice { device: model::BootDevice::Pxe, persistent: false },
        Action::PowerOn,
        Action::AwaitAgent,
    ]
}
