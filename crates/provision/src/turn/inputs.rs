//! What comes in while a flow waits: heartbeats, deadlines, restarts, and the words of callers.

use std::time::Duration;

use model::PowerTarget;
use serde_json::{Map, Value};

use super::{Turn, aborted, agent_has_called};
use crate::decide::{Entry, merge, move_node};
use crate::error::{ErrorCode, StepError};
use crate::event::FsmEvent;
use crate::flow::power;
use crate::plan::boot_ramdisk_again;
use crate::record::{FlowRecord, WaitFor};
use crate::step::{Action, OnRestart};

/// Whether something is being done to the machine now.
fn is_busy(flow: &FlowRecord) -> bool {
    flow.open.as_ref().is_some_and(|open| !open.poll)
}

impl Turn<'_> {
    pub(crate) fn heartbeat(&mut self, members: Map<String, Value>) {
        merge(&mut self.node.driver_internal_info, members, true);
        let Some(flow) = &mut self.flow else { return };
        let busy = is_busy(flow);
        let Some(wait) = &mut flow.wait else { return };
        self.node.provision_updated_at = Some(self.world.now);
        match wait.event {
            WaitFor::Agent | WaitFor::Heartbeat if !busy => self.resume(),
            WaitFor::AgentStep(list) => {
                wait.deadline = self.world.now.plus(self.world.policy.agent_silence);
                if flow.open.is_some() {
                    flow.ask_again = true;
                } else {
                    self.open(Action::RunAgentStep(list), true);
                }
            }
            // The agent has no part in these, or what is done aside comes first.
            WaitFor::Agent
            | WaitFor::Heartbeat
            | WaitFor::Step
            | WaitFor::Unhold
            | WaitFor::Pause
            | WaitFor::Inspection => {}
        }
    }

    /// The agent has its token now, or the answer is lost and it never will: it does not get as long as a boot gets.
    pub(crate) fn looked_up(&mut self) {
        let soon = self.world.now.plus(self.world.policy.token_timeout);
        let retries = self.world.policy.boot_retries;
        let Some(flow) = &mut self.flow else { return };
        if flow.boots.as_ref().is_none_or(|boots| boots.count > retries) {
            return;
        }
        if let Some(wait) = flow.wait.as_mut().filter(|wait| wait.event == WaitFor::Agent) {
            wait.deadline = wait.deadline.min(soon);
        }
    }

    pub(crate) fn inspected(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        let waits = flow.wait.as_ref().is_some_and(|wait| wait.event == WaitFor::Inspection);
        if waits && !is_busy(flow) {
            return self.resume();
        }
        // It came before power on was confirmed, or while something is done aside.
        flow.ask_again = true;
    }

    pub(crate) fn unhold(&mut self) {
        let held = self.flow.as_ref().and_then(|flow| flow.wait.as_ref());
        if held.is_some_and(|wait| wait.event == WaitFor::Unhold) {
            move_node(&mut self.node, FsmEvent::Unhold, self.world.now);
            self.resume();
        }
    }

    /// `why` is what is known of a machine that did not arrive.
    pub(crate) fn timer(&mut self, why: Option<StepError>) {
        let now = self.world.now;
        let Some(flow) = self.flow.as_ref().filter(|flow| !is_busy(flow)) else { return };
        let Some(wait) = flow.wait.as_ref().filter(|wait| wait.deadline <= now) else { return };
        match wait.event {
            WaitFor::Agent if wait.give_up.is_some_and(|at| at > now) => self.boot_again(),
            WaitFor::Agent => self.nobody_called(why),
            // It may just have missed heartbeats: asked once more, and given up when it does not answer.
            WaitFor::AgentStep(list) if flow.open.is_none() => self.open(Action::RunAgentStep(list), true),
            WaitFor::Step if flow.open.is_none() => self.ask_about_step(),
            WaitFor::Pause => self.resume(),
            WaitFor::Heartbeat => {
                let text = format!("the agent did not call for {} s.", now.since(wait.since).as_secs());
                self.fail(StepError::new(ErrorCode::AgentLost, text));
                self.advance();
            }
            WaitFor::Inspection => {
                let seconds = now.since(wait.since).as_secs();
                let text =
                    format!("no data came from the inspection's ramdisk within {seconds} s of power on");
                self.fail(silent(ErrorCode::InspectionSilent, &text, why));
                self.advance();
            }
            WaitFor::AgentStep(_) | WaitFor::Step | WaitFor::Unhold => {}
        }
    }

    /// Nobody answered this boot: the next may be luckier, and its agent gets a token of its own.
    fn boot_again(&mut self) {
        let (now, retries) = (self.world.now, self.world.policy.boot_retries);
        let Some(flow) = &mut self.flow else { return };
        let boots = flow.boots.get_or_insert(crate::record::Boots { since: now, count: 1 });
        if boots.count > retries {
            if let Some(wait) = &mut flow.wait {
                wait.deadline = wait.give_up.unwrap_or(now);
            }
            return;
        }
        boots.count += 1;
        let text = format!("no heartbeat: booting the ramdisk again ({} of {})", boots.count, retries + 1);
        let (index, action) = (flow.step, flow.action);
        if let Some(step) = flow.steps.get_mut(index) {
            step.actions.splice(action..=action, boot_ramdisk_again());
        }
        self.note("provisioning", true, text);
        self.leave_wait();
        self.advance();
    }

    fn nobody_called(&mut self, why: Option<StepError>) {
        let Some(flow) = &self.flow else { return };
        let Some(wait) = &flow.wait else { return };
        let since = flow.boots.as_ref().map_or(wait.since, |boots| boots.since);
        let seconds = self.world.now.since(since).as_secs();
        let tried = match flow.boots.as_ref().map_or(1, |boots| boots.count) {
            1 => String::new(),
            count => format!(" (it was booted {count} times)"),
        };
        let text = format!("the ramdisk's agent did not call within {seconds} s of power on{tried}");
        self.fail(silent(ErrorCode::AgentSilent, &text, why));
        self.advance();
    }

    /// The end of a driver's step has to be asked about.
    fn ask_about_step(&mut self) {
        let Some(flow) = &self.flow else { return };
        let action = flow.current().and_then(|step| step.actions.get(flow.action)).cloned();
        if let Some(action @ Action::AwaitStep { .. }) = action {
            self.open(action, true);
        }
    }

    pub(crate) fn restarted(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        if let Some(open) = flow.open.take() {
            let text = "interrupted by a restart of the service".to_owned();
            self.journal.push((flow.id, Entry::Outcome { seq: open.seq, text }));
            let poll = open.poll || open.action.on_restart() == OnRestart::Poll;
            return self.open_as(open.action, poll, open.aside);
        }
        let Some(wait) = &flow.wait else { return self.advance() };
        match wait.event {
            WaitFor::Agent if agent_has_called(&self.node) => self.resume(),
            WaitFor::AgentStep(list) => self.open(Action::RunAgentStep(list), true),
            // The timer or a caller sees to the others.
            _ => {}
        }
    }

    pub(crate) fn abort(&mut self) {
        let Some(flow) = &mut self.flow else { return };
        let waits_for = flow.wait.as_ref().map(|wait| &wait.event);
        let running = matches!(waits_for, Some(WaitFor::AgentStep(_) | WaitFor::Step));
        if running && !flow.current().is_some_and(|step| step.abortable) {
            flow.abort_after = true;
            self.note("provisioning", false, "abort: will stop when the running step ends".to_owned());
            return;
        }
        self.fail(aborted());
        self.advance();
    }

    /// A caller changes the power of a machine whose flow waits. The wait goes on after it.
    pub(crate) fn power_aside(&mut self, target: PowerTarget, limit: u32) {
        let Some(flow) = &mut self.flow else { return };
        flow.aside = power::steps(target, limit).into_iter().flat_map(|step| step.actions).collect();
        self.node.target_power_state = Some(target);
        self.note("provisioning", false, format!("{target} while {} waits", flow_name(self)));
        self.next_aside();
    }

    /// Does the next thing aside, or goes back to the wait.
    pub(super) fn next_aside(&mut self) {
        while let Some(action) = self.flow.as_ref().and_then(|flow| flow.aside.first()).cloned() {
            if action == Action::ForgetAgent {
                self.forget_agent();
            } else if let Some(action) = self.spared(action) {
                return self.open_as(action, false, true);
            }
            self.shift_aside();
        }
        self.node.target_power_state = None;
        let Some(flow) = &mut self.flow else { return };
        let Some(wait) = &mut flow.wait else { return };
        match wait.event {
            WaitFor::Agent if agent_has_called(&self.node) => self.resume(),
            WaitFor::Inspection if flow.ask_again => self.resume(),
            WaitFor::AgentStep(list) if std::mem::take(&mut flow.ask_again) => {
                self.open(Action::RunAgentStep(list), true);
            }
            // What was done may have taken the time that the wait had left.
            _ => wait.deadline = wait.deadline.max(self.world.now.plus(Duration::from_secs(1))),
        }
    }

    pub(super) fn shift_aside(&mut self) {
        if let Some(flow) = self.flow.as_mut().filter(|flow| !flow.aside.is_empty()) {
            flow.aside.remove(0);
        }
    }
}

/// Where to look when a ramdisk is silent.
const LOOK: &str =
    "Look at the machine's console and at its boot trace: did it get an address, the script, the kernel?";

fn flow_name(turn: &Turn<'_>) -> &'static str {
    turn.flow.as_ref().map_or("nothing", |flow| flow.kind.flow().name)
}

/// The failure of a wait for a machine that did not arrive, with the reason where one is known.
fn silent(code: ErrorCode, text: &str, why: Option<StepError>) -> StepError {
    match why {
        Some(why) => StepError::new(why.code, format!("{text}: {}", why.message)).hint(why.hint),
        None => StepError::new(code, format!("{text}.")).hint(LOOK),
    }
}
