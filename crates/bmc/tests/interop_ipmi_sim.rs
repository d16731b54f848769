//! Our console against OpenIPMI's `ipmi_sim`: suite 3 only, and no answer about its cipher suites.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/interop.rs"]
mod interop;
#[path = "support/machine.rs"]
mod machine;

use bmc::{BootSetting, Credentials, Error, IpmiPool, PowerState, Target};
use interop::{IPMI_SIM, free_port, need};
use ipmi::command::boot::BootDevice;
use ipmi::command::chassis::ChassisControl;
use ipmi::{ClientError, Password};
use machine::{credentials, options};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The machine behind it: files `power` and `boot`, changed by a script as `ipmi_sim` wants it.
const CONTROL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
operation=$1
shift
while [ $# -gt 0 ]; do
    case "$operation $1" in
    "get power" | "get boot") echo "$1:$(cat "$1")"; shift ;;
    "set power" | "set boot") echo "$2" >"$1"; shift 2 ;;
    "set reset") echo reset >>log; shift 2 ;;
    "check "*) shift ;;
    *) exit 1 ;;
    esac
done
"#;

fn configure(dir: &Path, port: u16) {
    let script = dir.join("control");
    fs::write(&script, CONTROL).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.join("power"), "0\n").unwrap();
    fs::write(dir.join("boot"), "default\n").unwrap();
    let auths = "none md2 md5 straight";
    let lan = format!(
        "name \"bmc\"\nset_working_mc 0x20\n  startlan 1\n    addr 127.0.0.1 {port}\n    priv_limit admin\n    \
         allowed_auths_callback {auths}\n    allowed_auths_user {auths}\n    allowed_auths_operator {auths}\n    \
         allowed_auths_admin {auths}\n    guid a123456789abcdefa123456789abcdef\n  endlan\n  \
         chassis_control \"{}\"\n  startnow false\n  user 1 true \"\" \"x\" user 10 {auths}\n  \
         user 2 true \"admin\" \"secret\" admin 10 {auths}\n",
        script.display()
    );
    fs::write(dir.join("lan.conf"), lan).unwrap();
    let emulator = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n";
    fs::write(dir.join("sim.emu"), emulator).unwrap();
    fs::create_dir(dir.join("state")).unwrap();
}

fn ipmi_sim() -> (Child, TempDir, Target) {
    need(IPMI_SIM);
    let dir = TempDir::new().unwrap();
    let port = free_port();
    configure(dir.path(), port);
    let server = Command::new(IPMI_SIM)
        .current_dir(dir.path())
        .args(["-c", "lan.conf", "-f", "sim.emu", "-s", "state", "-n"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    (server, dir, Target::with_port("127.0.0.1", port))
}

/// It needs a moment until it listens; a closed port is told at once.
async fn ready(pool: &IpmiPool, target: &Target) {
    let bmc = pool.client(target.clone(), credentials());
    bmc.wait_for_power_state(PowerState::Off, Duration::from_mins(1)).await.unwrap();
}

#[tokio::test]
async fn a_machines_life() {
    let (_server, dir, target) = ipmi_sim();
    let pool = IpmiPool::new(bmc::Options {
        patience: bmc::Patience { first_probe: Duration::from_millis(100), ..bmc::Patience::default() },
        ..options()
    });
    ready(&pool, &target).await;
    let bmc = pool.client(target, credentials());
    bmc.chassis_control(ChassisControl::PowerUp).await.unwrap();
    bmc.wait_for_power_state(PowerState::On, Duration::from_secs(30)).await.unwrap();
    bmc.chassis_control(ChassisControl::HardReset).await.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("log")).unwrap(), "reset\n", "reset once");
    bmc.set_boot_device(BootDevice::Pxe, false, false).await.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("boot")).unwrap().trim(), "pxe");
    // Its answer never has the "valid" bit.
    let pxe = BootSetting { valid: false, device: BootDevice::Pxe, persistent: false, uefi: false };
    assert_eq!(bmc.get_boot_device().await.unwrap(), pxe);
    bmc.chassis_control(ChassisControl::PowerDown).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    let id = bmc.device_id().await.unwrap();
    assert_eq!((id.firmware_major, id.manufacturer, id.product), (9, 0x1291, 0xf02));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_wrong_password_is_understood() {
    let (_server, _dir, target) = ipmi_sim();
    let pool = IpmiPool::new(bmc::Options {
        patience: bmc::Patience { first_probe: Duration::from_millis(100), ..bmc::Patience::default() },
        ..options()
    });
    ready(&pool, &target).await;
    let wrong = Credentials { password: Password::new("wrong").unwrap(), ..credentials() };
    let error = pool.client(target, wrong).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Login { source: ClientError::WrongPassword, .. }), "{error:?}");
}
