//! The core: states, transitions, flows and steps, and the pure function that decides what happens next.
//!
//! Synchronous and deterministic: no clock, no IO, no store. Time comes in with each call.
//!
//! Read [`flow::deploy`] to see what a deployment does, [`transitions`](TRANSITIONS) to see which state may follow which,
//! and [`decide`] to see how both are driven.

pub mod allocation;
pub mod flow;

mod agent_calls;
mod console;
mod decide;
mod effect;
mod error;
mod event;
mod fast_track;
mod offer;
mod plan;
mod power_sync;
mod record;
mod request;
mod seen_facts;
mod step;
mod told;
mod transitions;
mod turn;
mod wake;

pub use agent_calls::{AGENT_TOKEN, expects_heartbeat, expects_lookup, give_token, take_heartbeat};
pub use console::{ConsoleChange, ConsoleTold, begin_console, end_console};
pub use decide::{
    AGENT_KEYS, Decision, Entry, INSTANCE_KEYS, Input, Note, Plans, Policy, World, begin, decide,
    forget_agent, move_node, note_agent,
};
pub use effect::{Effect, Observed, Outcome, StepPart, StepWait};
pub use error::{ErrorCode, StepError};
pub use event::{FsmEvent, Verb};
pub use flow::FlowKind;
pub use offer::{OfferedStep, StepArgument};
pub use plan::{LONGEST_PAUSE, Plan, RequestedStep, Wish};
pub use power_sync::{
    PowerSyncPolicy, SeenPower, UNWATCHED, is_recoverable, is_watched, recover_power, sync_power,
};
pub use record::{Asker, Boots, FlowRecord, OpenEffect, Phase, RECORD_VERSION, Wait, WaitFor};
pub use request::{Refusal, check, perform, perform_power};
pub use seen_facts::{Health, SeenFacts, UnknownHealth, take_facts};
pub use step::{Action, AgentStep, NetworkChange, OnRestart, PlannedStep, StepList};
pub use told::{Status, told_as};
pub use transitions::{TRANSITIONS, allowed_from, next_state};
pub use turn::AUTOMATIC_LESSEE;
pub use wake::{DRIVEN_STATES, Due, fail_orphan, feed, hold_on, take_up};
