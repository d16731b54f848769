//! The processes: a PostgreSQL server, the API, three conductors, each with its own way to the store, and the machines.

use super::ClusterOptions;
use super::images::Images;
use super::network::{self, Host};
use super::proxy::Proxy;
use super::work::Job;
use crate::api::Client;
use crate::fleet;
use crate::postgres::Postgres;
use crate::process::command;
use crate::servers::idle_port;
use anyhow::{Context as _, Result, bail, ensure};
use db::{Db, NodeQuery, Scope};
use lab::Rabbit;
use model::Node;
use rustix::process::{Pid, Signal, kill_process};
use sim::{ApiAccess, Bind, Fault, Fleet, FleetOptions, Span, Timing};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Conductors.
const CONDUCTORS: [&str; 3] = ["conductor-1", "conductor-2", "conductor-3"];
/// Between signs of life, and how long one may be missed; short, so that a trouble does not take minutes.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
pub(super) const LEASE: Duration = Duration::from_secs(6);
/// From the start of a process to its part in the site.
const READY: Duration = Duration::from_mins(1);
/// From the request to stop to the end of a process.
const STOP: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long BMCs take over each datagram: long enough that two who ask at once are seen.
const BMC: Duration = Duration::from_millis(10);
const SEED: u64 = 5;

/// One process of the service.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    role: &'static str,
    folder: PathBuf,
    child: Option<Child>,
    /// Its way to the store.
    pub(super) way: Way,
}

/// How a process gets to the store.
#[derive(Debug)]
pub(super) enum Way {
    /// As everybody else.
    Plain,
    /// It is on a host of its own, with a network for that.
    Host(Box<Host>),
    /// Through something that may stop carrying.
    Proxy(Proxy),
}

impl Way {
    /// From now on nothing comes through, and nobody is told.
    pub(super) async fn cut(&self) -> Result<()> {
        match self {
            Self::Plain => bail!("this process cannot be cut off"),
            Self::Host(host) => host.cut().await,
            Self::Proxy(proxy) => {
                proxy.cut();
                Ok(())
            }
        }
    }

    /// Undoes it.
    pub(super) async fn mend(&self) -> Result<()> {
        match self {
            Self::Plain => Ok(()),
            Self::Host(host) => host.mend().await,
            Self::Proxy(proxy) => {
                proxy.mend();
                Ok(())
            }
        }
    }
}

/// Where the parts of a site are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Each conductor on a host of its own.
    Hosts,
    /// All on this one.
    Together,
}

