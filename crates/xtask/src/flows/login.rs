//! Logging in to a rescued machine with the system's own SSH client, as its rescuer would.

use crate::process::command;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// For one login and its command. Emulated machines agree on keys slowly.
const LOGIN_LIMIT: Duration = Duration::from_mins(2);
/// For a connection to a machine on the same bridge.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// From the rescue's beginning until the agent's own server is closed.
const LEAVE_LIMIT: Duration = Duration::from_mins(2);
const SSH_PORT: u16 = 22;
const AGENT_PORT: u16 = 9999;

/// What is run on the machine. Every line of its output has a name.
const QUESTIONS: &str = "echo me=$(id -u) host=$(hostname) init=$(readlink /proc/1/exe); \
    echo cmdline=$(cat /proc/cmdline); \
    mkdir -p /mnt/disk /mnt/drive; \
    mount -t ext4 -o ro $(findfs LABEL=lab-root) /mnt/disk && mount -t iso9660 -o ro $(findfs LABEL=config-2) /mnt/drive; \
    echo tenant=$(cat /mnt/disk/etc/hostname) boots=$(cat /mnt/disk/boots); \
    echo drive=$(cat /mnt/drive/openstack/latest/meta_data.json); \
    umount /mnt/drive";

/// A rescued machine, seen from outside.
#[derive(Debug)]
pub(super) struct Door {
    address: String,
    /// Answers the client's question for the password.
    askpass: PathBuf,
    folder: PathBuf,
}

impl Door {
    /// `line`: where the agent says on the console which address it has. Files go to `folder`.
    pub(super) fn of(line: &str, folder: &Path, password: &str) -> Result<Self> {
        let (_, rest) = line.split_once(" up ").context("no address in the line")?;
        let address = rest.split('/').next().unwrap_or_default().to_owned();
        let askpass = folder.join("askpass");
        fs::write(&askpass, format!("#!/bin/sh\necho '{password}'\n"))?;
        fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700))?;
        Ok(Self { address, askpass, folder: folder.to_owned() })
    }

    /// Whether anything takes connections for logins.
    pub(super) async fn is_open(&self) -> bool {
        self.connects(SSH_PORT).await
    }

    async fn connects(&self, port: u16) -> bool {
        let connection = TcpStream::connect((self.address.as_str(), port));
        matches!(timeout(CONNECT_LIMIT, connection).await, Ok(Ok(_)))
    }

    /// The same password does not let this user in.
    pub(super) async fn refuses(&self, user: &str) -> Result<()> {
        let output = self.client("ssh", &[&format!("{user}@{}", self.address), "id"]).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{user} may log in");
        ensure!(said.contains("Permission denied"), "{user} was not refused, but: {said}");
        Ok(())
    }

    /// Logs in and looks around: this is the ramdisk, and the user's disk and config drive are as they were.
    pub(super) async fn prove(&self, mark: &str) -> Result<()> {
        let rescuer = format!("rescue@{}", self.address);
        let output = self.client("ssh", &[&rescuer, QUESTIONS]).await?;
        let (said, complaint) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "the login ended with {}: {complaint}\n{said}", output.status);
        for wanted in ["me=0 host=wrought-agent init=/init", "ipa-api-url=", "tenant=lab-os boots=1", mark] {
            ensure!(said.contains(wanted), "no {wanted:?} in what the login showed:\n{said}{complaint}");
        }
        let copy = self.folder.join("copied");
        let from = format!("{rescuer}:/mnt/disk/etc/hostname");
        let output = self.client("scp", &[&from, &copy.to_string_lossy()]).await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "scp ended with {}: {complaint}", output.status);
        ensure!(fs::read_to_string(&copy)?.trim() == "lab-os", "scp brought something else");
        Ok(())
    }

    /// The agent's own server is closed: it is not for whoever rescues the machine.
    pub(super) async fn agent_leaves(&self) -> Result<()> {
        let start = Instant::now();
        while self.connects(AGENT_PORT).await {
            if start.elapsed() > LEAVE_LIMIT {
                bail!("the agent still listens {} s after", LEAVE_LIMIT.as_secs());
            }
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// Runs a client of OpenSSH that asks nobody at a terminal.
    async fn client(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut client = command(program);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "PreferredAuthentications=password",
            "NumberOfPasswordPrompts=1",
            "ConnectTimeout=30",
            "LogLevel=ERROR",
        ] {
            client.args(["-o", option]);
        }
        client.args(["-F", "none"]).args(arguments);
        client.env("SSH_ASKPASS", &self.askpass).env("SSH_ASKPASS_REQUIRE", "force").stdin(Stdio::null());
        let mut client = tokio::process::Command::from(client);
        let running = client.kill_on_drop(true).output();
        timeout(LOGIN_LIMIT, running)
            .await
            .with_context(|| format!("{program} did not end"))?
            .with_context(|| format!("start {program}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_what_the_agent_says() {
        let folder = tempfile::tempdir().unwrap();
        let line = "wrought-agent: [   3.1] network eth0 up 172.22.0.100/24 by 172.22.0.1";
        let door = Door::of(line, folder.path(), "a b").unwrap();
        assert_eq!(door.address, "172.22.0.100");
        let said = crate::process::output(&mut command(&door.askpass)).unwrap();
        assert_eq!(said, "a b\n");
        assert!(Door::of("nothing", folder.path(), "a").is_err());
    }
}
