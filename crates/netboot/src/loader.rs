//! iPXE's own binaries, found on this host when they are asked for: they are never part of this program.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Where distributions put them.
const SYSTEM_DIR: &str = "/usr/lib/ipxe";

/// A boot loader that firmware is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loader {
    /// BIOS: iPXE on the network card's own driver (UNDI), kept loaded.
    Undionly,
    /// UEFI x86-64: iPXE on the firmware's driver of the card it was loaded from.
    SnponlyX64,
    /// UEFI on 32-bit x86.
    SnponlyIa32,
    /// UEFI on 64-bit ARM.
    SnponlyArm64,
}

impl Loader {
    const ALL: [Self; 4] = [Self::Undionly, Self::SnponlyX64, Self::SnponlyIa32, Self::SnponlyArm64];

    /// The name that clients ask for.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::Undionly => "undionly.kpxe",
            Self::SnponlyX64 => "snponly.efi",
            Self::SnponlyIa32 => "snponly-ia32.efi",
            Self::SnponlyArm64 => "snponly-arm64.efi",
        }
    }
}

/// Where to look.
#[derive(Debug)]
pub(crate) struct Loaders(Vec<PathBuf>);

impl Loaders {
    /// The configured directory first.
    pub(crate) fn new(configured: Option<&Path>) -> Self {
        Self(configured.into_iter().chain([Path::new(SYSTEM_DIR)]).map(Path::to_owned).collect())
    }

    /// Whether this is the name of a loader, be it there or not.
    pub(crate) fn knows(name: &str) -> bool {
        Loader::ALL.iter().any(|loader| loader.file_name() == name)
    }

    /// Opens a loader by the name that a client asked for. Blocks.
    pub(crate) fn open(&self, name: &str) -> Option<File> {
        let loader = Loader::ALL.into_iter().find(|loader| loader.file_name() == name)?;
        self.0.iter().find_map(|directory| File::open(directory.join(loader.file_name())).ok())
    }
}
