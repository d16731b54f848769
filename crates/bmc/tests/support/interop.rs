//! Programs that others wrote, started and stopped by a test: fixed places, a clear message when they are absent.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "included by several test binaries")]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Where the set-up puts Python programs.
pub const PYTHON: &str = "/var/tmp/wrought-lab/venv/bin/python";
pub const IPMITOOL: &str = "/usr/bin/ipmitool";
pub const IPMI_SIM: &str = "/usr/bin/ipmi_sim";

/// Fails with the command that installs it.
pub fn need(program: &str) {
    assert!(Path::new(program).exists(), "{program} is missing: run `cargo xtask setup`");
}

/// Starts a server that prints a line once it listens. It ends with the returned value.
pub async fn start(program: &str, arguments: &[&str]) -> Child {
    need(program);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(Duration::from_mins(1), lines.next_line()).await.expect("it starts").unwrap();
    assert_eq!(line.as_deref(), Some("ready"), "{program}");
    child
}

/// Runs a program to its end.
pub async fn run(program: &str, arguments: &[&str]) -> Output {
    need(program);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    timeout(Duration::from_mins(2), command.output()).await.expect("it ends").unwrap()
}

/// A UDP port of 127.0.0.1 that nobody has at the moment.
pub fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
