//! Builds the product's binaries with cargo: the service, and the static agent of the ramdisk.

use crate::process::{command, output, run, source_root};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The agent is linked statically, so that the ramdisk needs no C library. An explicit target keeps these flags off
/// build scripts and procedural macros, which must stay dynamic.
const AGENT_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(PathBuf::from(folder));
    }
    let text = output(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("decode cargo's metadata")?;
    let folder = metadata["target_directory"].as_str().context("cargo's metadata has no target directory")?;
    Ok(PathBuf::from(folder))
}

/// Cargo, in the root of the source tree.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(source_root());
    cargo
}

/// The service, optimised. Returns the binary.
pub(crate) fn service() -> Result<PathBuf> {
    run(cargo().args(["build", "--quiet", "--release", "--package", "wrought", "--bin", "wrought"]))?;
    Ok(target_folder()?.join("release/wrought"))
}

/// The ramdisk's agent, optimised for size and static. Returns the binary.
pub(crate) fn agent() -> Result<PathBuf> {
    // A folder of its own: other flags would make cargo throw away and rebuild what the others share.
    let folder = target_folder()?.join("agent");
    run(cargo()
        .args(["build", "--quiet", "--package", "agent", "--bin", "wrought-agent", "--profile", "agent"])
        .args(["--target", AGENT_TARGET])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &folder))?;
    let binary = folder.join(AGENT_TARGET).join("agent/wrought-agent");
    ensure_static(&binary)?;
    Ok(binary)
}

/// A binary with an interpreter would not start in a ramdisk that has none.
fn ensure_static(binary: &std::path::Path) -> Result<()> {
    let content = std::fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    if content.windows(10).any(|part| part == b"ld-linux-x") {
        bail!("{} is not static: it names a dynamic loader", binary.display());
    }
    Ok(())
}
