//! The one binary: `wrought serve` is the service.

mod error_pages;
mod explain;
mod pages;
mod rehearse;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use server::{Config, Role, Roles};

/// Bare metal provisioning.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve {
        /// The configuration; without one, everything is at its default.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Which parts run in this process: api, conductor, netboot. All, where none is named.
        #[arg(long = "role", value_delimiter = ',')]
        roles: Vec<Role>,
    },
    /// Show the rules in force, or say what is wrong with the operator's file of rules.
    Policy {
        /// The configuration; without one, the default rules are shown.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Simulate a fleet: machines with IPMI BMCs, and agents that speak the real protocols.
    Fleet(Box<sim::SimArgs>),
    /// Rehearse whole lives of nodes under virtual time, with every kind of trouble, from a seed.
    Sim(rehearse::SimArgs),
    /// Look at one node.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Show the page of an error: what it means and what to do.
    Explain {
        /// Its code, as E0514.
        code: String,
    },
    /// Show a page of the reference: configuration, sample, api-versions, openapi, policy, states.
    Reference {
        /// Its name.
        page: pages::Page,
    },
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Say what a node is doing, since when, until when, what comes next, and how its last boot went.
    Explain(explain::ExplainArgs),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "wrought: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { config, roles } => serve(config.as_deref(), Roles::of(&roles)),
        Command::Policy { config } => say(&server::rules(&Config::load(config.as_deref())?)?.page()),
        Command::Fleet(arguments) => simulate_fleet(&arguments),
        Command::Sim(arguments) => rehearse::run(&arguments, say),
        Command::Node(NodeCommand::Explain(arguments)) => say(&explain::run(&arguments)?),
        Command::Explain { code } => say(error_pages::page(&code)?),
        Command::Reference { page } => say(&page.text()),
    }
}

fn serve(config: Option<&Path>, roles: Roles) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    server::start_logging(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(server::serve(config, roles, |line| {
        let _ = say(&format!("{line}\n"));
    }))
}

fn simulate_fleet(arguments: &sim::SimArgs) -> anyhow::Result<()> {
    server::install_tls_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    runtime.block_on(sim::run_cli(arguments, &mut std::io::stdout(), stop))?;
    Ok(())
}

/// Writes to standard output at once: whoever started the service may read it through a pipe.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
