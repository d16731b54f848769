//! Starts the service under test inside a lab, with a configuration of the lab's network, and ends it.

use crate::api::{Client, Login};
use crate::life::Protocol;
use crate::process::command;
use crate::ramdisk::Ramdisk;
use crate::stage::Parts;
use anyhow::{Context as _, Result, bail};
use lab::{BRIDGE, Console, GATEWAY, Lab};
use serde::Serialize;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Where the API listens in the lab.
const API_PORT: u16 = 6385;
/// Where kernels and ramdisks are served to booting machines.
const BOOT_PORT: u16 = 8088;
/// From start to the API's first answer: a password hash and a certificate are made at the first start.
const READY: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(15);
/// The line of the service's first start that carries the password.
const PASSWORD_LINE: &str = "administrator password: ";

/// How to run it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceOptions {
    /// What the machines' BMCs speak.
    pub(crate) protocol: Protocol,
    /// Leave it running when this process ends.
    pub(crate) keep: bool,
}

/// A running service. Ends with the value unless it is left.
#[derive(Debug)]
pub(crate) struct Service {
    process: Child,
    binary: PathBuf,
    keep: bool,
    pub(crate) api: Client,
    pub(crate) login: Login,
    pub(crate) config: PathBuf,
    pub(crate) log: PathBuf,
}

/// What the service holds of the computer's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident_kib: u64,
    /// At most, so far.
    pub(crate) peak_kib: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB (at most {})", self.resident_kib / 1024, self.peak_kib / 1024)
    }
}

impl Memory {
    /// From the text of `/proc/PID/status`.
    fn parse(status: &str) -> Option<Self> {
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().strip_suffix(" kB")?.trim().parse().ok()
        };
        Some(Self { resident_kib: kib("VmRSS:")?, peak_kib: kib("VmHWM:")? })
    }
}

impl Service {
    /// Starts the service for the first time, with an empty store. Must run inside the lab's network.
    pub(crate) async fn start(lab: &Lab, parts: &Parts, options: ServiceOptions) -> Result<Self> {
        Self::start_with(lab, parts, options, "").await
    }

    /// The same, with `more` at the end of its configuration.
    pub(crate) async fn start_with(
        lab: &Lab,
        parts: &Parts,
        options: ServiceOptions,
        more: &str,
    ) -> Result<Self> {
        let ServiceOptions { protocol, keep } = options;
        let folder = lab.folder().join("service");
        fs::create_dir_all(&folder)?;
        let config = folder.join("wrought.toml");
        fs::write(&config, configuration(&folder, &parts.ramdisk, protocol) + more)?;
        let (output, log) = (folder.join("output"), folder.join("log"));
        let written = File::create(&output)?;
        let mut first_lines = Console::from_start(&output)?;
        let process = spawn(&parts.service, &config, written, File::create(&log)?, keep)?;
        let mut service = Self {
            process,
            binary: parts.service.clone(),
            keep: false,
            api: Client::new(&format!("http://{GATEWAY}:{API_PORT}"), None)?,
            login: Login { user: "admin".to_owned(), password: String::new() },
            config,
            log,
        };
        service.login.password = service.password(&mut first_lines).await?;
        service.api = service.reachable().await?;
        service.keep = keep;
        Ok(service)
    }

    /// Ends it as a power cut would, and starts it again at once. Returns for how long the API did not answer.
    pub(crate) async fn crash(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.process.kill().context("kill the service")?;
        self.process.wait()?;
        let append = |path: &Path| File::options().append(true).create(true).open(path);
        let output = append(&self.config.with_file_name("output"))?;
        self.process = spawn(&self.binary, &self.config, output, append(&self.log)?, self.keep)?;
        self.reachable().await?;
        Ok(start.elapsed())
    }

