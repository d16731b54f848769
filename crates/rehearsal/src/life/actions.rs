//! How a conductor's actions go: when they reach the machine, when and with what words the answer comes, and all that can
//! go wrong in between.

use std::time::Duration;

use provision::{Action, Effect, ErrorCode, Input, Outcome, StepError};

use super::Life;
use crate::checker::{Breach, acts};
use crate::machine::step_run;
use crate::options::Sabotage;
use crate::queue::Event;

/// What a conductor is carrying out.
#[derive(Debug)]
pub(super) struct Work {
    number: u64,
    pub(super) effect: Effect,
    /// What it will be told; `None` until the machine has done it.
    pub(super) outcome: Option<Outcome>,
    /// Told instead of what the machine says.
    instead: Option<Outcome>,
    /// Sent although the record says to ask: sabotage.
    again: bool,
}

/// Who an action speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partner {
    Bmc,
    Agent,
    Other,
}

const fn partner(action: &Action) -> Partner {
    match action {
        Action::FetchAgentSteps(_)
        | Action::RunAgentStep(_)
        | Action::FinalizeRescue
        | Action::InstallBootloader
        | Action::AgentSync
        | Action::AgentPowerOff
        | Action::AgentLockdown
        | Action::CollectLogs => Partner::Agent,
        Action::Network(_) | Action::PrepareImage | Action::RunOnChildren { .. } | Action::Inspect => {
            Partner::Other
        }
        _ => Partner::Bmc,
    }
}

const fn changes_power(action: &Action) -> bool {
    matches!(action, Action::PowerOn | Action::Reset | Action::PowerOff { .. } | Action::SoftPowerOff { .. })
}

/// How an action goes.
struct Fate {
    /// When it reaches the machine, if it does.
    reaches: Option<Duration>,
    /// When the answer comes.
    answers: Duration,
    /// The answer, where it is not the machine's.
    instead: Option<Outcome>,
    /// It reaches the machine when nobody waits for it any more.
    stray: Option<Duration>,
}

fn failed(code: ErrorCode, text: &str) -> Outcome {
    Outcome::Failed(StepError::new(code, text))
}

