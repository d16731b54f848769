//! A machine's disk, read and written from outside while the machine is off: what a flow left on it, and what it had to
//! find.

use crate::process::{command, quiet};
use anyhow::{Result, bail, ensure};
use lab::Machine;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// First and last MiB of the disk are zeros: no boot sector, no partition table in either place.
pub(crate) fn blank(machine: Machine<'_>) -> Result<()> {
    let disk = machine.disk();
    let part = disk.with_file_name("part");
    for skip in [0, u64::from(machine.spec().disk_gib) * 1024 - 1] {
        let mut dd = command("qemu-img");
        dd.args(["dd", "-f", "qcow2", "-O", "raw", "bs=1M"]);
        dd.args([format!("count={}", skip + 1), format!("skip={skip}")]);
        dd.arg(format!("if={}", disk.display())).arg(format!("of={}", part.display()));
        quiet(&mut dd)?;
        let content = fs::read(&part)?;
        ensure!(content.len() as u64 == MIB, "qemu-img read {} bytes, not one MiB", content.len());
        if let Some(at) = content.iter().position(|byte| *byte != 0) {
            bail!("the disk is not blank: byte {} is not zero", skip * MIB + at as u64);
        }
    }
    Ok(())
}

/// Puts a raw image at the disk's beginning, as an earlier owner would have left it.
pub(crate) fn imprint(machine: Machine<'_>, raw: &Path) -> Result<()> {
    let mut convert = command("qemu-img");
    convert.args(["convert", "-n", "-f", "raw", "-O", "qcow2"]).arg(raw).arg(machine.disk());
    quiet(&mut convert)
}
