//! The developer's tool: `cargo xtask <command>`. Builds, checks, the virtual lab, the demonstration.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to the terminal")]

mod api;
mod bench;
mod board;
mod build;
mod ci;
mod cluster;
mod codegen;
mod coverage;
mod cpio;
mod crash;
mod demo;
mod dev;
mod diff;
mod faults;
mod figures;
mod fleet;
mod flows;
mod image;
mod kernel;
mod life;
mod machines;
mod moment;
mod platter;
mod postgres;
mod process;
mod ramdisk;
mod rescue_tools;
mod schema;
mod servers;
mod service;
mod setup;
mod stage;
mod tidy;

use clap::{Parser, Subcommand};
use kernel::Flavour;
use lab::LabDir;
use std::process::ExitCode;

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
        #[command(flatten)]
        options: ramdisk::RamdiskOptions,
    },
    /// Virtual machines with BMCs, to play with
    #[command(subcommand)]
    Lab(machines::LabCommand),
    /// Watch the service take virtual machines through their whole life
    Demo(demo::DemoOptions),
    /// The demonstration's flow in a lab that is up, against any server of the Bare Metal API
    Drive(demo::DriveOptions),
    /// Kill the service at the worst moments of a virtual machine's life; the machine must not notice
    Crash(crash::CrashOptions),
    /// Several conductors on one store, and what breaks between them; no node must notice
    Cluster(cluster::ClusterOptions),
    /// Deployments that must fail: each tells why, and leaves nothing on the disk that boots
    Faults(faults::FaultOptions),
    /// Inspection, manual cleaning, rescue, rebuild, service and adoption of a virtual machine, each proved on the machine
    Flows(flows::FlowOptions),
    /// How fast images are written, beside what the virtual machine can do at all; the service's memory
    Figures(figures::FigureOptions),
    /// Everything that must hold before a change goes in
    Ci(ci::CiOptions),
    /// The same as `ci`: all tests, the virtual machines' included
    Test(ci::CiOptions),
    /// A stock Ironic beside the service: the same requests to both, and what they answer differently
    Diff(diff::DiffOptions),
    /// How fast the API and the conductor are, beside a stock Ironic and beside the least that a server could do
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Requests made of the service's own `OpenAPI` document: no 500, and answers as it says
    Schema(schema::SchemaOptions),
    /// How much of the contract's tables is there, and which tests walk them
    Coverage(coverage::CoverageOptions),
    /// Check layers, file sizes, names
    Tidy,
    /// Make the pages of the reference from the program's tables
    Codegen(codegen::CodegenOptions),
    /// Run the service in the foreground, without login
    Dev(dev::DevOptions),
}

/// Progress for people goes to standard error, so that standard output stays with results.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn main() -> ExitCode {
    match run(Cli::parse().command, &LabDir::from_environment()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task, dir: &LabDir) -> anyhow::Result<()> {
    match task {
        Task::Setup => setup::ensure(dir),
        Task::Ramdisk { flavour, options } => {
            setup::ensure(dir)?;
            println!("{}", ramdisk::describe(&ramdisk::ensure(dir, flavour, &options)?)?);
            Ok(())
        }
        Task::Demo(options) => demo::run(dir, &options),
        Task::Drive(options) => demo::drive(dir, &options),
        Task::Crash(options) => crash::run(dir, &options),
        Task::Cluster(options) => cluster::run(dir, &options),
        Task::Faults(options) => faults::run(dir, &options),
        Task::Flows(options) => flows::run(dir, &options),
        Task::Figures(options) => figures::run(dir, &options),
        Task::Dev(options) => dev::run(dir, &options),
        Task::Ci(options) | Task::Test(options) => ci::check(dir, &options),
        Task::Bench(command) => bench::run(dir, &command),
        Task::Diff(options) => diff::run(dir, &options),
        Task::Schema(options) => schema::run(dir, &options),
        Task::Coverage(options) => coverage::run(&options),
        Task::Tidy => tidy::run(),
        Task::Codegen(options) => codegen::run(&options),
        Task::Lab(command) => machines::run(dir, command),
    }
}