impl Life<'_> {
    /// A conductor begins what it has just recorded.
    pub(super) fn begin(&mut self, seat: usize, mut effect: Effect, again: bool) -> Result<(), Breach> {
        self.tally.effects += 1;
        if self.crashes(400) {
            self.tally.conductor("deaths between a record and its action");
            return self.crash(seat);
        }
        let again = again && effect.poll && matches!(effect.action, Action::RunAgentStep(_));
        effect.poll &= !again;
        let fate = self.fate(&effect);
        let number = u64::from(self.number());
        if let Some(after) = fate.stray {
            let boot = self.machine.boots;
            self.plan(after, Event::Stray(Box::new(effect.clone()), boot));
        }
        if let Some(after) = fate.reaches {
            self.plan(after, Event::Apply(seat, number));
        }
        self.plan(fate.answers, Event::Return(seat, number));
        if self.crashes(800) {
            let soon = self.within(fate.answers);
            let stands = self.dice.permille(500).then(|| self.dice.millis(1_000..180_000));
            self.plan(soon, stands.map_or(Event::Crash(seat), |time| Event::Freeze(seat, time)));
        }
        let work = Work { number, effect, outcome: None, instead: fate.instead, again };
        if let Some(chair) = self.seats.get_mut(seat) {
            chair.works.push(work);
        }
        Ok(())
    }

    fn within(&mut self, time: Duration) -> Duration {
        self.dice.millis(0..u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    fn fate(&mut self, effect: &Effect) -> Fate {
        let limit = effect.action.limit();
        let partner = partner(&effect.action);
        let answers = match partner {
            Partner::Bmc => self.dice.millis(50..3_000),
            Partner::Agent => self.dice.millis(20..1_500),
            Partner::Other => self.dice.millis(1..20_000),
        };
        let reaches = self.within(answers);
        let usual = Fate { reaches: Some(reaches), answers, instead: None, stray: None };
        if self.goes_wrong(700, "a slow answer") {
            let answers = self.within(limit);
            return Fate { answers, reaches: Some(self.within(answers)), ..usual };
        }
        if self.goes_wrong(300, "an answer that never came") {
            let instead = Some(failed(ErrorCode::StepTimeout, "it did not end in time."));
            return Fate { answers: limit, instead, ..usual };
        }
        match partner {
            Partner::Bmc => self.fate_at_bmc(effect, usual),
            Partner::Agent => self.fate_at_agent(effect, usual),
            Partner::Other => {
                let instead = Some(failed(ErrorCode::ImageFetch, "it could not be had."));
                if self.goes_wrong(300, "a service that refused") {
                    Fate { reaches: None, instead, ..usual }
                } else {
                    usual
                }
            }
        }
    }

    fn fate_at_bmc(&mut self, effect: &Effect, usual: Fate) -> Fate {
        let limit = effect.action.limit();
        if self.goes_wrong(400, "a BMC that was not there") {
            let instead = Some(failed(ErrorCode::BmcUnreachable, "the BMC does not answer."));
            return Fate { reaches: None, instead, ..usual };
        }
        if self.goes_wrong(300, "a BMC that refused") {
            let instead = Some(failed(ErrorCode::BmcRefused, "the BMC answered with an error."));
            return Fate { reaches: None, instead, ..usual };
        }
        if changes_power(&effect.action) {
            if self.goes_wrong(400, "a power command that was lost") {
                let instead = Some(failed(ErrorCode::PowerStuck, "the power did not change."));
                return Fate { reaches: None, answers: limit, instead, ..usual };
            }
            if self.goes_wrong(200, "a power command that came too late") {
                let instead = Some(failed(ErrorCode::StepTimeout, "it did not end in time."));
                let late = limit + self.dice.millis(1_000..60_000);
                return Fate { reaches: None, answers: limit, instead, stray: Some(late) };
            }
            if self.goes_wrong(200, "a BMC that lied about power") {
                let power = match effect.action {
                    Action::PowerOn | Action::Reset => model::PowerState::On,
                    _ => model::PowerState::Off,
                };
                self.misled = true;
                let observed = provision::Observed { power: Some(power), ..provision::Observed::default() };
                return Fate { reaches: None, instead: Some(Outcome::Done(Box::new(observed))), ..usual };
            }
        }
        let forgets = matches!(effect.action, Action::SetBootDevice { .. });
        if forgets && self.goes_wrong(400, "a boot device that was forgotten") {
            return Fate { reaches: None, instead: Some(Outcome::done()), ..usual };
        }
        usual
    }

    fn fate_at_agent(&mut self, effect: &Effect, usual: Fate) -> Fate {
        let lost = StepError::new(ErrorCode::AgentCommand, "the agent does not answer.");
        // Whoever only asks may ask again.
        let instead = Some(if effect.poll { Outcome::Unreachable(lost) } else { Outcome::Failed(lost) });
        if self.goes_wrong(500, "a question to an agent that was lost") {
            return Fate { reaches: None, instead, ..usual };
        }
        if self.goes_wrong(500, "an agent's answer that was lost") {
            return Fate { instead, ..usual };
        }
        usual
    }

    fn work(&mut self, seat: usize, number: u64) -> Option<&mut Work> {
        self.seats.get_mut(seat)?.works.iter_mut().find(|work| work.number == number)
    }

    /// A conductor's action reaches the machine, unless the conductor is gone or has lost its right to act.
    pub(super) fn apply(&mut self, seat: usize, number: u64) -> Result<(), Breach> {
        if self.work(seat, number).is_none() {
            return Ok(());
        }
        if let Some(until) = self.seats.get(seat).and_then(super::conductors::Seat::thaws) {
            self.queue.plan(until, Event::Apply(seat, number));
            return Ok(());
        }
        if self.is_fenced(seat) {
            // It looks at its own lease before it goes on with anything.
            self.tally.conductor("actions of a dead conductor held back");
            self.log.line(self.now, format_args!("c{} holds back", seat + 1));
            if let Some(chair) = self.seats.get_mut(seat) {
                chair.works.retain(|work| work.number != number);
            }
            return Ok(());
        }
        let Some((effect, again)) = self.work(seat, number).map(|work| (work.effect.clone(), work.again))
        else {
            return Ok(());
        };
        if !again {
            acts(&effect, self.name(seat), &self.node, self.flow.as_ref(), self.now)?;
        }
        let outcome = self.does(&effect)?;
        if let Some(work) = self.work(seat, number) {
            work.outcome = Some(outcome);
        }
        Ok(())
    }

    /// An action reaches the machine when nobody waits for it any more.
    pub(super) fn stray(&mut self, effect: &Effect, boot: u32) -> Result<(), Breach> {
        if partner(&effect.action) == Partner::Agent && boot != self.machine.boots {
            return Ok(());
        }
        self.tally.fault("an action whose sender was gone");
        self.misled |= changes_power(&effect.action);
        self.does(effect).map(drop)
    }

    /// The machine does it.
    fn does(&mut self, effect: &Effect) -> Result<Outcome, Breach> {
        let commands = |life: &Self| life.machine.agent.as_ref().map_or(0, |agent| agent.commands.len());
        let (boots, tasks, told) = (self.machine.boots, self.machine.tasks, commands(self));
        let outcome = self.machine.carry_out(&self.node, effect);
        self.log.line(self.now, format_args!("machine: {}: {}", effect.action, outcome.summary()));
        if commands(self) > told || self.machine.tasks > tasks {
            self.checker.ran(step_run(effect))?;
        }
        if commands(self) > told {
            self.plan_command();
        }
        if self.machine.boots > boots {
            self.plan_boot();
        }
        Ok(outcome)
    }

    /// A conductor learns how its action ended.
    pub(super) fn answer(&mut self, seat: usize, number: u64) -> Result<(), Breach> {
        if let Some(until) = self.seats.get(seat).and_then(super::conductors::Seat::thaws) {
            self.queue.plan(until, Event::Return(seat, number));
            return Ok(());
        }
        let Some(chair) = self.seats.get_mut(seat) else { return Ok(()) };
        let Some(index) = chair.works.iter().position(|work| work.number == number) else { return Ok(()) };
        if self.crashes(300) {
            self.tally.conductor("deaths between an action and its record");
            return self.crash(seat);
        }
        let Some(chair) = self.seats.get_mut(seat) else { return Ok(()) };
        let work = chair.works.remove(index);
        let silent = || Outcome::Failed(StepError::new(ErrorCode::Internal, "nothing was done."));
        let outcome = work.instead.or(work.outcome).unwrap_or_else(silent);
        let (run, seq) = (work.effect.run, work.effect.seq);
        if self.options.sabotage == Some(Sabotage::Unfenced) {
            self.log.line(self.now, format_args!("c{} brings #{seq}", seat + 1));
        }
        let what = format!("#{seq} {}", outcome.summary());
        self.feed(seat, &what, Input::Ended { run, seq, outcome })
    }
}
