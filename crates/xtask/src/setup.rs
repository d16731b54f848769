//! `cargo xtask setup`: Debian packages and a Python environment that the lab and the tests need.
//!
//! Looks first and does nothing (no download, no package index) when all is there. Never names a mirror: packages
//! come from where the machine's own apt and pip get theirs.

use crate::process::{command, output, retry};
use anyhow::{Context as _, Result, bail};
use lab::LabDir;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// QEMU itself: apart, because of the releases that it may have to come from (see [`backports`]).
const QEMU: &[&str] = &["qemu-system-x86", "qemu-utils"];

/// Everything else, with what needs it.
const PACKAGES: &[&str] = &[
    // machines: UEFI firmware, network boot ROMs and binaries, taps
    "ovmf",
    "ipxe",
    "ipxe-qemu",
    "iproute2",
    // clients and servers of other makers, against which protocols are tested
    "curl",
    "openssh-client",
    "ipmitool",
    "openipmi",
    "tftp-hpa",
    "genisoimage",
    "xorriso",
    "libarchive-tools",
    "postgresql",
    "rabbitmq-server",
    // ramdisk and tenant image
    "busybox-static",
    "dropbear-bin",
    "openssh-sftp-server",
    "cpio",
    "kmod",
    "zstd",
    "gdisk",
    "fdisk",
    "dosfstools",
    "mtools",
    "e2fsprogs",
    "grub-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    // the virtual BMCs
    "python3",
    "python3-venv",
];

/// The Python side: BMC servers, firmware variables, and the clients that users of the API have.
const WHEELS: &[&str] = &[
    "sushy-tools==2.2.0",
    "pyghmi",
    "bcrypt",
    "virt-firmware",
    "python-ironicclient",
    "openstacksdk",
    // what openstacksdk's own tests need
    "oslotest",
    "typos",
];

/// A stock Keystone, against which tokens are tested: apart, since its dependencies are many.
const KEYSTONE_WHEELS: &[&str] = &["keystone==30.0.0", "waitress==3.0.2"];

/// A stock agent, against which our commands are tested: apart, as it is never run on this computer's hardware.
const AGENT_WHEELS: &[&str] = &["ironic-python-agent==13.0.0"];

const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

/// Makes the machine ready; quick when it is.
pub(crate) fn ensure(lab: &LabDir) -> Result<()> {
    let all: Vec<&str> = QEMU.iter().chain(PACKAGES).copied().collect();
    ensure_packages(&all)?;
    ensure_venv(&lab.venv(), WHEELS)?;
    ensure_venv(&lab.root().join("keystone-venv"), KEYSTONE_WHEELS)?;
    ensure_venv(&lab.root().join("ipa-venv"), AGENT_WHEELS)
}

/// Installs those Debian packages that are missing.
pub(crate) fn ensure_packages(wanted: &[&str]) -> Result<()> {
    let missing = missing_packages(wanted)?;
    if missing.is_empty() { Ok(()) } else { install_packages(&missing) }
}

fn missing_packages<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    // dpkg-query fails when it knows nothing of a package: that is an answer, too.
    let known = command("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(wanted)
        .output()
        .context("ask dpkg which packages are installed (the lab needs Debian)")?;
    Ok(absent(wanted, &String::from_utf8_lossy(&known.stdout)))
}

/// Which of `wanted` the listing (`name status` lines) does not show as installed.
fn absent<'a>(wanted: &[&'a str], listing: &str) -> Vec<&'a str> {
    let there: BTreeSet<&str> = listing.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    wanted.iter().copied().filter(|name| !there.contains(name)).collect()
}

