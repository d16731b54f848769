//! `cargo xtask diff`: a stock Ironic beside our service, the same requests to both, and what they answer differently.
//!
//! Starts and ends both servers on the loopback interface. What the requests are and how answers are compared is known
//! to `conformance/`; which differences are meant stands in `conformance/accepted.yaml`.

use crate::api::Client;
use crate::process::{command, quiet, run as run_shown, source_root};
use crate::{build, say};
use anyhow::{Context as _, Result, bail};
use lab::LabDir;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// What is replayed unless the caller says otherwise.
const SCENARIOS: [&str; 2] = ["peer/scenarios.yaml", "scenarios/life.yaml"];
/// From start to the first answer of our service.
const READY: Duration = Duration::from_secs(30);
/// Between two looks whether it answers.
const AGAIN: Duration = Duration::from_millis(100);

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DiffOptions {
    /// Requests to replay, in the place of those in conformance/; may be given several times
    #[arg(long)]
    scenarios: Vec<PathBuf>,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// API version of the requests that name none; without it they are sent with no version, which is 1.1
    #[arg(long)]
    assume_version: Option<String>,
    /// Let Ironic enable every interface of its fake hardware, not only those that this service has, too
    #[arg(long)]
    all_interfaces: bool,
    /// A service built before, in the place of this tree's
    #[arg(long)]
    service: Option<PathBuf>,
    /// Leave both servers' folders, with their logs
    #[arg(long)]
    keep: bool,
}

/// Both servers' files. Removed at the end unless kept.
struct Scratch {
    folder: PathBuf,
    keep: bool,
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
struct Peer {
    port: u16,
    folder: PathBuf,
    venv: PathBuf,
}

impl Peer {
    /// Installs it where it is missing, and starts it with an empty store.
    fn start(dir: &LabDir, folder: PathBuf, extra: Option<PathBuf>) -> Result<Self> {
        let peer = Self { port: idle_port()?, folder, venv: dir.root().join("ironic-venv") };
        let mut start = peer.script("start-ironic.sh");
        if let Some(extra) = extra {
            start.env("PEER_EXTRA", extra);
        }
        quiet(&mut start).context("start a stock Ironic")?;
        Ok(peer)
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
struct Ours {
    process: Child,
    port: u16,
}

impl Ours {
    async fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let port = idle_port()?;
        fs::create_dir_all(folder)?;
        let config = folder.join("wrought.toml");
        fs::write(&config, configuration(folder, port))?;
        let mut start = command(binary);
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
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Starts both, replays, and ends both. An error when something differs that is not meant to.
pub(crate) fn run(dir: &LabDir, options: &DiffOptions) -> Result<()> {
    let binary = options.service.clone().map_or_else(build::service, Ok)?;
    let folder = dir.root().join(format!("diff-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let scratch = Scratch { folder, keep: options.keep };
    let extra = (!options.all_interfaces).then(|| conformance().join("same-interfaces.conf"));
    let peer = Peer::start(dir, scratch.folder.join("ironic"), extra)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ours = runtime.block_on(Ours::start(&binary, &scratch.folder.join("wrought")))?;
    run_shown(&mut replay(options, &peer, &ours)).context("the answers differ in ways that are not accepted")
}

fn replay(options: &DiffOptions, peer: &Peer, ours: &Ours) -> Command {
    let of_the_tree = SCENARIOS.map(|name| conformance().join(name));
    let scenarios = if options.scenarios.is_empty() { &of_the_tree } else { &options.scenarios[..] };
    let mut replay = command(peer.venv.join("bin/python"));
    replay
        .arg(conformance().join("peer/diff_api.py"))
        .arg(format!("http://127.0.0.1:{}", peer.port))
        .arg(format!("http://127.0.0.1:{}", ours.port))
        .arg("--accepted")
        .arg(conformance().join("accepted.yaml"));
    for file in scenarios {
        replay.arg("--scenarios").arg(file);
    }
    for (name, value) in [("--only", &options.only), ("--assume-version", &options.assume_version)] {
        if let Some(value) = value {
            replay.arg(name).arg(value);
        }
    }
    replay
}

fn conformance() -> PathBuf {
    source_root().join("conformance")
}

/// A port that nobody listens on at the moment.
fn idle_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("look for a free port")?.local_addr()?.port())
}

/// What the stock Ironic's configuration says, in ours: no login, no cleaning, agents without TLS.
fn configuration(folder: &Path, port: u16) -> String {
    format!(
        r#"data_dir = "{}"

[api]
listen = ["127.0.0.1:{port}"]
auth = "noauth"

[conductor]
hostname = "our-conductor"
enabled_hardware_types = ["fake-hardware", "ipmi", "redfish"]
automated_clean = false
require_agent_tls = false
"#,
        folder.join("data").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml() {
        let config: toml::Table = configuration(Path::new("/s"), 7000).parse().unwrap();
        assert_eq!(config["api"]["auth"].as_str(), Some("noauth"));
        assert_eq!(config["data_dir"].as_str(), Some("/s/data"));
        assert_eq!(config["conductor"]["automated_clean"].as_bool(), Some(false));
    }

    #[test]
    fn what_it_needs_is_there() {
        for file in ["peer/start-ironic.sh", "peer/diff_api.py", "accepted.yaml", "same-interfaces.conf"]
            .iter()
            .chain(&SCENARIOS)
        {
            assert!(conformance().join(file).is_file(), "{file}");
        }
    }
}
