//! One decision in the making: the cursor of a flow moves over its actions until there is an effect to carry out, a wait,
//! or the end. What comes in from outside is in `turn/inputs.rs`, how effects end in `turn/outcomes.rs`, how flows end in
//! `turn/ending.rs`.

mod ending;
mod inputs;
mod outcomes;

pub use ending::AUTOMATIC_LESSEE;

use std::time::Duration;

use model::{Lease, Node, PowerTarget, ProvisionState as S};

use crate::console::{ConsoleChange, ConsoleTold};
use crate::decide::{Decision, Entry, Note, World, forget_agent, move_node};
use crate::effect::Effect;
use crate::error::{ErrorCode, StepError};
use crate::event::FsmEvent;
use crate::flow::{FlowKind, power};
use crate::plan::Plan;
use crate::record::{Asker, Boots, FlowRecord, OpenEffect, Phase, Wait, WaitFor};
use crate::step::{Action, PlannedStep, StepList};
use crate::told::Status;

/// No step of an agent takes longer: overwriting the largest disks takes days, an agent that hangs calls for ever.
const LONGEST_AGENT_STEP: Duration = Duration::from_hours(7 * 24);

/// Whether the agent of this boot has called: what an earlier one said is forgotten before each boot.
fn agent_has_called(node: &Node) -> bool {
    node.driver_internal_info.get("agent_url").is_some()
}

fn aborted() -> StepError {
    StepError::new(ErrorCode::Aborted, "aborted at a caller's request.")
}

