//! How effects end, and what that means for the flow.

use std::time::Duration;

use model::{BootIntent, FlowId};

use super::{LONGEST_AGENT_STEP, Turn};
use crate::console::lost;
use crate::decide::{Entry, merge};
use crate::effect::{Observed, Outcome, StepPart, StepWait};
use crate::error::{ErrorCode, StepError};
use crate::plan::{agent_steps, boot_ramdisk_again, reboot_if_requested};
use crate::record::{OpenEffect, Phase};
use crate::step::Action;
use crate::told::Status;

impl Turn<'_> {
    pub(crate) fn ended(&mut self, run: FlowId, seq: i64, outcome: Outcome) {
        let Some(flow) = self.flow.as_mut().filter(|flow| flow.id == run) else { return };
        // The outcome of an effect that an abort, a deletion or a restart has overtaken says nothing any more.
        let Some(open) = flow.open.take_if(|open| open.seq == seq) else { return };
        self.journal.push((flow.id, Entry::Outcome { seq, text: outcome.summary() }));
        if open.aside {
            return self.aside_ended(outcome);
        }
        let failing = flow.phase == Phase::Failing;
        match outcome {
            Outcome::Done(observed) => self.done(&open, *observed),
            Outcome::Failed(error) | Outcome::Unreachable(error) if failing || !open.action.is_fatal() => {
                flow.undo_failed |= failing && open.action.is_fatal();
                self.tell_console(&open.action, Status::Error);
                if open.action == Action::StartConsole {
                    let note = lost(&mut self.node, &error);
                    self.notes.push(note);
                } else {
                    self.note("step", true, error.to_string());
                }
                self.next_after_tolerated();
            }
            Outcome::Part(part) => self.step_part(&open, &part),
            Outcome::Waiting(wait) => self.step_waits(&open, &wait),
            Outcome::Running | Outcome::Unreachable(_) if matches!(open.action, Action::AwaitStep { .. }) => {
                self.step_goes_on(&open);
            }
            Outcome::Started | Outcome::Running => self.agent_works(&open),
            Outcome::NotFound => self.not_found(open),
            Outcome::Unreachable(error) => self.agent_silent(&open, error),
            Outcome::Failed(error) => self.fail_now(error),
        }
    }

    fn fail_now(&mut self, error: StepError) {
        self.fail(error);
        self.advance();
    }

    /// What was done while the flow waits has ended.
    fn aside_ended(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done(observed) => {
                self.observe(&observed);
                self.shift_aside();
            }
            Outcome::Failed(error) | Outcome::Unreachable(error) => {
                self.node.last_error = Some(format!("power failed: {error}"));
                self.note("provisioning", true, format!("power failed: {error}"));
                if let Some(flow) = &mut self.flow {
                    flow.aside.clear();
                }
            }
            _ => self.shift_aside(),
        }
        self.next_aside();
    }

    fn next_after_tolerated(&mut self) {
        if let Some(flow) = &mut self.flow {
            flow.action += 1;
        }
        self.advance();
    }

    fn done(&mut self, open: &OpenEffect, observed: Observed) {
        self.tell_console(&open.action, Status::End);
        self.observe(&observed);
        let Some(flow) = &mut self.flow else { return };
        if observed.agent_started_at.is_some() {
            flow.agent_started_at = observed.agent_started_at;
        }
        if observed.agent_command.is_some() {
            flow.agent_command = observed.agent_command;
        }
        match open.action {
            Action::FetchAgentSteps(list) => {
                if let Err(error) = agent_steps(flow, list, observed.steps) {
                    return self.fail_now(error);
                }
            }
            Action::RunAgentStep(_) => {
                reboot_if_requested(flow);
                return self.resume();
            }
            Action::AwaitStep { .. } => return self.resume(),
            _ => {}
        }
        self.next_after_tolerated();
    }

    fn observe(&mut self, observed: &Observed) {
        if let Some(power) = observed.power {
            self.node.power_state = Some(power);
        }
        if let Some(mode) = observed.boot_mode {
            self.node.boot_mode = Some(mode);
        }
        if let Some(raid) = &observed.raid {
            self.node.raid_config = raid.clone();
        }
        merge(&mut self.node.driver_internal_info, observed.internal.clone(), true);
        merge(&mut self.node.properties, observed.properties.clone(), false);
    }

    fn not_found(&mut self, open: OpenEffect) {
        let waits = self.flow.as_ref().is_some_and(|flow| flow.wait.is_some());
        match open.action {
            Action::AwaitStep { .. } => {
                let text = "the hardware has no record of the step that it began.";
                self.fail_now(StepError::new(ErrorCode::StepLost, text));
            }
            // It took the step and knows nothing of it now: sending it again could go on for ever.
            _ if waits => self.fail_now(
                StepError::new(ErrorCode::AgentCommand, "the agent has no record of the step that it began.")
                    .hint("Boot the ramdisk that belongs to this service, and deploy again."),
            ),
            // Never received, and the same agent: nothing was done, so it is sent now.
            action => self.open(action, false),
        }
    }

    /// A driver's step goes on by itself: what follows it is that it is waited for.
    fn step_waits(&mut self, open: &OpenEffect, wait: &StepWait) {
        let Action::RunStep { list, .. } = open.action else { return self.step_goes_on(open) };
        self.observe(&wait.observed);
        let in_ramdisk = self.node.boot_intent == BootIntent::Ramdisk;
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

    /// A part of a driver's step has ended: after a rest its next part is begun, as an action of its own.
    fn step_part(&mut self, open: &OpenEffect, part: &StepPart) {
        self.observe(&part.observed);
        let Some(flow) = &mut self.flow else { return };
        let (index, next) = (flow.step, flow.action + 1);
        if let Some(step) = flow.steps.get_mut(index) {
            let run = step.actions.iter().find(|action| matches!(action, Action::RunStep { .. })).cloned();
            let pause = (part.pause > 0).then_some(Action::Pause { seconds: part.pause });
            step.actions.splice(next..next, pause.into_iter().chain(run.filter(|_| part.again)));
        }
        match open.action {
            Action::AwaitStep { .. } => self.resume(),
            _ => self.next_after_tolerated(),
        }
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
        self.fail_now(
            StepError::new(ErrorCode::StepTimeout, format!("the step did not end within {limit} s."))
                .hint("Look at the tasks or jobs of the BMC: what does the machine wait for?"),
        );
    }

    fn agent_works(&mut self, open: &OpenEffect) {
        let Action::RunAgentStep(list) = open.action else { return };
        let (now, silence) = (self.world.now, self.world.policy.agent_silence);
        let Some(flow) = &mut self.flow else { return };
        if flow.wait.as_ref().is_some_and(|wait| wait.give_up.is_some_and(|at| at <= now)) {
            let days = LONGEST_AGENT_STEP.as_secs() / 86_400;
            let text = format!("the agent has worked on the step for {days} days.");
            return self.fail_now(
                StepError::new(ErrorCode::StepTimeout, text)
                    .hint("Look at the machine's console: does it hang?"),
            );
        }
        if let Some(wait) = &mut flow.wait {
            if wait.deadline <= self.world.now {
                wait.deadline = self.world.now.plus(silence);
            }
        } else {
            self.wait_for_agent_step(list);
        }
        let Some(flow) = &mut self.flow else { return };
        // The end of a short step may have come before its start was recorded: asked once, then heartbeats tell.
        if !open.poll || std::mem::take(&mut flow.ask_again) {
            self.open(Action::RunAgentStep(list), true);
        }
    }

    fn agent_silent(&mut self, open: &OpenEffect, error: StepError) {
        let Action::RunAgentStep(list) = open.action else { return self.fail_now(error) };
        match self.flow.as_ref().and_then(|flow| flow.wait.as_ref()) {
            Some(wait) if wait.deadline > self.world.now => {}
            Some(_) => self.fail_now(StepError { code: ErrorCode::AgentLost, ..error }),
            // After a restart in the middle of sending: it may come back, its heartbeat will tell.
            None => self.wait_for_agent_step(list),
        }
    }
}
