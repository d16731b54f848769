//! The lab itself: BMCs that real clients accept, power that follows them, and nothing left behind.
//!
//! Needs root, QEMU and `cargo xtask setup`; `cargo xtask test` sees to both.

use anyhow::{Context as _, Result};
use lab::{Firmware, Lab, LabDir, LabOptions, MachineSpec};
use std::time::Duration;

fn lab(name: &str, machines: u8) -> Lab {
    let machines = (0..machines).map(|index| MachineSpec::numbered(index, Firmware::Bios)).collect();
    let name = format!("wl-{name}-{}", std::process::id());
    Lab::up(&LabDir::from_environment(), LabOptions { name, machines }).expect("a lab")
}

fn ipmitool(lab: &Lab, bmc: &str, arguments: &[&str]) -> Result<String> {
    let mut command = lab.namespace().command("ipmitool");
    command.args(["-I", "lanplus", "-H", bmc, "-U", "admin", "-P", "password", "-R", "3"]).args(arguments);
    let done = command.output().context("start ipmitool")?;
    anyhow::ensure!(done.status.success(), "ipmitool: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn power_follows_the_bmc_and_the_console_speaks() {
    let lab = lab("power", 2);
    for suite in ["3", "17"] {
        let status = ipmitool(&lab, "172.22.0.11", &["-C", suite, "power", "status"]).unwrap();
        assert!(status.contains("is off"), "suite {suite}: {status}");
    }
    ipmitool(&lab, "172.22.0.10", &["chassis", "bootdev", "pxe"]).unwrap();
    lab.block_on(|| async {
        let machine = lab.machine("vm0")?;
        let before = machine.info().await?;
        assert_eq!((before.power.as_str(), before.boot.as_deref(), before.once), ("off", Some("Pxe"), true));
        let mut console = machine.console()?;
        ipmitool(&lab, "172.22.0.10", &["power", "on"])?;
        // SeaBIOS starts the network card's ROM, which is an iPXE.
        console.wait_for("iPXE", Duration::from_mins(2)).await?;
        let on = machine.info().await?;
        assert_eq!((on.power.as_str(), on.boot), ("on", None), "a one-shot override is used up");
        assert!(on.cpu_seconds > 0.0 && on.pid.is_some());
        ipmitool(&lab, "172.22.0.10", &["power", "off"])?;
        assert_eq!(machine.info().await?.power, "off");
        assert_eq!(lab.machine("vm1")?.info().await?.power, "off", "the other machine was left alone");
        Ok(())
    })
    .unwrap();
}

#[test]
fn nothing_is_left_behind() {
    let lab = lab("gone", 1);
    let folder = lab.folder().to_owned();
    let namespace = std::path::Path::new("/run/netns").join(lab.name());
    let pid = lab
        .block_on(|| async {
            let on = lab.machine("vm0")?.power_on().await?;
            on.pid.context("powered on, yet no process")
        })
        .unwrap();
    assert!(namespace.exists() && folder.exists());
    drop(lab);
    assert!(!namespace.exists(), "the network namespace is still there");
    assert!(!folder.exists(), "files are still there");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "QEMU still runs");
}
