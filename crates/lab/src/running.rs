//! A running lab: `labd.py` (machines and BMCs) inside a network namespace, and its folder of logs.

use crate::control::{MachineInfo, ask};
use crate::{Console, LabDir, MachineSpec, Namespace, network};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The emulator, kept with the lab's other data in the folder `lab/` of the source tree.
const EMULATOR: &str = include_str!("../../../lab/labd.py");

/// What lab to make.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Of the network namespace and of the folder with the lab's files. Letters, digits, `-`.
    pub name: String,
    /// Its machines, all powered off at first.
    pub machines: Vec<MachineSpec>,
}

/// The file that `labd.py` reads.
#[derive(Serialize, Deserialize)]
struct Spec {
    bridge: String,
    gateway: String,
    images: PathBuf,
    /// End when standard input closes.
    attached: bool,
    /// The process that made the lab.
    owner: u32,
    machines: Vec<MachineSpec>,
}

/// A lab that is up. Dropping it ends every machine and removes the network, unless it was attached to or kept.
#[derive(Debug)]
pub struct Lab {
    folder: PathBuf,
    namespace: Namespace,
    machines: Vec<MachineSpec>,
    /// Ours to end.
    emulator: Option<Child>,
}

impl Lab {
    /// Makes a lab that lives as long as the value (or the process: a killed owner takes its lab along).
    pub fn up(dir: &LabDir, options: LabOptions) -> Result<Self> {
        Self::start(dir, options, true)
    }

    /// Makes a lab that stays when this process ends, until [`Lab::down`].
    pub fn up_to_stay(dir: &LabDir, options: LabOptions) -> Result<Self> {
        Self::start(dir, options, false)
    }

    /// A lab that another process made.
    pub fn attach(dir: &LabDir, name: &str) -> Result<Self> {
        let folder = dir.runs().join(name);
        let spec = fs::read(folder.join("spec.json")).with_context(|| format!("there is no lab {name}"))?;
        let spec: Spec = serde_json::from_slice(&spec).context("read the lab's spec.json")?;
        Ok(Self { folder, namespace: Namespace::existing(name)?, machines: spec.machines, emulator: None })
    }

    fn start(dir: &LabDir, options: LabOptions, attached: bool) -> Result<Self> {
        sweep(dir);
        let LabOptions { name, machines } = options;
        let folder = dir.runs().join(&name);
        if folder.join("spec.json").exists() {
            bail!("there is a lab {name} already ({})", folder.display());
        }
        let spec = Spec {
            bridge: network::BRIDGE.to_owned(),
            gateway: network::GATEWAY.to_string(),
            images: dir.images(),
            attached,
            owner: std::process::id(),
            machines,
        };
        for made in [&folder, &spec.images] {
            fs::create_dir_all(made).with_context(|| format!("make {}", made.display()))?;
        }
        fs::write(folder.join("spec.json"), serde_json::to_vec_pretty(&spec)?)?;
        fs::write(folder.join("labd.py"), EMULATOR)?;
        for machine in &spec.machines {
            let own = folder.join(&machine.name);
            fs::create_dir_all(&own)?;
            File::create(own.join("console.log"))?;
        }
        let namespace = Namespace::create(&name, spec.machines.len())?;
        // From here on, dropping `lab` cleans up.
        let mut lab = Self { folder, namespace, machines: spec.machines, emulator: None };
        let mut emulator = lab.spawn_emulator(dir)?;
        let ready = emulator.stdout.take().context("the emulator has no output")?;
        lab.emulator = Some(emulator);
        lab.await_ready(ready)?;
        if !attached {
            lab.emulator = None;
        }
        Ok(lab)
    }

    fn spawn_emulator(&self, dir: &LabDir) -> Result<Child> {
        use std::os::unix::process::CommandExt as _;
        let log = File::create(self.folder.join("labd.log"))?;
        self.namespace
            .command(dir.venv().join("bin/python"))
            .arg(self.folder.join("labd.py"))
            .arg("serve")
            .arg(self.folder.join("spec.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("start the lab's emulator (has `cargo xtask setup` been run?)")
    }

    /// `labd.py` prints `ready` when every BMC answers; its output ends when it fails.
    fn await_ready(&self, output: impl std::io::Read) -> Result<()> {
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "ready" {
            let log = fs::read_to_string(self.folder.join("labd.log")).unwrap_or_default();
            bail!("the lab's emulator failed:\n{log}");
        }
        Ok(())
    }

    /// Its name, and that of its network namespace.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Where its logs, disks and sockets are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its network.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// All machines.
    pub fn machines(&self) -> impl Iterator<Item = Machine<'_>> {
        self.machines.iter().map(|spec| Machine { spec, folder: &self.folder })
    }

    /// The machine of that name.
    pub fn machine(&self, name: &str) -> Result<Machine<'_>> {
        let names = || self.machines.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
        self.machines()
            .find(|machine| machine.spec.name == name)
            .with_context(|| format!("no machine {name}; there are: {}", names()))
    }

