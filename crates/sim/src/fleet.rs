//! The fleet: starts machines and their BMCs, lists them, ends them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::certificates::Certificates;
use crate::chassis::{self, Bmc};
use crate::error::SimError;
use crate::identity::{Identity, Stream, stream};
use crate::machine::Machine;
use crate::options::{ApiAccess, FleetOptions, Timing};

/// What all machines of a fleet share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) timing: Timing,
    pub(crate) api_url: Option<Url>,
    pub(crate) netboot_url: Option<Url>,
    pub(crate) client: reqwest::Client,
    pub(crate) certificates: Certificates,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    started: Instant,
}

impl Shared {
    /// Time since the fleet's start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs `task` until it ends or the fleet does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        })
    }
}

/// A running fleet. Dropping it ends everything soon; [`Fleet::stop`] waits for that.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    machines: Vec<Arc<Machine>>,
}

impl Fleet {
    /// Makes the machines and opens their BMCs' sockets: when this returns, all answer. Gives the process ring's crypto
    /// provider unless it has one already.
    ///
    /// # Errors
    /// When an address is taken or there are not enough, or TLS cannot be set up.
    pub async fn start(options: FleetOptions) -> Result<Self, SimError> {
        // An error only says that the process has a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared {
            seed: options.seed,
            timing: options.timing.clone(),
            client: client(options.api.as_ref())?,
            api_url: options.api.as_ref().map(|api| api.url.clone()),
            netboot_url: options.netboot_url.clone(),
            certificates: Certificates::new()?,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            started: Instant::now(),
        });
        let mut fleet = Self { shared, machines: Vec::with_capacity(options.nodes) };
        for index in 0..options.nodes {
            // On an error the drop of what is there ends it.
            let machine = fleet.add(&options, index).await?;
            fleet.machines.push(machine);
        }
        Ok(fleet)
    }

    async fn add(&self, options: &FleetOptions, index: usize) -> Result<Arc<Machine>, SimError> {
        let address = options.bind.address(index).ok_or_else(|| out_of_addresses(options))?;
        let listen = |source| SimError::Listen { index, address, source };
        let socket = chassis::bind(address).await.map_err(listen)?;
        let bmc_address = socket.local_addr().map_err(listen)?;
        let machine = Arc::new(Machine::new(
            Identity::new(options.seed, index),
            bmc_address,
            options.credentials.clone(),
            Arc::clone(&self.shared),
            options.faults.draw(&mut stream(options.seed, index, Stream::Faults)),
            stream(options.seed, index, Stream::Durations),
        ));
        let bmc = Bmc::new(socket, Arc::clone(&machine)).map_err(SimError::Credentials)?;
        self.shared.spawn(bmc.run());
        Ok(machine)
    }

    /// Machine number `index`, from 0; `None` beyond the last.
    pub fn machine(&self, index: usize) -> Option<&Arc<Machine>> {
        self.machines.get(index)
    }

    /// All machines, by number.
    pub fn machines(&self) -> &[Arc<Machine>] {
        &self.machines
    }

    /// What an operator needs to manage the machines.
    pub fn listing(&self) -> Vec<NodeListing> {
        self.machines.iter().map(|machine| NodeListing::of(machine)).collect()
    }

    /// Switches everything off and waits until all tasks have ended.
    pub async fn stop(self) {
        for machine in &self.machines {
            machine.power_off();
        }
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// One machine as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct NodeListing {
    /// Name.
    pub name: String,
    /// UUID, also the BMC's system GUID.
    pub uuid: String,
    /// MAC address of the interface it boots from.
    pub mac: String,
    /// Address of the BMC.
    pub bmc_address: String,
    /// UDP port of the BMC.
    pub bmc_port: u16,
    /// User of the BMC.
    pub username: String,
    /// Password of the BMC: of a simulated one, so nothing to hide.
    pub password: String,
    /// Names of its faults.
    pub faults: Vec<String>,
}

impl NodeListing {
    fn of(machine: &Machine) -> Self {
        Self {
            name: machine.name().to_owned(),
            uuid: machine.uuid().to_string(),
            mac: machine.mac().to_owned(),
            bmc_address: machine.bmc_address().ip().to_string(),
            bmc_port: machine.bmc_address().port(),
            username: machine.credentials().username.clone(),
            password: machine.credentials().password.clone(),
            faults: machine.faults().iter().map(ToString::to_string).collect(),
        }
    }
}

fn out_of_addresses(options: &FleetOptions) -> SimError {
    let first = options.bind.address(0).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    SimError::OutOfAddresses { nodes: options.nodes, first }
}

/// One client for the whole fleet: agents of thousands of machines share its pool.
pub(crate) fn client(api: Option<&ApiAccess>) -> Result<reqwest::Client, SimError> {
    let mut builder = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(10));
    if let Some(api) = api {
        if let Some(pem) = &api.ca_pem {
            let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(SimError::Client)?;
            builder = builder.tls_certs_merge(authorities);
        }
        builder = builder.tls_danger_accept_invalid_certs(api.insecure);
    }
    builder.build().map_err(SimError::Client)
}
