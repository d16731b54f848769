//! Child processes, the only place in the tree that starts them: a program and a list of arguments (never a
//! shell), an empty environment but `PATH` and `LANG`, a deadline, bounded output, and a process group that dies
//! with its owner. It does not know what the programs are for.
//!
//! * [`Command::run`] runs a short program to its end and wants success.
//! * [`Command::output`] does the same and leaves the exit status to the caller.
//! * [`Command::spawn`] starts a long-running program whose output goes to a log file.

mod capture;
mod child;
mod command;
mod error;

pub use child::Child;
pub use command::{Command, Output};
pub use error::CommandError;
