//! `cargo xtask ci` and `cargo xtask test`: everything that must hold before a change goes in, in the order of what
//! tells most in the least time. Both run the same steps; `--only` picks some.

use crate::build::cargo;
use crate::cluster::{self, ClusterOptions};
use crate::crash::{self, CrashOptions};
use crate::demo::{self, DemoOptions};
use crate::faults::{self, FaultOptions};
use crate::flows::{self, FlowOptions};
use crate::process::{command, run, source_root};
use crate::{say, setup, tidy};
use anyhow::{Context as _, Result};
use lab::LabDir;
use std::process::{Command, Stdio};
use tokio::time::Instant;

/// What to check.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CiOptions {
    /// Only these steps
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Step>,
    #[command(flatten)]
    demo: DemoOptions,
}

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// rustfmt
    Format,
    /// Layers, file sizes, names
    Tidy,
    /// Spelling
    Typos,
    /// Clippy, warnings are errors
    Clippy,
    /// Unit and integration tests, documentation's examples
    Test,
    /// rustdoc, warnings are errors
    Doc,
    /// Generated files are up to date
    Codegen,
    /// The service answers as its `OpenAPI` document says
    Schema,
    /// Every row of the measurement of the API, for a moment each, and all parts of the conductor's, with a few lives
    Bench,
    /// Several conductors with simulated machines; virtual machines: from enrolment to removal, with a service that is
    /// killed, with deployments that fail, and all that is not deployment
    Machines,
}

const STEPS: &[Step] = &[
    Step::Format,
    Step::Tidy,
    Step::Typos,
    Step::Clippy,
    Step::Test,
    Step::Doc,
    Step::Codegen,
    Step::Schema,
    Step::Bench,
    Step::Machines,
];

/// Runs the steps; ends at the first that fails.
pub(crate) fn check(dir: &LabDir, options: &CiOptions) -> Result<()> {
    setup::ensure(dir)?;
    let mut times = Vec::new();
    for step in STEPS.iter().filter(|step| options.only.is_empty() || options.only.contains(step)) {
        say(&format!("=== {step:?}"));
        let start = Instant::now();
        take(*step, dir, options).with_context(|| format!("{step:?} failed"))?;
        times.push(format!("{step:?} {:.0} s", start.elapsed().as_secs_f64()));
    }
    say(&format!("all well: {}", times.join(", ")));
    Ok(())
}

fn take(step: Step, dir: &LabDir, options: &CiOptions) -> Result<()> {
    match step {
        Step::Format => run(cargo().args(["fmt", "--all", "--check"])),
        Step::Tidy => tidy::run(),
        Step::Typos => run(command(dir.venv().join("bin/typos")).current_dir(source_root())),
        Step::Clippy => {
            run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }
        Step::Test => test(),
        Step::Doc => run(cargo()
            .args(["doc", "--quiet", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")),
        Step::Codegen => crate::codegen::run(&crate::codegen::CodegenOptions { check: true }),
        Step::Bench => crate::bench::smoke(dir),
        Step::Schema => crate::schema::run(dir, &crate::schema::SchemaOptions::default()),
        Step::Machines => machines(dir, &options.demo),
    }
}

/// What goes well, what is survived, and what must fail.
fn machines(dir: &LabDir, options: &DemoOptions) -> Result<()> {
    cluster::run(dir, &ClusterOptions::brief(options.builds.service.clone()))?;
    demo::run(dir, options)?;
    crash::run(dir, &CrashOptions::all(options.builds.clone()))?;
    faults::run(dir, &FaultOptions { builds: options.builds.clone() })?;
    flows::run(dir, &FlowOptions { builds: options.builds.clone() })
}

/// By nextest where it is installed: its groups keep the lab's tests from running all at once.
fn test() -> Result<()> {
    if has_nextest() {
        run(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
        // Examples in the documentation are beyond nextest.
        return run(cargo().args(["test", "--quiet", "--workspace", "--doc"]));
    }
    run(cargo().args(["test", "--quiet", "--workspace", "--no-fail-fast"]))
}

fn has_nextest() -> bool {
    let mut ask: Command = cargo();
    ask.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}
