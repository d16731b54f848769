//! Conductors: turns under their epoch, deaths, standstills, and how others take over. A conductor that was declared dead
//! has lost its epoch: whatever it still brings is refused.

use std::sync::Arc;
use std::time::Duration;

use provision::{Decision, Due, ErrorCode, Input, Refusal, StepError, World, feed};

use super::Life;
use super::actions::Work;
use crate::checker::{Before, Breach, Scene, breach, runs};
use crate::options::Sabotage;
use crate::queue::Event;

/// How long a conductor may give no sign of life before others declare it dead.
const LEASE: Duration = Duration::from_secs(30);

/// What a conductor is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Up,
    Down,
    Frozen(model::Timestamp),
}

/// One conductor of the site.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) name: String,
    standing: Standing,
    /// The epoch that it got when it registered.
    epoch: u64,
    /// The epoch that the store knows.
    current: u64,
    /// Whether it was declared dead, and has not registered since.
    dead: bool,
    /// Counts its absences.
    absences: u32,
    /// What it is carrying out.
    pub(super) works: Vec<Work>,
}

impl Seat {
    pub(super) fn new(index: u8) -> Self {
        Self {
            name: format!("c{}", index + 1),
            standing: Standing::Up,
            epoch: 0,
            current: 0,
            dead: false,
            absences: 0,
            works: Vec::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.standing == Standing::Up
    }

    pub(super) fn is_idle(&self) -> bool {
        self.works.is_empty()
    }

    /// When it goes on, if it stands still.
    pub(super) fn thaws(&self) -> Option<model::Timestamp> {
        match self.standing {
            Standing::Frozen(until) => Some(until),
            Standing::Up | Standing::Down => None,
        }
    }
}

impl Life<'_> {
    /// Whether the store takes nothing of this conductor any more.
    pub(super) fn is_fenced(&self, seat: usize) -> bool {
        let sabotaged = self.options.sabotage == Some(Sabotage::Unfenced);
        !sabotaged && self.seats.get(seat).is_some_and(|seat| seat.epoch != seat.current)
    }

    pub(super) fn name(&self, seat: usize) -> &str {
        self.seats.get(seat).map_or("nobody", |seat| seat.name.as_str())
    }

