//! What machines do while they boot, and what it means when they do not arrive.
//!
//! [`Told`] is one thing that one of our servers saw; [`Tail`] collapses repetitions of it; [`attempts`] cuts what is
//! kept of a node into attempts and their rounds; [`judge`] says in one sentence how far an attempt came and, if it failed,
//! why and what to do next. Pure: no clock, no socket, no store.

mod attempt;
mod cause;
mod event;
mod facts;
mod judge;
mod tail;

pub use attempt::{Attempt, attempts};
pub use event::{
    Asking, BootEventKind, Fetch, FileRole, HeartbeatRefusal, LookupRefusal, Relation, ScriptTarget,
    TftpFailure, Told, Unanswered,
};
pub use judge::{Diagnosis, Hears, Judgement, Stage, judge};
pub use tail::{Entry, Tail};
