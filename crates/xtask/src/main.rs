//! The developer's tool: `cargo xtask <command>`. Builds, checks, the virtual lab, the demonstration.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the terminal")]

mod build;
mod cpio;
mod image;
mod kernel;
mod machines;
mod process;
mod ramdisk;
mod setup;

use clap::{Parser, Subcommand};
use kernel::Flavour;
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
    /// Build the kernel and the initramfs that machines are deployed with
    Ramdisk {
        /// The kernel: `cloud` boots faster but knows virtual machines only
        #[arg(long, value_enum, default_value = "generic")]
        flavour: Flavour,
        /// Ask apt for the newest kernel, even where one was downloaded before
        #[arg(long)]
        refresh: bool,
        /// A static program to take in the place of this tree's agent
        #[arg(long)]
        agent: Option<std::path::PathBuf>,
    },
    /// Virtual machines with BMCs, to play with
    #[command(subcommand)]
    Lab(machines::LabCommand),
}

/// Progress for people goes to standard error, so that standard output stays with results.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let dir = LabDir::from_environment();
    match cli.command {
        Task::Setup => setup::ensure(&dir),
        Task::Ramdisk { flavour, refresh, agent } => {
            setup::ensure(&dir)?;
            println!("{}", ramdisk::describe(&ramdisk::ensure(&dir, flavour, refresh, agent)?)?);
            Ok(())
        }
        Task::Lab(command) => machines::run(&dir, command),
    }
}
