//! Files of the repository that are made from the program's own tables: written, or checked to be fresh.

use crate::build::cargo;
use crate::process::{output, source_root};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::fs;

/// Page of the program, file in the repository.
const PAGES: &[(&str, &str)] = &[
    ("configuration", "docs/reference/configuration.md"),
    ("sample", "docs/reference/wrought.toml"),
    ("api-versions", "docs/reference/api-versions.md"),
    ("openapi", "docs/reference/openapi.json"),
    ("policy", "docs/reference/policy.yaml"),
    ("states", "docs/reference/states.md"),
    ("hardware", "docs/reference/hardware.md"),
];

#[derive(Debug, Args)]
pub(crate) struct CodegenOptions {
    /// Write nothing; fail when a file is not what it should be
    #[arg(long)]
    pub(crate) check: bool,
}

/// Makes the pages, or compares them.
pub(crate) fn run(options: &CodegenOptions) -> Result<()> {
    let mut stale = Vec::new();
    for &(page, file) in PAGES {
        let text = output(cargo().args(["run", "--quiet", "--package", "wrought", "--", "reference", page]))?;
        let path = source_root().join(file);
        if options.check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                stale.push(file);
            }
        } else {
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("not what the program says: {}; run `cargo xtask codegen`", stale.join(", "));
}
