//! A service of one test: its folder, its configuration, its process, which does not outlive the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use hostcmd::{Child, Command};
use rustix::process::{Pid, Signal, kill_process};
use sim::{Fleet, FleetOptions, Timing};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::LONG;
use crate::api::Api;

/// Ports for sites, below those that the system gives out by itself: a service must find its own again when it is
/// started anew, because agents know only that one.
static NEXT_PORT: AtomicU16 = AtomicU16::new(20_000);

/// The loopback address of this process: ports on it are nobody else's.
fn own_address() -> Ipv4Addr {
    let [.., high, middle, low] = std::process::id().to_be_bytes();
    // A process number has 22 bits at most; the last part is neither 0 nor 255.
    Ipv4Addr::new(127, 128 | high, middle, low.clamp(1, 254))
}

/// What a site's configuration says beside its places.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) auth: &'static str,
    /// Lines for `[conductor]`.
    pub(crate) conductor: &'static str,
    /// Lines for `[deploy]`.
    pub(crate) deploy: &'static str,
    /// Where the store is, unless in the data directory.
    pub(crate) database: Option<String>,
}

impl Default for Settings {
    /// Open to all, images from anywhere, since the test serves them on the loopback.
    fn default() -> Self {
        Self { auth: "noauth", conductor: "", deploy: "image_reach = \"anywhere\"", database: None }
    }
}

/// The service and its places.
#[derive(Debug)]
pub(crate) struct Site {
    dir: TempDir,
    address: Ipv4Addr,
    port: u16,
    process: Option<Child>,
    password: Option<String>,
}

impl Site {
    /// A site whose service answers.
    pub(crate) async fn start(settings: &Settings) -> Self {
        let mut site = Self::new(settings);
        site.run().await;
        site
    }

    /// A site whose service is not running yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        server::install_tls_provider();
        let dir = tempfile::tempdir().unwrap();
        let port = NEXT_PORT.fetch_add(3, Ordering::Relaxed);
        let site = Self { dir, address: own_address(), port, process: None, password: None };
        for file in ["vmlinuz", "initramfs"] {
            std::fs::write(site.path(file), file).unwrap();
        }
        std::fs::write(site.path("wrought.toml"), site.configuration(settings)).unwrap();
        site
    }

    fn configuration(&self, settings: &Settings) -> String {
        let Self { address, port, .. } = self;
        let (http, tftp) = (port + 1, port + 2);
        let Settings { auth, conductor, deploy, database } = settings;
        let database =
            database.as_ref().map_or_else(String::new, |url| format!("[database]\nurl = \"{url}\""));
        let path = |name| self.path(name).display().to_string();
        format!(
            r#"data_dir = "{data}"

[log]
filter = "info,api::front=warn,conductor=debug"

{database}

[api]
listen = ["{address}:{port}"]
auth = "{auth}"

[conductor]
hostname = "conductor-1"
{conductor}

[netboot]
server_address = "{address}"
http_listen = "{address}:{http}"
tftp_listen = "{address}:{tftp}"

[deploy]
kernel = "{kernel}"
ramdisk = "{ramdisk}"
{deploy}
"#,
            data = path("data"),
            kernel = path("vmlinuz"),
            ramdisk = path("initramfs"),
        )
    }

    /// A file of the site.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the API listens.
    pub(crate) fn socket(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.port))
    }

    /// Base URL of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.socket())
    }

    /// The administrator's password, when the first start made one.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// A client of the API, with the administrator's login when there is one.
    pub(crate) fn api(&self) -> Api {
        let login = self.password.as_ref().map(|password| ("admin".to_owned(), password.clone()));
        Api::new(self.url(), login)
    }

    /// The command that runs the service; it ends with the thread that starts it, however this process ends.
    pub(crate) fn command(&self) -> Command {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_wrought"), "serve", "--config"])
            .arg(self.path("wrought.toml"))
    }

    /// Starts the service and waits until its API answers.
    pub(crate) async fn run(&mut self) {
        let mut process = self.command().spawn(self.path("log")).unwrap();
        let since = Instant::now();
        let api = Api::new(self.url(), None);
        while !api.answers().await {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none() && since.elapsed() < LONG, "the service: {ended:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        let log = self.log();
        let password = log.lines().find_map(|line| line.strip_prefix("administrator password: "));
        self.password = password.map(str::to_owned);
    }

    /// The service's process.
    pub(crate) fn process_id(&self) -> Pid {
        let id = self.process.as_ref().and_then(Child::id);
        id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).unwrap()
    }

    /// Waits for the end of a service that was killed.
    pub(crate) async fn bury(&mut self) {
        assert!(!self.wait(LONG).await.success());
    }

    /// Asks the service to end and waits.
    pub(crate) async fn terminate(&mut self, limit: Duration) -> ExitStatus {
        kill_process(self.process_id(), Signal::TERM).unwrap();
        self.wait(limit).await
    }

    async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        let ended = process.wait(limit).await;
        ended.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// All that the service has said, in all its runs.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Machines for this site, in a hurry. They boot from the site's boot server, which tells agents where to call.
    pub(crate) async fn fleet(&self, nodes: usize, seed: u64) -> Fleet {
        self.fleet_with(nodes, seed, Timing::hurried()).await
    }

    /// As [`Self::fleet`], at another pace.
    pub(crate) async fn fleet_with(&self, nodes: usize, seed: u64, timing: Timing) -> Fleet {
        let netboot = format!("http://{}:{}", self.address, self.port + 1);
        let options = FleetOptions {
            netboot_url: Some(netboot.parse().unwrap()),
            timing,
            ..FleetOptions::new(nodes, seed)
        };
        Fleet::start(options).await.unwrap()
    }
}
