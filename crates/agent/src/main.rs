//! `wrought-agent`: init of the deploy ramdisk; with arguments, an ordinary process for tests and trials.

use agent::{
    agent::Agent,
    clock, console,
    disks::Disks,
    fetch::Fetcher,
    init,
    machine::{Ending, Machine},
    network,
    parameters::{self, Parameters},
    rescue, session, tls,
};
use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

/// Pause before a session that failed is begun anew.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

const USAGE: &str =
    "usage: wrought-agent --api-url URL [--listen ADDRESS:PORT] [--advertise-host HOST] [--disk FILE]...
    [--mac MAC]... [--node-uuid UUID] [--token TOKEN] [--insecure] [--api-sha256 HEX] [--ca FILE]
    [--parameters \"ipa-...=...\"] [--debug]
Without arguments and as process 1: the init of a deploy ramdisk.";

fn main() -> ExitCode {
    let init = init::is_init();
    init::keep_alive(init);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            console::line(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if init {
        return runtime.block_on(as_init());
    }
    console::install(fs::OpenOptions::new().append(true).open("/dev/stderr").ok(), false);
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => runtime.block_on(as_process(options)),
        Err(complaint) => {
            console::line(&complaint);
            USAGE.lines().for_each(console::line);
            ExitCode::FAILURE
        }
    }
}

/// The life of a ramdisk. Never returns but by the machine's end.
async fn as_init() -> ExitCode {
    let complaints = init::first_things();
    let (parameters, bad) = Parameters::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default());
    console::install(init::open_console(), parameters.debug);
    tracing::info!("version {} starts", agent::AGENT_VERSION);
    for text in &complaints {
        tracing::warn!("{text}");
    }
    for name in &bad {
        tracing::warn!("kernel parameter {name} makes no sense and is ignored");
    }
    tokio::spawn(init::reap());
    init::load_modules().await;
    init::mount_efi_variables();
    tracing::info!("modules loaded");
    // Kept up as long as this is held.
    let network = match network::bring_up(&parameters).await {
        Ok(network) => Some(network),
        Err(error) => {
            tracing::error!(%error, "no network");
            None
        }
    };
    loop {
        let fetcher = match tls::client_config(&parameters, &tls::default_bundles()) {
            Ok(config) => Fetcher::new(config),
            Err(error) => {
                tracing::error!("{}", console::chain(&error));
                std::future::pending().await
            }
        };
        let agent = Arc::new(Agent::new(parameters.clone(), fetcher, Machine::owned(), Disks::Machine));
        match session::run(&agent, None).await {
            Ok(Ending::Rescue) => {
                let ending = rescue::accompany(network.as_ref()).await;
                agent.machine.end(ending).await;
            }
            Ok(ending) => agent.machine.end(ending).await,
            Err(session::SessionError::TokenTaken) => {
                // Another agent answered for this node: this one may be an impostor's machine.
                tracing::error!("{}", session::SessionError::TokenTaken);
                agent.machine.end(Ending::Lockdown).await;
            }
            Err(error) => tracing::error!("{}; starting over", console::chain(&error)),
        }
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

async fn as_process(options: Options) -> ExitCode {
    clock::start(Duration::ZERO);
    let bundles: Vec<_> = options.bundles.iter().map(PathBuf::as_path).collect();
    let fetcher = match tls::client_config(&options.parameters, &bundles) {
        Ok(config) => Fetcher::new(config),
        Err(error) => {
            tracing::error!("{}", console::chain(&error));
            return ExitCode::FAILURE;
        }
    };
    let disks = Disks::Files(options.disks);
    let agent = Arc::new(Agent::new(options.parameters, fetcher, Machine::borrowed(options.macs), disks));
    match session::run(&agent, options.node_uuid).await {
        Ok(ending) => {
            agent.machine.end(ending).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{}", console::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The command line of an ordinary process.
#[derive(Debug, Default)]
struct Options {
    parameters: Parameters,
    disks: Vec<PathBuf>,
    macs: Vec<String>,
    node_uuid: Option<String>,
    bundles: Vec<PathBuf>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--insecure" => options.parameters.insecure = true,
                "--debug" => {
                    options.parameters.debug = true;
                    console::install(fs::OpenOptions::new().append(true).open("/dev/stderr").ok(), true);
                }
                _ => {
                    let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
                    options.set(&name, value).ok_or_else(|| format!("{name}: not understood"))?;
                }
            }
        }
        if options.parameters.api_urls.is_empty() {
            return Err("--api-url is needed".to_owned());
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Option<()> {
        match name {
            "--api-url" => self.parameters.api_urls = parameters::urls(&value),
            "--listen" => {
                let address: SocketAddr = value.parse().ok()?;
                self.parameters.listen_host = Some(address.ip());
                self.parameters.listen_port = address.port();
                self.parameters.advertise_host.get_or_insert(address.ip().to_string());
            }
            "--advertise-host" => self.parameters.advertise_host = Some(value),
            "--disk" => self.disks.push(value.into()),
            "--mac" => self.macs.push(parameters::mac(&value)?),
            "--node-uuid" => self.node_uuid = Some(value),
            "--token" => self.parameters.token = Some(agent_api::AgentToken::new(value)),
            "--api-sha256" => self.parameters.api_pin = Some(parameters::digest(&value)?),
            "--ca" => self.bundles.push(value.into()),
            "--parameters" => self.parameters = Parameters::parse(&value).0,
            _ => return None,
        }
        Some(())
    }
}
