//! The core's other side, for tests of the core and for rehearsals of whole lives: a machine that does what actions ask
//! for, and the plans of its drivers. No clock, no IO, no chance but from a seed.

mod hardware;
mod machine;

pub use hardware::Hardware;
pub use machine::{Agent, Command, Machine};
