//! `cargo xtask lab image`: the small operating system that the lab deploys, as raw and qcow2 files with checksums.

use crate::kernel::{Flavour, Kernel};
use crate::process::{command, quiet, source_root};
use anyhow::{Context as _, Result};
use lab::LabDir;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::PathBuf;

/// A built image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// File name in the lab's folder of images, which its HTTP server serves.
    pub(crate) file: String,
    /// `qcow2` or `raw`.
    pub(crate) format: &'static str,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
}

/// Builds the image unless it is there, from the same recipe and kernel.
pub(crate) fn ensure(lab: &LabDir, format: ImageFormat) -> Result<Image> {
    let kernel = Kernel::get(lab, Flavour::Cloud, false)?;
    let recipe = source_root().join("lab/build-image.sh");
    let inputs = format!("{:x?} {}", Sha256::digest(fs::read(&recipe)?), kernel.release());
    let folder = lab.images();
    let stamp = folder.join("inputs");
    if !fs::read_to_string(&stamp).is_ok_and(|had| had == inputs) {
        crate::say("building the tenant's image");
        fs::create_dir_all(&folder)?;
        quiet(command("bash").arg(&recipe).arg(kernel.folder()).arg(kernel.release()).arg(&folder))?;
        fs::write(&stamp, inputs)?;
    }
    let file = format!("lab-os.{}", format.as_str());
    let sums = folder.join(format!("{file}.sha256"));
    let sums = fs::read_to_string(&sums).with_context(|| format!("read {}", sums.display()))?;
    let sha256 = sums.split_whitespace().next().context("the checksum file is empty")?.to_owned();
    Ok(Image { file, format: format.as_str(), sha256 })
}

/// The paths of an image, for people.
pub(crate) fn path(lab: &LabDir, image: &Image) -> PathBuf {
    lab.images().join(&image.file)
}

/// As which kind of file the image is handed to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ImageFormat {
    /// 15 MB, compressed.
    Qcow2,
    /// 96 MiB, byte for byte what the disk gets.
    Raw,
}

impl ImageFormat {
    fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }
}
