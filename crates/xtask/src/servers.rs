//! A stock Ironic and our service side by side on the loopback interface: started, found again, ended. What is asked of
//! them is not known here.

use crate::api::Client;
use crate::process::{command, quiet, source_root};
use crate::say;
use anyhow::{Context as _, Result, bail};
use lab::LabDir;
pub(crate) use lab::idle_port;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// From start to the first answer of our service.
const READY: Duration = Duration::from_secs(30);
/// Between two looks whether it answers.
const AGAIN: Duration = Duration::from_millis(100);

/// The service does nothing but what it is asked, as the stock Ironic beside it.
const NO_PERIODIC_WORK: &str = "sync_power_state_interval = 0\npower_failure_recovery_interval = 0\n";

/// Both servers' files. Removed at the end unless kept.
pub(crate) struct Scratch {
    pub(crate) folder: PathBuf,
    keep: bool,
}

impl Scratch {
    /// A folder of this process for `task`.
    pub(crate) fn new(dir: &LabDir, task: &str, keep: bool) -> Result<Self> {
        let folder = dir.root().join(format!("{task}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, keep })
    }
}

impl Scratch {
    /// Keeps the files after all, when `failed`.
    pub(crate) fn keep_if(&mut self, failed: bool) {
        self.keep |= failed;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            say(&format!("logs are in {}", self.folder.display()));
        } else {
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// A stock Ironic. Ends with the value.
pub(crate) struct Peer {
    pub(crate) port: u16,
    folder: PathBuf,
    venv: PathBuf,
}

impl Peer {
    /// Installs it where it is missing, and starts it with an empty store.
    pub(crate) fn start(dir: &LabDir, folder: PathBuf, extra: Option<PathBuf>) -> Result<Self> {
        let peer = Self { port: idle_port()?, folder, venv: dir.root().join("ironic-venv") };
        let mut start = peer.script("start-ironic.sh");
        if let Some(extra) = extra {
            start.env("PEER_EXTRA", extra);
        }
        quiet(&mut start).context("start a stock Ironic")?;
        Ok(peer)
    }

    /// A program of `conformance/`, run by the Python that Ironic runs on.
    pub(crate) fn python(&self, program: &str) -> Command {
        let mut python = command(self.venv.join("bin/python"));
        python.arg(conformance().join(program));
        python
    }

    /// Its store.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("ironic.sqlite")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        let file = self.folder.join("pids/ironic");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        text.trim().parse().with_context(|| format!("{} holds no number", file.display()))
    }

    fn script(&self, name: &str) -> Command {
        let mut script = command(conformance().join("peer").join(name));
        script
            .env("PEER_PORT", self.port.to_string())
            .env("PEER_DIR", &self.folder)
            .env("PEER_VENV", &self.venv);
        script
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Err(error) = quiet(&mut self.script("stop-ironic.sh")) {
            say(&format!("{error:#}"));
        }
    }
}

/// Our service. Ends with the value.
pub(crate) struct Ours {
    process: Child,
    pub(crate) port: u16,
}

impl Ours {
    /// Starts it on the store in `folder`, or on the one that `database` names, and waits for its first answer.
    pub(crate) async fn start(binary: &Path, folder: &Path, database: Option<&str>) -> Result<Self> {
        Self::start_with(binary, folder, database, NO_PERIODIC_WORK).await
    }

    /// The same with lines for `[conductor]`.
    pub(crate) async fn start_with(
        binary: &Path,
        folder: &Path,
        database: Option<&str>,
        conductor: &str,
    ) -> Result<Self> {
        let port = idle_port()?;
        Self::start_as(binary, folder, port, &configuration(folder, port, database, conductor)).await
    }

    /// Starts it with a configuration whose API listens at `port` of the loopback interface.
    pub(crate) async fn start_as(
        binary: &Path,
        folder: &Path,
        port: u16,
        configuration: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let config = folder.join("wrought.toml");
        fs::write(&config, configuration)?;
        let mut start = bound_to_us(binary);
        start.args(["serve", "--config"]).arg(&config);
        let log = File::create(folder.join("log"))?;
        start.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = start.spawn().with_context(|| format!("start {}", binary.display()))?;
        let mut ours = Self { process, port };
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None)?;
        let began = Instant::now();
        while !client.answers().await {
            if let Some(status) = ours.process.try_wait()? {
                bail!("the service ended with {status}; see {}", folder.display());
            }
            if began.elapsed() > READY {
                bail!("the service was not ready after {} s; see {}", READY.as_secs(), folder.display());
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(ours)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Where requests, comparisons and Ironic's recipes are.
pub(crate) fn conformance() -> PathBuf {
    source_root().join("conformance")
}

/// A program that ends with this process, however this process ends.
pub(crate) fn bound_to_us(program: &Path) -> Command {
    let mut start = command("setpriv");
    start.args(["--pdeathsig", "KILL"]).arg(program);
    start
}

/// What the stock Ironic's configuration says, in ours: no login, no cleaning, agents without TLS.
fn configuration(folder: &Path, port: u16, database: Option<&str>, conductor: &str) -> String {
    let mut text = format!(
        r#"data_dir = "{}"

[api]
listen = ["127.0.0.1:{port}"]
auth = "noauth"

[conductor]
max_concurrent_deploy = 100000
max_concurrent_clean = 100000
hostname = "our-conductor"
enabled_hardware_types = ["fake-hardware", "ipmi", "redfish"]
enabled_interfaces = {{ bios = ["fake", "no-bios"], console = ["fake", "no-console"], firmware = ["fake", "no-firmware"], inspect = ["fake", "no-inspect"], raid = ["fake", "no-raid", "agent"], rescue = ["fake", "no-rescue", "agent"], vendor = ["fake", "ipmitool", "no-vendor"] }}
automated_clean = false
require_agent_tls = false
{conductor}"#,
        folder.join("data").display()
    );
    text.push_str(&database_section(database));
    text
}

/// The service's `[database]`, for a store of another URL than its own default.
pub(crate) fn database_section(url: Option<&str>) -> String {
    url.map(|url| format!("\n[database]\nurl = \"{url}\"\n")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml() {
        let text = configuration(Path::new("/s"), 7000, Some("postgres://x"), NO_PERIODIC_WORK);
        let config: toml::Table = text.parse().unwrap();
        assert_eq!(config["api"]["auth"].as_str(), Some("noauth"));
        assert_eq!(config["data_dir"].as_str(), Some("/s/data"));
        assert_eq!(config["conductor"]["automated_clean"].as_bool(), Some(false));
        assert_eq!(config["conductor"]["sync_power_state_interval"].as_integer(), Some(0));
        assert_eq!(config["database"]["url"].as_str(), Some("postgres://x"));
        assert!(!configuration(Path::new("/s"), 7000, None, "").contains("database"));
    }
}