    /// What it holds of the computer's memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Memory::parse(&status).with_context(|| format!("{path} does not tell the memory"))
    }

    /// Reads the password that a first start prints; fails at once when the service ends instead.
    async fn password(&mut self, lines: &mut Console) -> Result<String> {
        let start = Instant::now();
        loop {
            match lines.wait_for(PASSWORD_LINE, Duration::from_secs(1)).await {
                Ok(found) => {
                    let (_, password) =
                        found.last().split_once(PASSWORD_LINE).context("no password in the line")?;
                    return Ok(password.trim().to_owned());
                }
                Err(error) => self.still_starting(start).with_context(|| format!("{error:#}"))?,
            }
        }
    }

    /// Waits until the API answers, with TLS or without.
    async fn reachable(&mut self) -> Result<Client> {
        let start = Instant::now();
        loop {
            for scheme in ["http", "https"] {
                let client =
                    Client::new(&format!("{scheme}://{GATEWAY}:{API_PORT}"), Some(self.login.clone()))?;
                if client.answers().await {
                    return Ok(client);
                }
            }
            self.still_starting(start)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn still_starting(&mut self, since: Instant) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the service ended with {status}:\n{}", self.log_tail());
        }
        if since.elapsed() > READY {
            bail!("the service was not ready after {} s:\n{}", READY.as_secs(), self.log_tail());
        }
        Ok(())
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Asks it to end and waits; an error when it does not end, or not with success.
    pub(crate) async fn stop(mut self) -> Result<()> {
        terminate(&self.process);
        let start = Instant::now();
        while start.elapsed() < STOP {
            if let Some(status) = self.process.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the service ended with {status} when asked to stop:\n{}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the service did not end within {} s of being asked to:\n{}", STOP.as_secs(), self.log_tail());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.keep && matches!(self.process.try_wait(), Ok(None)) {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }
}

fn terminate(process: &Child) {
    if let Some(pid) = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
}

/// One that is not to be kept ends with this process, however this process ends.
fn spawn(binary: &Path, config: &Path, output: File, log: File, keep: bool) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let mut start = if keep {
        command(binary)
    } else {
        let mut start = command("setpriv");
        start.args(["--pdeathsig", "KILL"]).arg(binary);
        start
    };
    start.arg("serve").arg("--config").arg(config);
    start.stdin(Stdio::null()).stdout(output).stderr(log).process_group(0);
    start.spawn().with_context(|| format!("start {}", binary.display()))
}

/// Embedded defaults, but for what the lab's network and ramdisk decide.
fn configuration(folder: &Path, ramdisk: &Ramdisk, protocol: Protocol) -> String {
    // IPMI is what the service offers when nothing is said.
    let hardware = match protocol {
        Protocol::Ipmi => "",
        Protocol::Redfish => "enabled_hardware_types = [\"redfish\"]\n",
    };
    let data = folder.join("data");
    format!(
        r#"data_dir = "{data}"

[api]
listen = ["{GATEWAY}:{API_PORT}"]

[conductor]
max_concurrent_deploy = 100000
max_concurrent_clean = 100000
# A harmless one is served.
disallow_service_steps = []
{hardware}
[netboot]
interface = "{BRIDGE}"
server_address = "{GATEWAY}"
dhcp = "full"
pool = {{ first = "172.22.0.100", last = "172.22.0.200" }}
netmask = "255.255.255.0"
http_listen = "{GATEWAY}:{BOOT_PORT}"

[deploy]
kernel = "{kernel}"
ramdisk = "{initramfs}"
# The lab's images are served by this host.
image_reach = "anywhere"
"#,
        data = data.display(),
        kernel = ramdisk.kernel.display(),
        initramfs = ramdisk.initramfs.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_of_the_kernels_table() {
        let status = "Name:\twrought\nVmPeak:\t  90000 kB\nVmHWM:\t   30720 kB\nVmRSS:\t   20480 kB\n";
        let memory = Memory::parse(status).unwrap();
        assert_eq!(memory, Memory { resident_kib: 20480, peak_kib: 30720 });
        assert_eq!(memory.to_string(), "20 MiB (at most 30)");
        assert_eq!(Memory::parse("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn the_configuration_is_toml() {
        let ramdisk = Ramdisk { kernel: "/r/vmlinuz".into(), initramfs: "/r/initramfs".into() };
        let config: toml::Table =
            configuration(Path::new("/lab/service"), &ramdisk, Protocol::Redfish).parse().unwrap();
        assert_eq!(config["data_dir"].as_str(), Some("/lab/service/data"));
        assert_eq!(config["api"]["listen"][0].as_str(), Some("172.22.0.1:6385"));
        assert_eq!(config["conductor"]["enabled_hardware_types"][0].as_str(), Some("redfish"));
        assert_eq!(config["netboot"]["server_address"].as_str(), Some("172.22.0.1"));
        assert_eq!(config["deploy"]["ramdisk"].as_str(), Some("/r/initramfs"));
    }
}
