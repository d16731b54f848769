//! `wrought fleet`: a fleet from the command line. The options, the listing, and the run until it is told to end.

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Map, Value};
use url::Url;

use crate::enrolment::Enrolment;
use crate::error::SimError;
use crate::fault::FaultPlan;
use crate::fleet::{Fleet, NodeListing};
use crate::options::{ApiAccess, Bind, FleetOptions, Timing};

/// Simulates machines with IPMI BMCs and deployment agents.
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// Number of machines
    #[arg(long, default_value_t = 10)]
    pub nodes: usize,
    /// Decides identities, durations and faults
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Address of the BMCs; with --spread that of the first one
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
    pub address: Ipv4Addr,
    /// UDP port of the first BMC; with --spread that of all
    #[arg(long, default_value_t = 16_230)]
    pub port: u16,
    /// One address per BMC, counted up from --address, instead of one port per BMC
    #[arg(long)]
    pub spread: bool,
    /// Base URL of the Bare Metal API
    #[arg(long)]
    pub api: Option<Url>,
    /// Certificate authority (PEM) of the API
    #[arg(long, value_name = "FILE")]
    pub api_ca: Option<PathBuf>,
    /// Take any certificate of the API
    #[arg(long)]
    pub insecure: bool,
    /// User and password for --enroll
    #[arg(long, value_name = "USER:PASSWORD", value_parser = Login::parse)]
    pub login: Option<Login>,
    /// Base URL of the network boot server; without it every network boot starts the ramdisk
    #[arg(long)]
    pub netboot: Option<Url>,
    /// Make nodes and ports through the API
    #[arg(long, requires = "api")]
    pub enroll: bool,
    /// Added to `driver_info` of the nodes made by --enroll
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub driver_info: Vec<(String, String)>,
    /// Share of the machines that have a fault, such as dead-bmc=0.01
    #[arg(long, value_name = "KIND=SHARE")]
    pub fault: Vec<String>,
    /// How long things take
    #[arg(long, value_enum, default_value_t = TimingPreset::Brisk)]
    pub timing: TimingPreset,
    /// Print the listing as JSON
    #[arg(long)]
    pub json: bool,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimingPreset {
    /// Milliseconds
    Hurried,
    /// A minute of real servers takes about a second
    Brisk,
    /// As real servers
    Lifelike,
    /// Milliseconds, but a day for erasing or writing a disk
    Endless,
}

/// A user and a password. `Debug` shows the user only.
#[derive(Clone)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    fn parse(text: &str) -> Result<Self, String> {
        let (user, password) = text.split_once(':').ok_or("must be USER:PASSWORD")?;
        Ok(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:******", self.user)
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

impl SimArgs {
    fn options(&self, api: Option<ApiAccess>) -> Result<FleetOptions, SimError> {
        let timing = match self.timing {
            TimingPreset::Hurried => Timing::hurried(),
            TimingPreset::Brisk => Timing::brisk(),
            TimingPreset::Lifelike => Timing::lifelike(),
            TimingPreset::Endless => Timing::endless(),
        };
        let bind = if self.spread {
            Bind::Addresses { first: self.address, port: self.port }
        } else {
            Bind::Ports { address: IpAddr::V4(self.address), first: self.port }
        };
        Ok(FleetOptions {
            bind,
            api,
            netboot_url: self.netboot.clone(),
            timing,
            faults: FaultPlan::parse(&self.fault)?,
            ..FleetOptions::new(self.nodes, self.seed)
        })
    }

    fn api_access(&self) -> Result<Option<ApiAccess>, SimError> {
        let Some(url) = self.api.clone() else { return Ok(None) };
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|source| SimError::Authority { path: path.display().to_string(), source })
        };
        let ca_pem = self.api_ca.as_ref().map(read).transpose()?;
        let login = self.login.clone().map(|login| (login.user, login.password));
        Ok(Some(ApiAccess { url, ca_pem, insecure: self.insecure, login }))
    }
}

/// Starts the fleet, enrols it if asked, prints the listing, and runs until `stop` completes.
///
/// # Errors
/// Any [`SimError`].
pub async fn run_cli(
    args: &SimArgs,
    out: &mut (dyn Write + Send),
    stop: impl Future<Output = ()>,
) -> Result<(), SimError> {
    raise_file_limit();
    let api = args.api_access()?;
    let fleet = Fleet::start(args.options(api.clone())?).await?;
    if args.enroll {
        let driver_info: Map<String, Value> =
            args.driver_info.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        let enrolment = Enrolment { driver_info, ..Enrolment::new(api.ok_or(SimError::NoApi)?) };
        let made = enrolment.run(&fleet).await?;
        tracing::info!(made, nodes = args.nodes, "enrolled");
    }
    print(&fleet.listing(), args.json, out).map_err(SimError::Print)?;
    stop.await;
    fleet.stop().await;
    Ok(())
}

fn print(listing: &[NodeListing], json: bool, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, listing)?;
        writeln!(out)?;
        return out.flush();
    }
    writeln!(
        out,
        "{:<10} {:<36} {:<17} {:<21} {:<8} {:<10} faults",
        "name", "uuid", "mac", "bmc", "user", "password"
    )?;
    for node in listing {
        let bmc = format!("{}:{}", node.bmc_address, node.bmc_port);
        let faults = node.faults.join(",");
        writeln!(
            out,
            "{:<10} {:<36} {:<17} {bmc:<21} {:<8} {:<10} {faults}",
            node.name, node.uuid, node.mac, node.username, node.password
        )?;
    }
    out.flush()
}

/// Each BMC and each agent needs a file descriptor; 1024, the usual soft limit, is soon used up.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
