//! What the tasks with virtual machines have in common: the binaries to run, the lab around them, and what is kept when
//! something fails. Knows no flow.

use crate::kernel::Flavour;
use crate::ramdisk::{self, Ramdisk, RamdiskOptions};
use crate::{build, say, setup};
use anyhow::{Context as _, Result, bail};
use lab::{Lab, LabDir, LabOptions, MachineSpec};
use std::path::PathBuf;

/// Which service and which ramdisk; this tree's, built first, unless others are named.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Builds {
    /// The ramdisk's kernel. `cloud` boots in two seconds of processor time, `generic` (for real servers) in five
    #[arg(long, value_enum, default_value = "cloud")]
    pub(crate) flavour: Flavour,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    pub(crate) service: Option<PathBuf>,
    /// A static agent built before, in the place of this tree's
    #[arg(long)]
    pub(crate) agent: Option<PathBuf>,
    /// A folder with the `vmlinuz` and the `initramfs` of another ramdisk
    #[arg(long, conflicts_with_all = ["flavour", "agent"])]
    pub(crate) ramdisk: Option<PathBuf>,
}

/// What was built.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) service: PathBuf,
    pub(crate) ramdisk: Ramdisk,
}

impl Builds {
    /// Builds what is not named, and makes the computer ready for a lab.
    pub(crate) fn ensure(&self, dir: &LabDir) -> Result<Parts> {
        setup::ensure(dir)?;
        say("building the service and the ramdisk");
        let service = self.service.clone().map_or_else(build::service, Ok)?;
        let ramdisk = if let Some(folder) = &self.ramdisk {
            Ramdisk { kernel: folder.join("vmlinuz"), initramfs: folder.join("initramfs") }
        } else {
            let options = RamdiskOptions { agent: self.agent.clone(), ..RamdiskOptions::default() };
            ramdisk::ensure(dir, self.flavour, &options)?
        };
        say(&ramdisk::describe(&ramdisk)?);
        Ok(Parts { service, ramdisk })
    }
}

/// A lab for one task.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The task: part of the lab's name.
    pub(crate) task: &'static str,
    pub(crate) machines: Vec<MachineSpec>,
    /// Leave the lab up when all went well.
    pub(crate) keep: bool,
}

impl Stage {
    /// Runs `work` inside the lab's network. When it fails, the logs are copied to where they stay.
    pub(crate) fn play<T: Send>(
        self,
        dir: &LabDir,
        work: impl AsyncFnOnce(&Lab) -> Result<T> + Send,
    ) -> Result<T> {
        let options =
            LabOptions { name: format!("wl-{}-{}", self.task, std::process::id()), machines: self.machines };
        let lab = if self.keep { Lab::up_to_stay(dir, options)? } else { Lab::up(dir, options)? };
        let played = lab.block_on(|| async {
            tokio::select! {
                done = work(&lab) => done,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            }
        });
        let Err(error) = played else { return played };
        let kept = keep_evidence(dir, &lab);
        if self.keep {
            lab.down()?;
        }
        Err(error.context(format!("logs are in {}", kept?.display())))
    }
}

/// Copies the logs of a failed run to where the next run does not remove them.
fn keep_evidence(dir: &LabDir, lab: &Lab) -> Result<PathBuf> {
    let kept = dir.root().join("failed").join(lab.name());
    let text_files = ["labd.log", "events.jsonl", "service/log", "service/output", "service/wrought.toml"];
    let consoles = lab.machines().map(|machine| format!("{}/console.log", machine.spec().name));
    for file in text_files.map(str::to_owned).into_iter().chain(consoles) {
        let (from, to) = (lab.folder().join(&file), kept.join(&file));
        let folder = to.parent().unwrap_or(&kept);
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        std::fs::copy(from, to).ok();
    }
    Ok(kept)
}