/// One decision in the making.
pub(crate) struct Turn<'a> {
    world: World<'a>,
    node: Node,
    pub(crate) flow: Option<FlowRecord>,
    journal: Vec<(model::FlowId, Entry)>,
    notes: Vec<Note>,
    told: Vec<ConsoleTold>,
    effect: Option<Effect>,
    /// Who asked for the flow that this turn ended: what follows of itself is done for the same.
    asked_by: Option<Asker>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(node: Node, world: World<'a>) -> Self {
        Self {
            world,
            node,
            flow: None,
            journal: Vec::new(),
            notes: Vec::new(),
            told: Vec::new(),
            effect: None,
            asked_by: None,
        }
    }

    pub(crate) fn finish(mut self) -> Decision {
        self.hold_lease();
        let asked_by = self.asked_by.or_else(|| self.flow.as_ref()?.asked_by.clone());
        Decision {
            node: self.node,
            flow: self.flow,
            journal: self.journal,
            notes: self.notes,
            told: self.told,
            effect: self.effect,
            asked_by,
        }
    }

    /// The lease covers exactly the time in which something is done to the machine: waits and questions need none.
    fn hold_lease(&mut self) {
        let open = self.flow.as_ref().and_then(|flow| flow.open.as_ref().map(|open| (flow.kind, open)));
        let Some((kind, open)) = open.filter(|(_, open)| !open.poll) else {
            self.node.lease = None;
            return;
        };
        // Not begun in this turn: whoever is at it holds the node, not whoever notes something beside it.
        if self.effect.is_none() && self.node.lease.is_some() {
            return;
        }
        if self.node.lease.as_ref().is_none_or(|lease| lease.holder != self.world.holder) {
            self.node.lease_epoch += 1;
        }
        self.node.lease = Some(Lease {
            holder: self.world.holder.to_owned(),
            expires_at: open.held_until(self.world.now),
            reason: kind.flow().name.to_owned(),
        });
    }

    pub(crate) fn start(&mut self, kind: FlowKind, plan: Plan) {
        self.node.last_error = None;
        let given = (plan.in_order && !plan.automated) || self.node.retired;
        match kind.flow().target {
            Some(S::Available) if kind == FlowKind::Clean && given => {
                self.node.target_provision_state = Some(S::Manageable);
            }
            Some(target) => self.node.target_provision_state = Some(target),
            None => {}
        }
        if kind == FlowKind::Inspect {
            forget_agent(&mut self.node);
            self.node.inspection_started_at = Some(self.world.now);
            self.node.inspection_finished_at = None;
        }
        self.note("provisioning", false, format!("{} started", kind.flow().name));
        let asked_by = self.asked_by.clone();
        self.flow = Some(FlowRecord { asked_by, ..FlowRecord::of_plan(kind, plan, self.world.now) });
        self.advance();
    }

    /// What follows of itself cannot even be planned: it fails as it begins.
    fn cannot_start(&mut self, kind: FlowKind, error: StepError) {
        self.flow = Some(FlowRecord::of_plan(kind, Plan::default(), self.world.now));
        self.fail(error);
        self.advance();
    }

    pub(crate) fn start_power(&mut self, target: PowerTarget, limit: u32) {
        self.node.target_power_state = Some(target);
        self.start(FlowKind::Power, Plan::bare(power::steps(target, limit)));
    }

    fn note(&mut self, event_type: &'static str, error: bool, text: String) {
        self.notes.push(Note { event_type, error, text });
    }

    /// Runs what needs no effect, and stops at the first effect, the first wait, or the end.
    fn advance(&mut self) {
        while let Some(action) = self.next_action() {
            let Some(action) = self.spared(action) else {
                self.skip_power_off();
                continue;
            };
            let policy = self.world.policy;
            let Some(flow) = &mut self.flow else { return };
            match action {
                Action::Boot(intent) => {
                    self.node.boot_intent = intent;
                    flow.action += 1;
                }
                Action::ForgetAgent => {
                    flow.action += 1;
                    self.forget_agent();
                }
                Action::StopConsole | Action::StartConsole if !self.node.console_enabled => {
                    flow.action += 1;
                }
                // It may have called while the BMC was still confirming that power is on.
                Action::AwaitAgent if agent_has_called(&self.node) => {
                    flow.boots = None;
                    flow.action += 1;
                }
                Action::AwaitAgent => return self.wait_for_agent(),
                Action::AwaitInspection if std::mem::take(&mut flow.ask_again) => flow.action += 1,
                Action::AwaitInspection => return self.wait(WaitFor::Inspection, policy.inspect_timeout),
                Action::AwaitHeartbeat => return self.wait(WaitFor::Heartbeat, policy.callback_timeout),
                Action::AwaitStep { every, limit, .. } => return self.wait_for_step(every, limit),
                Action::Pause { seconds } => {
                    return self.wait(WaitFor::Pause, Duration::from_secs(seconds.into()));
                }
                Action::Hold => return self.hold(),
                action => return self.open(action, false),
            }
        }
    }

    /// What is done in the place of `action`, if anything.
    fn spared(&mut self, action: Action) -> Option<Action> {
        let flow = self.flow.as_mut()?;
        let action = power::spared(&self.node, flow.owes_reset, action);
        match &action {
            None => flow.owes_reset = true,
            Some(Action::Reset) => flow.owes_reset = false,
            Some(_) => {}
        }
        action
    }

    /// The machine stays on: it is reset where the plan would switch it on again, at the latest at the end of the step
    /// that would have left it off.
    fn skip_power_off(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        flow.action += 1;
        if flow.phase == Phase::Failing {
            return;
        }
        let (at, next) = (flow.step, flow.action);
        let restarts = |action: &Action| matches!(action, Action::PowerOn | Action::Reset);
        let later = flow.steps.iter().skip(at + 1).any(|step| step.actions.iter().any(restarts));
        if let Some(step) = flow.steps.get_mut(at).filter(|_| !later)
            && !step.actions.iter().skip(next).any(restarts)
        {
            step.actions.push(Action::Reset);
        }
    }

    fn forget_agent(&mut self) {
        if let Some(flow) = &mut self.flow {
            flow.agent_started_at = None;
            flow.agent_command = None;
        }
        forget_agent(&mut self.node);
    }

    /// The action at the cursor; ends the step, the flow or the failure when there is none left.
    fn next_action(&mut self) -> Option<Action> {
        loop {
            let flow = self.flow.as_mut()?;
            if flow.phase == Phase::Failing {
                let action = flow.after_failure().get(flow.action).cloned();
                if action.is_none() {
                    self.end_failed();
                }
                return action;
            }
            let Some(step) = flow.steps.get_mut(flow.step) else {
                self.end_done();
                // What follows of itself, as a cleaning, has already taken its first action.
                return None;
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
            FlowKind::Service => self.node.service_step = wire,
            _ => {}
        }
        self.note("step", false, format!("step {label} started"));
    }

    fn open(&mut self, action: Action, poll: bool) {
        self.open_as(action, poll, false);
    }

    fn open_as(&mut self, action: Action, poll: bool, aside: bool) {
        self.tell_console(&action, Status::Start);
        let Some(flow) = &mut self.flow else { return };
        flow.seq += 1;
        let since = self.world.now;
        flow.open = Some(OpenEffect { seq: flow.seq, action: action.clone(), poll, since, aside });
        let step = flow.current().cloned().filter(|_| flow.phase == Phase::Running && !aside);
        let label = match &step {
            Some(step) => step.label(),
            None if aside => "power".to_owned(),
            None => "after failure".to_owned(),
        };
        self.journal
            .push((flow.id, Entry::Intent { seq: flow.seq, step: label, action: action.clone(), poll }));
        self.effect = Some(Effect {
            run: flow.id,
            flow: flow.kind,
            seq: flow.seq,
            action,
            poll,
            step,
            agent_started_at: flow.agent_started_at.clone(),
            agent_command: flow.agent_command.clone(),
        });
    }

    fn tell_console(&mut self, action: &Action, status: Status) {
        self.told.extend(ConsoleChange::of(action).map(|change| ConsoleTold { change, status }));
    }

    fn wait(&mut self, event: WaitFor, limit: Duration) {
        let now = self.world.now;
        move_node(&mut self.node, FsmEvent::Wait, now);
        if let Some(flow) = &mut self.flow {
            flow.wait = Some(Wait { event, since: now, deadline: now.plus(limit), give_up: None });
        }
    }

    /// Waits for the ramdisk's first heartbeat: for one boot as long as boots may be tried again, else to the end.
    fn wait_for_agent(&mut self) {
        let (now, policy) = (self.world.now, self.world.policy);
        self.wait(WaitFor::Agent, policy.callback_timeout);
        let Some(flow) = &mut self.flow else { return };
        let boots = flow.boots.get_or_insert(Boots { since: now, count: 1 });
        let Some(wait) = &mut flow.wait else { return };
        let give_up = boots.since.plus(policy.callback_timeout);
        wait.give_up = Some(give_up);
        wait.deadline = if boots.count <= policy.boot_retries {
            give_up.min(now.plus(policy.boot_timeout))
        } else {
            give_up
        };
    }

    /// Waits for the end of a step that the agent runs: it is asked when it is silent, and has to end some day.
    fn wait_for_agent_step(&mut self, list: StepList) {
        self.wait(WaitFor::AgentStep(list), self.world.policy.agent_silence);
        if let Some(wait) = self.flow.as_mut().and_then(|flow| flow.wait.as_mut()) {
            wait.give_up = Some(wait.since.plus(LONGEST_AGENT_STEP));
        }
    }

    fn wait_for_step(&mut self, every: u32, limit: u32) {
        self.wait(WaitFor::Step, Duration::from_secs(every.into()));
        if let Some(wait) = self.flow.as_mut().and_then(|flow| flow.wait.as_mut()) {
            wait.give_up = Some(wait.since.plus(Duration::from_secs(limit.into())));
        }
    }

    fn hold(&mut self) {
        let now = self.world.now;
        move_node(&mut self.node, FsmEvent::Hold, now);
        if let Some(flow) = &mut self.flow {
            flow.wait = Some(Wait { event: WaitFor::Unhold, since: now, deadline: now, give_up: None });
        }
    }

    /// The wait is over: on with the next action.
    fn resume(&mut self) {
        self.leave_wait();
        if let Some(flow) = &mut self.flow {
            flow.action += 1;
        }
        self.advance();
    }

    fn leave_wait(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        flow.ask_again = false;
        if flow.wait.take().is_some_and(|wait| wait.event == WaitFor::Agent) && agent_has_called(&self.node) {
            flow.boots = None;
        }
        move_node(&mut self.node, FsmEvent::Resume, self.world.now);
    }

    /// The step at the cursor, if callers see it.
    fn visible_step(flow: &FlowRecord) -> Option<&PlannedStep> {
        flow.current().filter(|step| step.visible)
    }
}