fn install_packages(missing: &[&str]) -> Result<()> {
    if !lab::is_root() {
        bail!("these Debian packages are needed, and installing them needs root: {}", missing.join(" "));
    }
    crate::say(&format!("installing {}", missing.join(" ")));
    let release = backports()?;
    retry(ATTEMPTS, PAUSE, || apt(&["update"]))?;
    let (qemu, others): (Vec<&str>, Vec<&str>) = missing.iter().partition(|name| QEMU.contains(name));
    if !qemu.is_empty() {
        retry(ATTEMPTS, PAUSE, || {
            let mut install = apt(&["install", "-y", "--no-install-recommends"]);
            if let Some(release) = &release {
                install.args(["-t", release]);
            }
            install.args(&qemu);
            install
        })?;
    }
    if !others.is_empty() {
        retry(ATTEMPTS, PAUSE, || {
            let mut install = apt(&["install", "-y", "--no-install-recommends"]);
            install.args(&others);
            install
        })?;
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> Command {
    let mut apt = command("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(arguments);
    apt
}

/// Where `qemu-utils` came from the backports already, the stable release's `qemu-system-x86` does not fit to it
/// ("broken packages"): then both must come from the backports. Returns the release to install from, and sees to it
/// that apt knows its index.
fn backports() -> Result<Option<String>> {
    let version = command("dpkg-query").args(["-W", "-f", "${Version}", "qemu-utils"]).output()?;
    if !String::from_utf8_lossy(&version.stdout).contains("~bpo") {
        return Ok(None);
    }
    let codename = codename(&std::fs::read_to_string("/etc/os-release").context("read /etc/os-release")?)
        .context("/etc/os-release has no VERSION_CODENAME")?;
    let release = format!("{codename}-backports");
    if !output(command("apt-cache").arg("policy"))?.contains(&release) {
        let mirror = debian_mirror().context("no Debian mirror in apt's own list of sources")?;
        std::fs::write(
            format!("/etc/apt/sources.list.d/{release}.list"),
            format!("deb {mirror} {release} main\n"),
        )
        .context("add the backports to apt's sources")?;
    }
    Ok(Some(release))
}

fn codename(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The mirror that this machine's apt uses for Debian itself.
pub(crate) fn debian_mirror() -> Option<String> {
    let deb822 = std::fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let one_line = std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    mirror_in(&deb822, &one_line)
}

fn mirror_in(deb822: &str, one_line: &str) -> Option<String> {
    let first = deb822.lines().find_map(|line| line.strip_prefix("URIs:")?.split_whitespace().next());
    let second = one_line.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with('['));
        (words.next()? == "deb").then(|| words.find(|word| word.contains("://")))?
    });
    first.or(second).map(str::to_owned)
}

/// A virtual environment with `wheels`, remade in place when the list of them changed.
pub(crate) fn ensure_venv(venv: &Path, wheels: &[&str]) -> Result<()> {
    let stamp = venv.join("wheels");
    let wanted = wheels.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) && venv.join("bin/python").exists() {
        return Ok(());
    }
    crate::say(&format!("installing Python packages into {}", venv.display()));
    std::fs::create_dir_all(venv).with_context(|| format!("make {}", venv.display()))?;
    retry(1, PAUSE, || {
        let mut make = command("python3");
        make.args(["-m", "venv"]).arg(venv);
        make
    })?;
    retry(ATTEMPTS, PAUSE, || pip(venv, wheels))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

fn pip(venv: &Path, wheels: &[&str]) -> Command {
    let mut pip = command(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(wheels);
    pip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_packages_are_those_not_installed() {
        let listing = "a installed\nb config-files\nqemu-utils installed\n";
        assert_eq!(absent(&["a", "b", "c", "qemu-utils"], listing), ["b", "c"]);
        assert!(absent(&["a"], listing).is_empty());
    }

    #[test]
    fn the_mirror_is_that_of_apt() {
        let deb822 = "Types: deb\nURIs: http://mirror.example/debian\nSuites: x\n";
        assert_eq!(mirror_in(deb822, "").as_deref(), Some("http://mirror.example/debian"));
        let one_line = "# deb http://no\ndeb [signed-by=/k] http://old.example/debian stable main\n";
        assert_eq!(mirror_in("", one_line).as_deref(), Some("http://old.example/debian"));
        assert_eq!(mirror_in("", ""), None);
    }

    #[test]
    fn the_codename_is_read() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=\"bookworm\"\n").as_deref(), Some("bookworm"));
        assert_eq!(codename("ID=debian\n"), None);
    }
}