impl Place {
    /// Where the store and the bus listen, and where the machines and the images are.
    const fn addresses(self) -> (Ipv4Addr, Ipv4Addr) {
        match self {
            Self::Hosts => (network::STORE, network::MACHINES),
            Self::Together => (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Process {
    fn pid(&self) -> Result<Pid> {
        let id = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        id.and_then(Pid::from_raw).with_context(|| format!("{} does not run", self.name))
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits.
    pub(super) async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        let began = Instant::now();
        while began.elapsed() < STOP {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{} ended with {status} when asked to stop", self.name);
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        child.kill()?;
        child.wait()?;
        bail!("{} did not end within {} s of being asked to", self.name, STOP.as_secs())
    }

    fn run(&mut self, binary: &Path) -> Result<()> {
        let log = File::options().append(true).create(true).open(self.folder.join("log"))?;
        let mut start = command("setpriv");
        start.args(["--pdeathsig", "KILL"]);
        if let Way::Host(host) = &self.way {
            start.args(host.entrance());
        }
        start
            .arg(binary)
            .args(["serve", "--role", self.role, "--config"])
            .arg(self.folder.join("wrought.toml"));
        start.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(start.spawn().with_context(|| format!("start {}", self.name))?);
        Ok(())
    }

    fn still_runs(&mut self) -> Result<()> {
        let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
        match ended {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; see {}", self.name, self.folder.display()),
        }
    }
}

/// All of it. Ends with the value.
pub(super) struct Site {
    binary: PathBuf,
    pub(super) postgres: Postgres,
    /// The message bus, where it is not the store.
    pub(super) rabbit: Option<Rabbit>,
    pub(super) api: Process,
    pub(super) conductors: Vec<Process>,
    pub(super) db: Db,
    pub(super) client: Client,
    pub(super) fleet: Fleet,
    pub(super) images: Images,
}

/// Slower than machines in a hurry: the trouble is to come in the midst of things.
fn timing() -> Timing {
    Timing {
        firmware: Span::millis(200, 600),
        ramdisk: Span::millis(500, 1500),
        step: Span::millis(500, 2000),
        write: Span::millis(1000, 3000),
        retry: Span::millis(500, 1500),
        heartbeat: Some(Span::millis(2000, 4000)),
        heartbeat_gap: Duration::from_millis(200),
        ..Timing::hurried()
    }
}

impl Site {
    /// Starts everything, with machines that wait for orders.
    pub(super) async fn start(
        binary: &Path,
        folder: &Path,
        options: &ClusterOptions,
        place: Place,
    ) -> Result<Self> {
        if place == Place::Hosts {
            network::lay().await?;
        }
        let (near_store, near_machines) = place.addresses();
        let postgres = Postgres::start_at(&folder.join("postgres"), near_store)?;
        let rabbit = if options.rabbitmq { Some(Rabbit::start_in(folder, near_store).await?) } else { None };
        let bus = rabbit.as_ref().map(|rabbit| format!("\n[messaging]\nurl = \"{}\"\n", rabbit.url()));
        let db = Db::open(&db::Options::new(postgres.url().parse()?)).await?;
        let port = idle_port()?;
        let base = format!("http://127.0.0.1:{port}");
        let fleet = fleet::start(FleetOptions {
            api: Some(ApiAccess::new(base.parse()?)),
            bind: Bind::Ephemeral(near_machines.into()),
            timing: timing(),
            ..FleetOptions::new(options.nodes, SEED)
        })
        .await?;
        for machine in fleet.machines() {
            machine.inject_fault(Fault::SlowBmc(BMC));
        }
        fleet::enroll(&db, &fleet, Job::first_state).await?;
        let process = async |name: &str, number: Option<usize>| {
            let own = folder.join(name);
            fs::create_dir_all(&own)?;
            let way = match number {
                None => Way::Plain,
                Some(number) if place == Place::Hosts => Way::Host(Box::new(Host::new(number, &own).await?)),
                Some(_) => Way::Proxy(Proxy::start(postgres.port()).await?),
            };
            let (url, address) = match &way {
                Way::Plain => (postgres.url(), near_machines),
                Way::Host(host) => (postgres.url(), host.address()?),
                Way::Proxy(proxy) => (Postgres::url_at(proxy.port()), near_machines),
            };
            let role = if number.is_some() { "conductor" } else { "api" };
            let process = Process { name: name.to_owned(), role, folder: own, child: None, way };
            for file in ["vmlinuz", "initramfs"] {
                fs::write(process.folder.join(file), file)?;
            }
            let images = SocketAddr::from((address, idle_port()?));
            let text = configuration(&process.folder, name, (port, images), &url)
                + bus.as_deref().unwrap_or_default();
            fs::write(process.folder.join("wrought.toml"), text)?;
            anyhow::Ok(process)
        };
        let api = process("api", None).await?;
        let mut conductors = Vec::new();
        for (number, name) in CONDUCTORS.into_iter().enumerate() {
            conductors.push(process(name, Some(number)).await?);
        }
        let client = Client::new(&base, None)?.patient(READY);
        let images = Images::start(near_machines).await?;
        let binary = binary.to_owned();
        let mut site = Self { binary, postgres, rabbit, api, conductors, db, client, fleet, images };
        site.whole_again().await?;
        Ok(site)
    }

    /// Starts what does not run, and waits until all have their part.
    pub(super) async fn whole_again(&mut self) -> Result<()> {
        for process in self.conductors.iter_mut().chain([&mut self.api]) {
            if process.child.is_none() {
                process.run(&self.binary)?;
            }
        }
        let began = Instant::now();
        loop {
            for process in self.conductors.iter_mut().chain([&mut self.api]) {
                process.still_runs()?;
            }
            let alive = self.alive().await.unwrap_or_default();
            // The API has its own view of who lives.
            if alive == CONDUCTORS.len() && self.client.text("/readyz").await.is_ok() {
                tokio::time::sleep(SIGN_OF_LIFE * 2).await;
                return Ok(());
            }
            ensure!(began.elapsed() < READY, "{alive} conductors after {} s", READY.as_secs());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts a conductor, or the API, that was ended.
    pub(super) async fn run(&mut self, name: &str) -> Result<()> {
        let binary = self.binary.clone();
        self.process(name)?.run(&binary)?;
        self.whole_again().await
    }

    /// A process by its name.
    pub(super) fn process(&mut self, name: &str) -> Result<&mut Process> {
        let mut all = self.conductors.iter_mut().chain([&mut self.api]);
        all.find(|process| process.name == name).with_context(|| format!("there is no {name}"))
    }

    /// The names of all processes, conductors first.
    pub(super) fn names(&self) -> Vec<String> {
        self.conductors.iter().chain([&self.api]).map(|process| process.name.clone()).collect()
    }

    /// Conductors that are online and gave a sign of life a moment ago.
    async fn alive(&self) -> Result<usize> {
        let now = model::Timestamp::now();
        let rows = self.db.list_conductors().await?;
        let fresh = |row: &&model::Conductor| {
            row.online && row.updated_at.is_some_and(|at| now.since(at) < SIGN_OF_LIFE * 3)
        };
        Ok(rows.iter().filter(fresh).count())
    }

    /// The conductor with the most flows, and how many those are.
    pub(super) async fn busiest(&self) -> Result<(String, usize)> {
        let flows = self.db.list_flows().await?;
        let count = |name: &str| flows.iter().filter(|flow| flow.conductor == name).count();
        let counted = CONDUCTORS.map(|name| (count(name), name));
        let (most, name) = counted.into_iter().max().context("there are no conductors")?;
        ensure!(most > 0, "no flow is under way: the trouble would meet nobody");
        Ok((name.to_owned(), most))
    }

    /// Flows under way.
    pub(super) async fn flows(&self) -> Result<usize> {
        Ok(self.db.list_flows().await?.len())
    }

    /// Flows in the hands of this conductor.
    pub(super) async fn flows_of(&self, conductor: &str) -> Result<usize> {
        Ok(self.db.flows_of_conductor(conductor).await?.len())
    }

    /// All nodes.
    pub(super) async fn nodes(&self) -> Result<Vec<Node>> {
        Ok(self.db.list_nodes(&NodeQuery::new(Scope::All)).await?)
    }

    /// Ends everything in order.
    pub(super) async fn stop(mut self) -> Result<()> {
        for process in [&mut self.api].into_iter().chain(self.conductors.iter_mut()) {
            process.terminate().await?;
        }
        self.db.close().await;
        self.fleet.stop().await;
        Ok(())
    }
}

/// The same for all but for names and places. Power is not compared, so that nobody but a node's conductor has business with
/// its BMC.
fn configuration(folder: &Path, name: &str, (port, images): (u16, SocketAddr), database: &str) -> String {
    format!(
        r#"data_dir = "{folder}/data"

[log]
filter = "info,api::front=warn"

[database]
url = "{database}"

[api]
listen = ["127.0.0.1:{port}"]
auth = "noauth"

[conductor]
hostname = "{name}"
# All are ordered something at once.
max_concurrent_deploy = 100000
max_concurrent_clean = 100000
sign_of_life = {sign}
lease = {lease}
token_timeout = 10
sync_power_state_interval = 0

[netboot]
server_address = "{address}"
http_listen = "{images}"

[deploy]
kernel = "{folder}/vmlinuz"
ramdisk = "{folder}/initramfs"
image_reach = "anywhere"
"#,
        folder = folder.display(),
        address = images.ip(),
        sign = SIGN_OF_LIFE.as_secs(),
        lease = LEASE.as_secs(),
    )
}
