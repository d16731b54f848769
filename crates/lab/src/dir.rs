//! Where the lab keeps its files: one folder, outside the source tree. Knows no file's content.

use std::path::{Path, PathBuf};

/// The folder that holds everything the lab downloads, builds or runs.
#[derive(Clone, Debug)]
pub struct LabDir {
    root: PathBuf,
}

impl LabDir {
    /// `$WROUGHT_LAB`, or `/var/tmp/wrought-lab`.
    #[expect(clippy::disallowed_methods, reason = "the one place where the lab learns where it lives")]
    pub fn from_environment() -> Self {
        let root = std::env::var("WROUGHT_LAB").unwrap_or_else(|_| "/var/tmp/wrought-lab".to_owned());
        Self::at(root)
    }

    /// A lab in the given folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Python environment with the BMC servers.
    pub fn venv(&self) -> PathBuf {
        self.root.join("venv")
    }

    /// Downloaded kernel packages, unpacked.
    pub fn kernels(&self) -> PathBuf {
        self.root.join("kernel")
    }

    /// Tenant images and their checksums; served to the machines by the lab's HTTP server.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Deploy ramdisks, a folder per flavour.
    pub fn ramdisks(&self) -> PathBuf {
        self.root.join("ramdisk")
    }

    /// Running labs, a folder each, named like the network namespace.
    pub fn runs(&self) -> PathBuf {
        self.root.join("run")
    }
}
