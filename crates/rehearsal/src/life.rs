//! One life: a node, its machine, its callers and the site's conductors under virtual time. What conductors do is in
//! `life/conductors.rs`, how actions go in `life/actions.rs`, what the machine does by itself in `life/ramdisk.rs`, what
//! callers want in `life/callers.rs`.

mod actions;
mod callers;
mod conductors;
mod ramdisk;

use std::sync::Arc;
use std::time::Duration;

use model::{Node, NodeUuid, Timestamp};
use provision::{FlowRecord, Policy};

use crate::checker::{Breach, Checker, breach};
use crate::dice::Dice;
use crate::hardware::Hardware;
use crate::log::{Log, LogHash};
use crate::machine::Machine;
use crate::options::{Options, Sabotage};
use crate::queue::{Event, Queue};
use crate::tally::Tally;

use callers::Caller;
use conductors::Seat;

/// More events than any life has.
const MOST_EVENTS: u64 = 100_000;

/// How a life went.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) breach: Option<(Breach, Timestamp)>,
    pub(crate) hash: LogHash,
    pub(crate) lines: Vec<String>,
    pub(crate) tally: Tally,
}

/// A life.
#[derive(Debug)]
pub(crate) struct Life<'a> {
    options: &'a Options,
    dice: Dice,
    now: Timestamp,
    queue: Queue,
    /// The store: the node, its flow, and who works on it.
    node: Node,
    flow: Option<FlowRecord>,
    holder: Option<usize>,
    seats: Vec<Seat>,
    machine: Machine,
    hardware: Arc<Hardware>,
    policy: Policy,
    /// The token that the agent of a boot holds.
    token: Option<(u32, u32)>,
    caller: Caller,
    checker: Checker,
    log: Log,
    tally: Tally,
    /// Whether the machine is not where its BMC said: a lie, or an action that came too late.
    misled: bool,
    /// The number of the current deadline.
    deadline: u64,
    /// Numbers that must differ: of actions and tokens.
    last_number: u32,
}

impl<'a> Life<'a> {
    pub(crate) fn new(options: &'a Options, number: u32, whole_log: bool) -> Self {
        let mut dice = Dice::of(options.seed, number);
        let now = Timestamp::from_micros(0);
        let mut node = Node::new("rehearsed", now);
        node.uuid = NodeUuid::from_uuid(uuid::Uuid::from_u64_pair(dice.next(), u64::from(number)));
        let hardware =
            Hardware { cleans: !dice.permille(100), ramdisk: !dice.permille(100), ..Hardware::default() };
        // Every tenth machine belongs to a site with a runbook.
        let hardware = if number % 10 == 9 { hardware.with_runbook() } else { hardware };
        let fast_track = dice.permille(150).then_some(Duration::from_mins(10));
        let seats = (0..options.conductors.clamp(1, 9)).map(Seat::new).collect();
        let machine = Machine {
            slow: true,
            spares_disks: options.sabotage == Some(Sabotage::SpareDisks),
            ..Machine::default()
        };
        let mut life = Self {
            options,
            dice,
            now,
            queue: Queue::default(),
            node,
            flow: None,
            holder: None,
            seats,
            machine,
            hardware: Arc::new(hardware),
            policy: Policy { fast_track, ..Policy::default() },
            token: None,
            caller: Caller::new(options.lives),
            checker: Checker::default(),
            log: Log::new(whole_log),
            tally: Tally::default(),
            misled: false,
            deadline: 0,
            last_number: 0,
        };
        life.queue.plan(now, Event::Act);
        life
    }

    /// Lives it to its end, or to the first rule that does not hold.
    pub(crate) fn live(mut self) -> Ended {
        let breach = loop {
            if self.is_over() {
                break None;
            }
            match self.next() {
                Ok(()) => {}
                Err(breach) => break Some((breach, self.now)),
            }
        };
        let state = self.node.provision_state.as_str();
        *self.tally.ends.entry(state).or_default() += 1;
        self.tally.seconds = self.now.since(Timestamp::from_micros(0)).as_secs();
        self.log.line(self.now, format_args!("ends {state}"));
        let (hash, lines) = self.log.finish();
        Ended { breach, hash, lines, tally: self.tally }
    }

    fn next(&mut self) -> Result<(), Breach> {
        const RULE: &str = "every life ends";
        self.tally.events += 1;
        if self.tally.events > MOST_EVENTS {
            return breach(RULE, format!("more than {MOST_EVENTS} events"));
        }
        let Some((at, event)) = self.queue.next() else {
            return breach(RULE, format!("nothing will ever happen to it again: {:?}", self.flow));
        };
        self.now = at;
        self.happen(event)
    }

    fn happen(&mut self, event: Event) -> Result<(), Breach> {
        match event {
            Event::Act => self.act(),
            Event::Timer(number) => self.deadline_comes(number),
            Event::Apply(seat, work) => self.apply(seat, work),
            Event::Stray(effect, boot) => self.stray(&effect, boot),
            Event::Return(seat, work) => self.answer(seat, work),
            Event::Crash(seat) => self.crash(seat),
            Event::Up(seat) => self.start_conductor(seat),
            Event::Freeze(seat, time) => {
                self.freeze(seat, time);
                Ok(())
            }
            Event::Thaw(seat) => self.thaw(seat),
            Event::Declare(seat, absence) => self.declare_dead(seat, absence),
            Event::Arrive(boot) => {
                self.arrive(boot);
                Ok(())
            }
            Event::Lookup(boot, tries) => self.look_up(boot, tries),
            Event::Heartbeat(boot) => {
                self.heartbeat(boot);
                Ok(())
            }
            Event::Call(token) => self.take_call(token),
            Event::CommandEnds(boot) => {
                self.end_command(boot);
                Ok(())
            }
            Event::AgentDies(boot, anew) => {
                self.agent_dies(boot, anew);
                Ok(())
            }
        }
    }

    /// Callers have what they want, and nothing is under way.
    fn is_over(&self) -> bool {
        self.caller.is_done() && self.flow.is_none() && self.seats.iter().all(Seat::is_idle)
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.queue.plan(self.now.plus(after), event);
    }

    fn number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    /// Whether something goes wrong, at the rate of the options; `weight` of a thousand of it for this kind.
    fn goes_wrong(&mut self, weight: u32, kind: &'static str) -> bool {
        let share = u64::from(self.options.faults) * u64::from(weight);
        let wrong = self.dice.below(1_000_000) < share;
        if wrong {
            self.tally.fault(kind);
            self.log.line(self.now, format_args!("fault: {kind}"));
        }
        wrong
    }

    /// Conductors have no trouble once callers have what they want: what is under way must then come to its end.
    fn crashes(&mut self, weight: u32) -> bool {
        let share = u64::from(self.options.crashes) * u64::from(weight);
        !self.caller.is_done() && self.dice.below(1_000_000) < share
    }
}