    /// Runs a future inside the lab's network: every socket that it opens, every process that it starts is there.
    pub fn block_on<T: Send, F: Future<Output = Result<T>>>(
        &self,
        work: impl FnOnce() -> F + Send,
    ) -> Result<T> {
        self.namespace.inside(|| {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(work())
        })
    }

    /// Ends every machine, the BMCs, whatever else runs in the network, and the network of a lab that was made to stay.
    pub fn down(mut self) -> Result<()> {
        if self.emulator.is_none() {
            end_emulator(read_pid(&self.folder));
        }
        self.clean_up()
    }

    fn clean_up(&mut self) -> Result<()> {
        if let Some(mut emulator) = self.emulator.take() {
            drop(emulator.stdin.take());
            end_process(emulator.id());
            emulator.wait()?;
        }
        // A service that was left running inside, a shell that somebody forgot there.
        for pid in self.namespace.processes() {
            end_process(pid);
        }
        self.namespace.delete()?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("remove {}", self.folder.display()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.emulator.is_some()
            && let Err(error) = self.clean_up()
        {
            tracing::warn!(lab = self.namespace.name(), error = format!("{error:#}"), "lab not cleaned up");
        }
    }
}

/// One machine of a running lab.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    spec: &'a MachineSpec,
    folder: &'a Path,
}

impl<'a> Machine<'a> {
    /// What it is made of.
    pub fn spec(&self) -> &'a MachineSpec {
        self.spec
    }

    /// The file that its serial console is written to.
    pub fn console_log(&self) -> PathBuf {
        self.folder.join(&self.spec.name).join("console.log")
    }

    /// Its disk, a qcow2 file. Not to be touched while it is powered on.
    pub fn disk(&self) -> PathBuf {
        self.folder.join(&self.spec.name).join("disk.qcow2")
    }

    /// The socket of its serial console, for typing; there while it is powered on.
    pub fn console_socket(&self) -> PathBuf {
        self.folder.join(&self.spec.name).join("console.sock")
    }

    /// Follows what it prints from now on.
    pub fn console(&self) -> Result<Console> {
        Console::from_now(&self.console_log())
    }

    /// Power, boot override, processor time.
    pub async fn info(&self) -> Result<MachineInfo> {
        self.control(&["info"]).await
    }

    /// Switches it on, past its BMC.
    pub async fn power_on(&self) -> Result<MachineInfo> {
        self.control(&["on"]).await
    }

    /// Switches it off at once, past its BMC.
    pub async fn power_off(&self) -> Result<MachineInfo> {
        self.control(&["off"]).await
    }

    /// Pulls its disk out while it runs; the next power on finds it again. BIOS machines only.
    pub async fn unplug_disk(&self) -> Result<MachineInfo> {
        self.control(&["unplug"]).await
    }

    /// Sets the boot override (`pxe`, `disk`, `cd`, `default`), past its BMC.
    pub async fn boot_from(&self, device: &str, once: bool) -> Result<MachineInfo> {
        let kind = if once { "once" } else { "always" };
        ask(&self.folder.join("ctl.sock"), &["boot", &self.spec.name, device, kind]).await
    }

    async fn control(&self, operation: &[&str]) -> Result<MachineInfo> {
        ask(&self.folder.join("ctl.sock"), &[operation, &[self.spec.name.as_str()]].concat()).await
    }
}

/// Names of the labs that have a folder.
pub fn list(dir: &LabDir) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir.runs()) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Removes what labs left behind whose owner was killed: folder and namespace; their processes ended with the owner.
pub fn sweep(dir: &LabDir) {
    for name in list(dir) {
        let folder = dir.runs().join(&name);
        let spec = fs::read(folder.join("spec.json"))
            .ok()
            .and_then(|text| serde_json::from_slice::<Spec>(&text).ok());
        let orphaned = match spec {
            // One that was made to stay outlives its owner, and is over when its emulator is.
            Some(spec) => !alive(spec.owner) && (spec.attached || !read_pid(&folder).is_some_and(alive)),
            None => true,
        };
        if orphaned {
            end_emulator(read_pid(&folder));
            if let Ok(namespace) = Namespace::existing(&name) {
                namespace.delete().ok();
            }
            fs::remove_dir_all(&folder).ok();
        }
    }
}

fn read_pid(folder: &Path) -> Option<u32> {
    fs::read_to_string(folder.join("labd.pid")).ok()?.trim().parse().ok()
}

fn alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Asks `labd.py` to end (it ends its machines first) and waits until it has. Anything else is left alone: a process
/// number from a file may meanwhile belong to somebody else.
fn end_emulator(pid: Option<u32>) {
    let Some(pid) = pid else { return };
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if command_line.windows(7).any(|part| part == b"labd.py") {
        end_process(pid);
    }
}

/// Asks a process to end, waits, ends it by force.
fn end_process(pid: u32) {
    let Some(process) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return };
    let Ok(handle) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()) else {
        return;
    };
    rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::TERM).ok();
    let ended = |seconds| {
        let mut wait = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: seconds, tv_nsec: 0 };
        rustix::event::poll(&mut wait, Some(&limit)).is_ok_and(|count| count > 0)
    };
    if !ended(15) {
        rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::KILL).ok();
        ended(5);
    }
}
