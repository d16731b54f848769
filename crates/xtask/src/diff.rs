//! `cargo xtask diff`: a stock Ironic beside our service, the same requests to both, and what they answer differently.
//!
//! What the requests are and how answers are compared is known
//! to `conformance/`; which differences are meant stands in `conformance/accepted.yaml`.

use crate::build;
use crate::process::{run as run_shown, source_root};
use crate::servers::{Ours, Peer, Scratch, conformance};
use anyhow::{Context as _, Result};
use lab::LabDir;
use std::path::PathBuf;
use std::process::Command;

/// What is replayed unless the caller says otherwise.
const SCENARIOS: [&str; 6] = [
    "peer/scenarios.yaml",
    "scenarios/life.yaml",
    "scenarios/bad-input.yaml",
    "scenarios/filters.yaml",
    "scenarios/resources.yaml",
    "scenarios/versions.yaml",
];

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DiffOptions {
    /// Requests to replay, in the place of those in conformance/; may be given several times
    #[arg(long)]
    scenarios: Vec<PathBuf>,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Let Ironic enable every interface of its fake hardware, not only those that this service has, too
    #[arg(long)]
    all_interfaces: bool,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
    /// Show every difference, and which requests each accepted one explained
    #[arg(long, short)]
    verbose: bool,
    /// Leave both servers' folders, with their logs
    #[arg(long)]
    keep: bool,
}

/// Starts both, replays, and ends both. An error when something differs that is not meant to.
pub(crate) fn run(dir: &LabDir, options: &DiffOptions) -> Result<()> {
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let scratch = Scratch::new(dir, "diff", options.keep)?;
    let extra = (!options.all_interfaces).then(|| conformance().join("same-interfaces.conf"));
    let peer = Peer::start(dir, scratch.folder.join("ironic"), extra)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ours = runtime.block_on(Ours::start(&binary, &scratch.folder.join("wrought"), None))?;
    run_shown(&mut replay(options, &peer, &ours)).context("the answers differ in ways that are not accepted")
}

fn replay(options: &DiffOptions, peer: &Peer, ours: &Ours) -> Command {
    let of_the_tree = SCENARIOS.map(|name| conformance().join(name));
    let scenarios = if options.scenarios.is_empty() { &of_the_tree } else { &options.scenarios[..] };
    let mut replay = peer.python("peer/diff_api.py");
    replay
        .arg(format!("http://127.0.0.1:{}", peer.port))
        .arg(format!("http://127.0.0.1:{}", ours.port))
        .arg("--accepted")
        .arg(conformance().join("accepted.yaml"));
    for file in scenarios {
        replay.arg("--scenarios").arg(file);
    }
    if let Some(only) = &options.only {
        replay.arg("--only").arg(only);
    }
    if options.verbose {
        replay.arg("--verbose");
    }
    // A part of the requests cannot tell which of the accepted differences are gone, or which routes nothing asks.
    if options.only.is_none() && options.scenarios.is_empty() && !options.all_interfaces {
        replay.arg("--all-used").arg("--routes").arg(source_root().join("contract/api.tsv"));
    }
    replay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_needs_is_there() {
        for file in ["peer/start-ironic.sh", "peer/diff_api.py", "accepted.yaml", "same-interfaces.conf"]
            .iter()
            .chain(&SCENARIOS)
        {
            assert!(conformance().join(file).is_file(), "{file}");
        }
    }
}
