//! Builds the product's binaries with cargo: the service, and the static agent of the ramdisk.

use crate::process::{command, output, run, source_root};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
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
///
/// What the cargo that started this program told it of itself is not passed on: build scripts of libraries (ring's is
/// one) ask to be run again when it changes, and everything above them would be built anew at each turn between
/// `cargo xtask` and cargo by hand.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(source_root());
    for (name, _) in std::env::vars_os() {
        if ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The service, optimised. Returns the binary.
pub(crate) fn service() -> Result<PathBuf> {
    run(cargo().args(["build", "--quiet", "--release", "--package", "wrought", "--bin", "wrought"]))?;
    Ok(target_folder()?.join("release/wrought"))
}

/// The service as tests build it: not optimised, and there at once after them. Returns the binary.
pub(crate) fn plain_service() -> Result<PathBuf> {
    run(cargo().args(["build", "--quiet", "--package", "wrought", "--bin", "wrought"]))?;
    Ok(target_folder()?.join("debug/wrought"))
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

/// A program that asks for an interpreter (the dynamic loader) would not start in a ramdisk that has none.
fn ensure_static(binary: &Path) -> Result<()> {
    let content = std::fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    match asks_for_interpreter(&content) {
        Some(false) => Ok(()),
        Some(true) => bail!("{} is not static", binary.display()),
        None => bail!("{} is no 64-bit little-endian ELF file", binary.display()),
    }
}

/// Whether the ELF file has a program header `PT_INTERP`.
fn asks_for_interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?)));
    // Magic number, 64 bits, little endian.
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?)).ok()?;
    let (entry_size, entries) = (short(54)?, short(56)?);
    for entry in 0..entries {
        let at = table.checked_add(entry.checked_mul(entry_size)?)?;
        if u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        let dynamic = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(asks_for_interpreter(&dynamic), Some(true));
        // Debian's package busybox-static.
        assert_eq!(asks_for_interpreter(&std::fs::read("/bin/busybox").unwrap()), Some(false));
        assert_eq!(asks_for_interpreter(b"#!/bin/sh"), None);
        assert_eq!(asks_for_interpreter(&dynamic[..60]), None);
    }
}
