//! Debian's `ipmitool` as console against our BMC, with both cipher suites.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/interop.rs"]
mod interop;
#[path = "support/machine.rs"]
mod machine;

use bmc::emulator::IpmiServer;
use interop::{IPMITOOL, run};
use ipmi::command::boot::{BootDevice, BootFlags};
use ipmi::command::chassis::ChassisControl;
use ipmi::server::ServerConfig;
use machine::{Machine, PASSWORD, USER, server_config};
use std::process::Output;

struct Tool {
    server: IpmiServer<Machine>,
    /// Options before the command; empty lets the tool choose.
    suite: &'static [&'static str],
}

impl Tool {
    async fn with_config(suite: &'static [&'static str], config: ServerConfig) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let server = IpmiServer::bind(address, config, Machine::default()).await.unwrap();
        Self { server, suite }
    }

    async fn output(&self, password: &str, command: &[&str]) -> Output {
        let port = self.server.local_addr().port().to_string();
        let mut arguments =
            vec!["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", password, "-R", "3"];
        arguments.extend(self.suite);
        arguments.extend(command);
        run(IPMITOOL, &arguments).await
    }

    async fn run(&self, command: &[&str]) -> String {
        let output = self.output(PASSWORD, command).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {text}{errors}");
        text
    }
}

async fn a_machines_life(suite: &'static [&'static str]) {
    let tool = Tool::with_config(suite, server_config()).await;
    assert_eq!(tool.run(&["power", "status"]).await, "Chassis Power is off\n");
    tool.run(&["power", "on"]).await;
    assert_eq!(tool.run(&["power", "status"]).await, "Chassis Power is on\n");
    tool.run(&["chassis", "bootdev", "pxe", "options=persistent,efiboot"]).await;
    let flags = tool.server.with(|server| server.chassis().flags);
    assert_eq!(flags, BootFlags::new(BootDevice::Pxe, true, true));
    let text = tool.run(&["chassis", "bootparam", "get", "5"]).await;
    for line in [
        "Boot parameter version: 1",
        "Boot parameter 5 is valid/unlocked",
        "Boot Flag Valid",
        "Options apply to all future boots",
        "BIOS EFI boot",
        "Boot Device Selector : Force PXE",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let text = tool.run(&["mc", "info"]).await;
    for line in [
        "Device ID                 : 32",
        "Firmware Revision         : 2.45",
        "IPMI Version              : 2.0",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let text = tool.run(&["mc", "guid"]).await;
    assert!(text.contains("12345678-9abc-4def-8123-456789abcdef"), "{text}");
    tool.run(&["power", "reset"]).await;
    tool.run(&["power", "off"]).await;
    let controls = tool.server.with(|server| server.chassis().controls.clone());
    assert_eq!(controls, [ChassisControl::PowerUp, ChassisControl::HardReset, ChassisControl::PowerDown]);
    assert_eq!(tool.server.with(|server| server.session_count()), 0, "every session was closed in order");
}

#[tokio::test]
async fn a_machines_life_with_suite_3() {
    a_machines_life(&["-C", "3"]).await;
}

#[tokio::test]
async fn a_machines_life_with_suite_17() {
    a_machines_life(&["-C", "17"]).await;
}

#[tokio::test]
async fn a_machines_life_with_the_tools_choice() {
    a_machines_life(&[]).await;
}

#[tokio::test]
async fn insecure_suites_are_refused() {
    for suite in [&["-C", "0"], &["-C", "1"], &["-C", "2"]] {
        let tool = Tool::with_config(suite, server_config()).await;
        let output = tool.output(PASSWORD, &["power", "status"]).await;
        assert!(!output.status.success(), "{suite:?}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("no matching cipher suite"), "{suite:?}: {errors}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let tool = Tool::with_config(&["-C", "17"], server_config()).await;
    let output = tool.output("wrong", &["power", "on"]).await;
    assert!(!output.status.success());
    assert_eq!(tool.server.with(|server| server.chassis().controls.len()), 0);
}
