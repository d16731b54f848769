//! Debian's kernel package, downloaded and unpacked (never installed), and what its modules need.

use crate::process::{command, output, quiet, retry};
use anyhow::{Context as _, Result};
use lab::LabDir;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Flavour {
    /// Virtual machines only; unpacks itself faster (LZ4) and has few drivers.
    Cloud,
    /// Servers: every driver.
    Generic,
}

impl Flavour {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Generic => "generic",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Cloud => "linux-image-cloud-amd64",
            Self::Generic => "linux-image-amd64",
        }
    }
}

/// An unpacked kernel package.
#[derive(Debug)]
pub(crate) struct Kernel {
    folder: PathBuf,
    release: String,
    /// Module name → path relative to the modules' folder, and the paths of what it needs (in the order to load).
    modules: BTreeMap<String, (String, Vec<String>)>,
}

impl Kernel {
    /// Unpacks the flavour's current package, or takes the one that was unpacked before; `refresh` asks for the newest.
    pub(crate) fn get(lab: &LabDir, flavour: Flavour, refresh: bool) -> Result<Self> {
        fs::create_dir_all(lab.kernels()).with_context(|| format!("make {}", lab.kernels().display()))?;
        // Several may ask at once, and one download is enough. Unlocked when the file is closed.
        let lock = fs::File::create(lab.kernels().join("lock"))?;
        lock.lock().context("wait for another download of the kernel")?;
        let chosen = lab.kernels().join(flavour.as_str());
        let package = match fs::read_to_string(&chosen) {
            Ok(package) if !refresh => package,
            _ => download(lab, flavour)?,
        };
        fs::write(&chosen, &package).with_context(|| format!("write {}", chosen.display()))?;
        let release = package.trim_start_matches("linux-image-").to_owned();
        let folder = lab.kernels().join(&package);
        let dependencies = folder.join("lib/modules").join(&release).join("modules.dep");
        let dependencies =
            fs::read_to_string(&dependencies).with_context(|| format!("read {}", dependencies.display()))?;
        Ok(Self { folder, release, modules: parse_dependencies(&dependencies) })
    }

    /// The unpacked package's root.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// As `uname -r` prints it.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// The bootable image.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The folder of modules and their tables.
    pub(crate) fn modules_folder(&self) -> PathBuf {
        self.folder.join("lib/modules").join(&self.release)
    }

    /// Path (in the modules' folder) of a module and of what must be loaded before it, in the order to load.
    /// `None` when the kernel has no such module: built in, or not in this flavour.
    pub(crate) fn module(&self, name: &str) -> Option<(&str, &[String])> {
        self.modules.get(name).map(|(path, needs)| (path.as_str(), needs.as_slice()))
    }

    /// Lines `pattern module` of the kernel's table of device names.
    pub(crate) fn aliases(&self) -> Result<Vec<(String, String)>> {
        let table =
            fs::read_to_string(self.modules_folder().join("modules.alias")).context("read modules.alias")?;
        Ok(parse_aliases(&table))
    }
}

fn download(lab: &LabDir, flavour: Flavour) -> Result<String> {
    let mut package = current_package(flavour);
    if package.is_err() {
        quiet(command("apt-get").args(["-qq", "update"]))?;
        package = current_package(flavour);
    }
    let package = package?;
    let folder = lab.kernels().join(&package);
    let release = package.trim_start_matches("linux-image-");
    if folder.join("lib/modules").join(release).join("modules.dep").exists() {
        return Ok(package);
    }
    let downloads = lab.kernels().join("download");
    fs::create_dir_all(&downloads)?;
    crate::say(&format!("downloading {package}"));
    retry(3, Duration::from_secs(5), || {
        let mut get = command("apt-get");
        // Root's downloads are normally left to another user, who may not write to this folder.
        get.args(["download", "-qq", "-o", "APT::Sandbox::User=root", &package]).current_dir(&downloads);
        get
    })
    .or_else(|_| {
        // The package index may name a version that the mirror has replaced since.
        quiet(command("apt-get").args(["-qq", "update"]))?;
        quiet(
            command("apt-get")
                .args(["download", "-qq", "-o", "APT::Sandbox::User=root", &package])
                .current_dir(&downloads),
        )
    })?;
    let prefix = format!("{package}_");
    let file = fs::read_dir(&downloads)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .with_context(|| format!("apt did not leave {package} in {}", downloads.display()))?;
    quiet(command("dpkg-deb").arg("-x").arg(&file).arg(&folder))?;
    fs::remove_file(file)?;
    quiet(command("/sbin/depmod").arg("-b").arg(&folder).arg(release))?;
    Ok(package)
}

/// The package that the flavour's name stands for at the moment.
fn current_package(flavour: Flavour) -> Result<String> {
    let listing = output(command("apt-cache").args(["depends", flavour.package()]))?;
    listing
        .lines()
        .find_map(|line| {
            line.trim().strip_prefix("Depends: ").filter(|name| name.starts_with("linux-image-"))
        })
        .map(str::to_owned)
        .with_context(|| format!("apt knows no package behind {}", flavour.package()))
}

/// `modules.dep`: `path: path path ...`, where what stands last must be loaded first.
fn parse_dependencies(table: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let lines = table.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(path, needs)| {
            let needs = needs.split_whitespace().rev().map(str::to_owned).collect();
            (module_name(path), (path.to_owned(), needs))
        })
        .collect()
}

/// Modules are named by their file, with `_` for `-`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// `modules.alias`: `alias PATTERN MODULE`.
fn parse_aliases(table: &str) -> Vec<(String, String)> {
    let mut all = BTreeSet::new();
    for line in table.lines() {
        let mut words = line.split_whitespace();
        if let (Some("alias"), Some(pattern), Some(module)) = (words.next(), words.next(), words.next()) {
            all.insert((pattern.to_owned(), module.replace('-', "_")));
        }
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let table =
            "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\nkernel/lib/crc16.ko:\n";
        let modules = parse_dependencies(table);
        assert_eq!(modules["ext4"].1, ["kernel/lib/crc16.ko", "kernel/fs/jbd2/jbd2.ko"]);
        assert!(modules["crc16"].1.is_empty());
    }

    #[test]
    fn names_have_no_dashes() {
        assert_eq!(module_name("kernel/drivers/usb/storage/usb-storage.ko.xz"), "usb_storage");
    }

    #[test]
    fn aliases_are_read() {
        let table = "# comment\nalias pci:v00001AF4d* virtio_pci\nalias fs-vfat vfat\n";
        assert_eq!(
            parse_aliases(table),
            [
                ("fs-vfat".to_owned(), "vfat".to_owned()),
                ("pci:v00001AF4d*".to_owned(), "virtio_pci".to_owned())
            ]
        );
    }
}