    /// Takes one turn: has a decision made on what the store has, stores it, begins what it asks for. `None` when the
    /// store does not take it of this conductor, else what the core said.
    pub(super) fn turn(
        &mut self,
        seat: usize,
        what: &str,
        decide: impl FnOnce(model::Node, Option<provision::FlowRecord>, World<'_>) -> Result<Decision, Refusal>,
    ) -> Result<Option<Result<(), Refusal>>, Breach> {
        if !self.seats.get(seat).is_some_and(Seat::is_up) {
            return Ok(None);
        }
        if self.is_fenced(seat) {
            self.tally.conductor("words of a dead conductor refused");
            self.log.line(self.now, format_args!("c{} {what}: refused, its epoch is over", seat + 1));
            self.stop_zombie(seat);
            return Ok(None);
        }
        let before = Before::of(&self.node, self.flow.as_ref());
        let hardware = Arc::clone(&self.hardware);
        let holder = self.name(seat).to_owned();
        let world = World { now: self.now, holder: &holder, policy: &self.policy, plans: hardware.as_ref() };
        let decision = match decide(self.node.clone(), self.flow.clone(), world) {
            Ok(decision) => decision,
            Err(refusal) => return Ok(Some(Err(refusal))),
        };
        self.commit(seat, what, &before, decision)?;
        Ok(Some(Ok(())))
    }

    fn commit(
        &mut self,
        seat: usize,
        what: &str,
        before: &Before,
        mut decision: Decision,
    ) -> Result<(), Breach> {
        if let Some(sabotage) = self.options.sabotage {
            spoil(sabotage, before, &mut decision);
        }
        let holder = self.name(seat).to_owned();
        let cleans =
            self.hardware.ramdisk && provision::Plans::cleans(self.hardware.as_ref(), &decision.node);
        let scene = Scene { now: self.now, holder: &holder, cleans, dirty: self.machine.dirty };
        let checked = self.checker.decides(before, &decision, scene);
        self.tally.turns += 1;
        self.show(&holder, what, before, &decision);
        checked?;
        if self.hardware.ramdisk && !self.misled {
            runs(before, &decision.node, &self.machine)?;
        }
        let takes_over = decision.takes_over();
        let Decision { node, flow, effect, .. } = decision;
        self.node = node;
        self.node.revision += 1;
        self.holder = flow.as_ref().and(if takes_over { Some(seat) } else { self.holder });
        self.flow = flow;
        self.arm();
        let again = self.options.sabotage == Some(Sabotage::SendAgain) && what.starts_with("take");
        effect.map_or(Ok(()), |effect| self.begin(seat, effect, again))
    }

    fn show(&mut self, holder: &str, what: &str, before: &Before, decision: &Decision) {
        let (from, to) = (before.state, decision.node.provision_state);
        if from == to {
            self.log.line(self.now, format_args!("{holder} {what}: {to}"));
        } else {
            *self.tally.states.entry(to.as_str()).or_default() += 1;
            self.log.line(self.now, format_args!("{holder} {what}: {from} -> {to}"));
        }
        for note in decision.notes.iter().filter(|note| note.error) {
            self.log.line(self.now, format_args!("  {}", note.text));
        }
        let wait = decision.flow.as_ref().and_then(|flow| flow.wait.as_ref());
        match (&decision.effect, wait) {
            (Some(effect), _) => {
                let asks = if effect.poll { "asks: " } else { "" };
                self.log.line(self.now, format_args!("  #{} {asks}{}", effect.seq, effect.action));
            }
            (None, Some(wait)) => {
                let until = wait.deadline.as_micros() / 1_000_000;
                self.log.line(self.now, format_args!("  {} until {until}", wait.event));
            }
            (None, None) => {}
        }
    }

    /// Plans the next look at the record.
    fn arm(&mut self) {
        self.deadline += 1;
        if self.options.sabotage == Some(Sabotage::NoTimers) {
            return;
        }
        let Some(at) = self.flow.as_ref().and_then(provision::FlowRecord::wake_at) else { return };
        let late = self.dice.millis(10..1000);
        let at = at.max(self.now).plus(late);
        self.queue.plan(at, Event::Timer(self.deadline));
    }

    /// The deadline of the record has come, if nothing was recorded since.
    pub(super) fn deadline_comes(&mut self, number: u64) -> Result<(), Breach> {
        if number != self.deadline {
            return Ok(());
        }
        let Some(seat) = self.holder else { return Ok(()) };
        let Some(due) = self.flow.as_ref().map(provision::FlowRecord::due) else { return Ok(()) };
        let works = self.seats.get(seat).is_some_and(|seat| !seat.is_idle());
        if !self.seats.get(seat).is_some_and(Seat::is_up) {
            // Whoever takes over, or goes on, looks at it anew.
            return Ok(());
        }
        if works {
            // What is being carried out has its own limit and will report.
            self.plan(Duration::from_secs(1), Event::Timer(number));
            return Ok(());
        }
        let why = self.dice.permille(300);
        let input = match due {
            Due::Restarted => Input::Restarted,
            Due::Overdue if why => Input::Overdue(StepError::new(ErrorCode::BootLoop, "it starts over.")),
            Due::Overdue | Due::Timer => Input::Timer,
        };
        self.feed(seat, "deadline", input)
    }

    pub(super) fn feed(&mut self, seat: usize, what: &str, input: Input) -> Result<(), Breach> {
        self.turn(seat, what, |node, flow, world| Ok(feed(node, flow, input, world))).map(drop)
    }

    /// It dies: what it was at is forgotten, some of it is on its way to the machine.
    pub(super) fn crash(&mut self, seat: usize) -> Result<(), Breach> {
        if !self.seats.get(seat).is_some_and(Seat::is_up) {
            return Ok(());
        }
        self.reads_back()?;
        self.tally.conductor("crashes");
        self.take_down(seat);
        let back = if self.dice.permille(600) { 3_000..20_000 } else { 60_000..1_200_000 };
        let back = self.dice.millis(back);
        self.plan(back, Event::Up(seat));
        let seen = LEASE + self.dice.millis(0..5_000);
        if let Some(absences) = self.seats.get(seat).map(|seat| seat.absences) {
            self.plan(seen, Event::Declare(seat, absences));
        }
        Ok(())
    }

    fn take_down(&mut self, seat: usize) {
        self.log.line(self.now, format_args!("c{} dies", seat + 1));
        // One that has lost its epoch sends nothing before it has looked at it.
        let sends = !self.is_fenced(seat);
        let Some(chair) = self.seats.get_mut(seat) else { return };
        chair.standing = Standing::Down;
        chair.absences += 1;
        let works = std::mem::take(&mut chair.works);
        for work in works.into_iter().filter(|work| sends && work.outcome.is_none()) {
            if self.dice.permille(250) {
                let soon = self.dice.millis(1..500);
                let boot = self.machine.boots;
                self.plan(soon, Event::Stray(Box::new(work.effect), boot));
            }
        }
    }

    /// The record must say the same to whoever reads it next.
    fn reads_back(&self) -> Result<(), Breach> {
        const RULE: &str = "the record reads back as it was written";
        let Some(flow) = &self.flow else { return Ok(()) };
        let text = serde_json::to_string(flow).unwrap_or_default();
        match serde_json::from_str::<provision::FlowRecord>(&text) {
            Ok(read) if read == *flow => Ok(()),
            Ok(_) => breach(RULE, text),
            Err(error) => breach(RULE, format!("{error}: {text}")),
        }
    }

    /// It is started: it registers under a new epoch, and takes up its own flow, or one that a dead conductor left.
    pub(super) fn start_conductor(&mut self, seat: usize) -> Result<(), Breach> {
        let Some(chair) = self.seats.get_mut(seat).filter(|seat| seat.standing == Standing::Down) else {
            return Ok(());
        };
        chair.standing = Standing::Up;
        chair.current += 1;
        chair.epoch = chair.current;
        chair.dead = false;
        self.log.line(self.now, format_args!("c{} starts", seat + 1));
        self.take_up(seat)
    }

    /// Takes up the flow if it is its own, or was left by a dead one.
    fn take_up(&mut self, seat: usize) -> Result<(), Breach> {
        let Some(holder) = self.holder else { return Ok(()) };
        let left = self.seats.get(holder).is_some_and(|holder| holder.dead);
        if holder == seat || left {
            self.holder = Some(seat);
            return self.feed(seat, "takes up", Input::Restarted);
        }
        Ok(())
    }

    pub(super) fn freeze(&mut self, seat: usize, time: Duration) {
        let until = self.now.plus(time);
        let Some(chair) = self.seats.get_mut(seat).filter(|seat| seat.is_up()) else { return };
        chair.standing = Standing::Frozen(until);
        chair.absences += 1;
        let absences = chair.absences;
        self.tally.conductor("standstills");
        self.log.line(self.now, format_args!("c{} stands still", seat + 1));
        self.queue.plan(until, Event::Thaw(seat));
        let seen = LEASE + self.dice.millis(0..5_000);
        self.plan(seen, Event::Declare(seat, absences));
    }

    /// It goes on as if nothing had been; whether something has been it learns from the store.
    pub(super) fn thaw(&mut self, seat: usize) -> Result<(), Breach> {
        let Some(chair) = self.seats.get_mut(seat).filter(|seat| seat.thaws().is_some()) else {
            return Ok(());
        };
        chair.standing = Standing::Up;
        chair.absences += 1;
        self.log.line(self.now, format_args!("c{} goes on", seat + 1));
        if self.is_fenced(seat) {
            // Its own watch tells it within seconds, if the store does not before.
            let notices = self.dice.millis(500..5_000);
            self.plan(notices, Event::Crash(seat));
            return Ok(());
        }
        if self.holder == Some(seat) {
            self.arm();
            return Ok(());
        }
        self.take_up(seat)
    }

    /// A conductor that has lost its epoch stops by itself, and registers anew.
    fn stop_zombie(&mut self, seat: usize) {
        self.take_down(seat);
        let back = self.dice.millis(1_000..30_000);
        self.plan(back, Event::Up(seat));
    }

    pub(super) fn declare_dead(&mut self, seat: usize, absence: u32) -> Result<(), Breach> {
        let Some(chair) = self.seats.get_mut(seat) else { return Ok(()) };
        if chair.absences != absence || chair.is_up() {
            return Ok(());
        }
        chair.current += 1;
        chair.dead = true;
        self.log.line(self.now, format_args!("c{} is declared dead", seat + 1));
        if self.holder != Some(seat) {
            return Ok(());
        }
        let Some(heir) = self.ring_owner() else { return Ok(()) };
        self.tally.conductor("takeovers");
        self.holder = Some(heir);
        self.feed(heir, "takes over", Input::Restarted)
    }

    /// Who of the ring the node belongs to, as somebody sees it; `None` when nobody is up.
    fn ring_owner(&mut self) -> Option<usize> {
        let up: Vec<usize> = (0..self.seats.len())
            .filter(|index| self.seats.get(*index).is_some_and(|seat| seat.is_up() && !seat.dead))
            .collect();
        // Not all see the same members at the same time.
        if self.dice.permille(100) { self.dice.pick(&up) } else { up.first().copied() }
    }

    /// Who a request goes to: the holder of the lease while it lives, else the ring's owner.
    pub(super) fn route(&mut self) -> Option<usize> {
        let leased = self.node.lease.as_ref().map(|lease| lease.holder.as_str());
        let holder = leased.and_then(|name| self.seats.iter().position(|seat| seat.name == name));
        match holder.and_then(|index| Some((index, self.seats.get(index)?))) {
            Some((index, seat)) if !seat.dead => seat.is_up().then_some(index),
            _ => self.ring_owner(),
        }
    }
}

/// Breaks a decision on purpose.
fn spoil(sabotage: Sabotage, before: &Before, decision: &mut Decision) {
    use model::ProvisionState as S;
    let node = &mut decision.node;
    let arrives = before.state != node.provision_state;
    match sabotage {
        Sabotage::NoIntent => decision.journal.clear(),
        Sabotage::NoLease => node.lease = None,
        Sabotage::KeepRamdisk if node.provision_state == S::Active && arrives => {
            node.boot_intent = model::BootIntent::Ramdisk;
        }
        Sabotage::NoReason => node.last_error = None,
        Sabotage::Jump if node.provision_state == S::Verifying => node.provision_state = S::Deploying,
        _ => {}
    }
}
