//! The developer's tool: `cargo xtask <command>`. Builds, checks, the virtual lab, the demonstration.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the terminal")]

mod process;
mod setup;

use clap::{Parser, Subcommand};
use lab::LabDir;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The developer's tool of Wrought")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what the lab and the tests need; quick when it is there
    Setup,
}

/// Progress for people goes to standard error, so that standard output stays with results.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let lab = LabDir::from_environment();
    match cli.command {
        Task::Setup => setup::ensure(&lab),
    }
}
