//! `cargo xtask lab image`: the small operating system that the lab deploys, as raw and qcow2 files with checksums.

use crate::kernel::{Flavour, Kernel};
use crate::process::{command, quiet, source_root};
use anyhow::{Context as _, Result, ensure};
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

/// Size of [`large`].
pub(crate) const LARGE_MIB: u64 = 256;

/// The raw image with noise behind it: large enough for its writing to be watched, and nothing in it compresses.
pub(crate) fn large(lab: &LabDir) -> Result<Image> {
    derived(lab, "lab-os-large", |content| {
        let mut noise = Sha256::digest(b"noise");
        while (content.len() as u64) < LARGE_MIB << 20 {
            noise = Sha256::digest(noise);
            content.extend_from_slice(&noise);
        }
        Ok(())
    })
}

/// The raw image of a system that can be told from the usual one: it says `LAB-V2-UP` where that says `LAB-OS-UP`.
pub(crate) fn second(lab: &LabDir) -> Result<Image> {
    derived(lab, "lab-os-second", |content| {
        let (old, new) = (b"LAB-OS-UP ", b"LAB-V2-UP ");
        let places: Vec<usize> = content
            .windows(old.len())
            .enumerate()
            .filter(|(_, part)| part == old)
            .map(|(at, _)| at)
            .collect();
        ensure!(!places.is_empty(), "the usual image does not say what it is");
        for at in places {
            content[at..at + new.len()].copy_from_slice(new);
        }
        Ok(())
    })
}

/// An image made of the raw one; made again when that one changed.
fn derived(lab: &LabDir, name: &str, change: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Image> {
    let small = ensure(lab, ImageFormat::Raw)?;
    let (file, stamp) = (format!("{name}.raw"), lab.images().join(format!("{name}.made-from")));
    if !fs::read_to_string(&stamp).is_ok_and(|had| had.starts_with(&small.sha256)) {
        crate::say(&format!("building the image {name}"));
        let mut content = fs::read(path(lab, &small))?;
        change(&mut content)?;
        let beside = lab.images().join(format!("{name}.new"));
        fs::write(&beside, &content).with_context(|| format!("write {}", beside.display()))?;
        fs::rename(beside, lab.images().join(&file))?;
        fs::write(&stamp, format!("{} {}", small.sha256, hex(&Sha256::digest(&content))))?;
    }
    let made = fs::read_to_string(&stamp)?;
    let sha256 = made.split_whitespace().nth(1).with_context(|| format!("{name}'s stamp has no digest"))?;
    Ok(Image { sha256: sha256.to_owned(), file, format: "raw" })
}

/// Digits of a digest.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
