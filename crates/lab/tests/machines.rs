//! The lab itself: BMCs that real clients accept, power that follows them, and nothing left behind.
//!
//! Needs root, QEMU and `cargo xtask setup`; `cargo xtask test` sees to both.

use anyhow::{Context as _, Result};
use lab::{Firmware, Lab, LabDir, LabOptions, MachineSpec};
use std::io::{BufRead as _, BufReader};
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

/// Set for the process that [`a_killed_owner_takes_its_lab_along`] starts, to the lab's name.
const OWNED: &str = "WROUGHT_TEST_OWNED_LAB";

/// The owner to be killed: this very test, in a process of its own.
#[expect(clippy::disallowed_methods, reason = "a test that starts itself must know which of the two it is")]
fn owned() -> Option<String> {
    std::env::var(OWNED).ok()
}

#[test]
fn a_killed_owner_takes_its_lab_along() {
    let dir = LabDir::from_environment();
    if let Some(name) = owned() {
        let machines = vec![MachineSpec::numbered(0, Firmware::Bios)];
        let lab = Lab::up(&dir, LabOptions { name, machines }).unwrap();
        lab.block_on(|| async {
            lab.machine("vm0")?.power_on().await?;
            println!("up");
            std::future::pending::<Result<()>>().await
        })
        .unwrap();
    }
    let name = format!("wl-killed-{}", std::process::id());
    let mut owner = start_owner(&name);
    let output = owner.stdout.take().unwrap();
    let said = BufReader::new(output).lines().map_while(Result::ok).any(|line| line.ends_with("up"));
    assert!(said, "the owner ended before its lab was up");
    let lab = Lab::attach(&dir, &name).unwrap();
    let (folder, namespace) = (lab.folder().to_owned(), lab.namespace().clone());
    let pid = lab.block_on(|| async { lab.machine("vm0")?.info().await?.pid.context("no QEMU") }).unwrap();
    let emulator: u32 = std::fs::read_to_string(folder.join("labd.pid")).unwrap().parse().unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    for pid in [pid, emulator] {
        await_end(pid);
    }
    lab::sweep(&dir);
    assert!(!folder.exists(), "files are still there");
    assert!(namespace.enter().is_err(), "the network is still there");
}

#[expect(clippy::disallowed_methods, reason = "a test that starts itself")]
fn start_owner(name: &str) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().expect("the test's own program"))
        .args(["--exact", "a_killed_owner_takes_its_lab_along", "--nocapture"])
        .env(OWNED, name)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("start the owner")
}

/// Waits until the process is gone; the kernel tells.
fn await_end(pid: u32) {
    let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process number");
    let Ok(handle) = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty()) else { return };
    let mut wait = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    let ended = rustix::event::poll(&mut wait, Some(&limit)).expect("wait for a process");
    assert_eq!(ended, 1, "process {pid} still runs");
}
