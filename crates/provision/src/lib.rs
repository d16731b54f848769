//! The core: states, transitions, flows and steps, and the pure function that decides what happens next.
//!
//! Synchronous and deterministic: no clock, no IO, no store. Time comes in with each call.

mod event;
mod transitions;

pub use event::{FsmEvent, Verb};
pub use transitions::{TRANSITIONS, allowed_from, next_state};
