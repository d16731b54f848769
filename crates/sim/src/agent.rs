//! The agent of one boot: finds its node, sends heartbeats, and serves commands until the power goes or it dies.
//! What the commands do is in `commands` and `steps`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agent_api::Fault as ApiFault;
use agent_api::heartbeat::Heartbeat;
use agent_api::inspection::InspectionReport;
use agent_api::inventory::{Boot, Cpu, Disk, Interface, Inventory, Memory, SystemVendor};
use agent_api::lookup::LookupReply;
use agent_api::token::AgentToken;
use agent_api::version::{self, ApiRoot, ApiVersion, VERSION_HEADER};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::agent_http;
use crate::certificates::AgentCertificate;
use crate::commands::Commands;
use crate::fault::{Fault, FaultKind};
use crate::firmware::KernelParameters;
use crate::machine::{Machine, Phase};
use crate::options::Span;

/// What the agent says it is: the version of the agent whose protocol it speaks.
pub(crate) const AGENT_VERSION: &str = "13.0.0";
/// Deadline of one call to the API.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// One agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) machine: Arc<Machine>,
    pub(crate) commands: Commands,
    pub(crate) token: AgentToken,
    /// When it started, since the fleet's start.
    pub(crate) started: Duration,
    /// Whether the service allows weak checksums.
    pub(crate) weak_checksums: bool,
    /// Where progress reports go, when the service wants them.
    pub(crate) progress_url: Option<Url>,
    /// Ends the agent alone; the machine stays on.
    pub(crate) death: CancellationToken,
    /// Asks for a heartbeat before its time.
    pub(crate) hurry: Notify,
    heartbeat_url: Url,
    heartbeat_version: ApiVersion,
    heartbeat_timeout: Duration,
}

/// Runs until it dies or gives up; the caller drops it when the power goes.
pub(crate) async fn run(
    machine: &Arc<Machine>,
    parameters: &KernelParameters,
    power: &CancellationToken,
) -> Result<(), String> {
    let api = api_url(machine, parameters)?;
    if let Some(callback) = parameters.get("ipa-inspection-callback-url") {
        inspect(machine, callback).await?;
    }
    let (version, reply) = look_up(machine, &api).await?;
    let token = choose_token(reply.config.agent_token.clone(), parameters)?;
    let address = machine.bmc_address.ip();
    let listener = TcpListener::bind(SocketAddr::new(address, 0))
        .await
        .map_err(|error| format!("the agent could not listen on {address}: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?;
    let certificate = machine.shared.certificates.of(address).map_err(|error| error.to_string())?;
    let progress_path = reply.config.wrought.as_ref().and_then(|wrought| wrought.progress_path.as_deref());
    let agent = Arc::new(Agent {
        machine: Arc::clone(machine),
        commands: Commands::default(),
        token,
        weak_checksums: reply.config.agent_md5_checksum_enable,
        progress_url: progress_path.and_then(|path| join(&api, path).ok()),
        death: power.child_token(),
        hurry: Notify::new(),
        heartbeat_url: join(&api, &format!("v1/heartbeat/{}", reply.node.uuid))?,
        heartbeat_version: version.for_heartbeat(),
        heartbeat_timeout: Duration::from_secs(reply.timeout_seconds().clamp(1, 86_400)),
        started: machine.shared.elapsed(),
    });
    let callback = format!("https://{port}");
    machine.change(|state| {
        state.phase = Phase::Agent;
        state.agent_url = Some(callback.clone());
    });
    let life = async {
        tokio::join!(
            agent_http::serve(&agent, &listener, &certificate),
            agent.send_heartbeats(&callback, &certificate),
        )
    };
    agent.death.run_until_cancelled(life).await;
    Ok(())
}

impl Agent {
    async fn send_heartbeats(&self, callback: &str, certificate: &AgentCertificate) {
        let body = Heartbeat {
            callback_url: callback.to_owned(),
            agent_version: Some(AGENT_VERSION.to_owned()),
            agent_token: Some(self.token.clone()),
            agent_verify_ca: Some(certificate.pem.clone()),
            agent_status: None,
            agent_status_message: None,
        };
        let body = body.for_version(self.heartbeat_version);
        loop {
            let pause = match self.send_heartbeat(&body).await {
                Ok(()) => self.heartbeat_pause(),
                Err(problem) => {
                    self.machine.problem(format!("heartbeat: {problem}"));
                    self.machine.sample(self.machine.shared.timing.retry)
                }
            };
            // A forced heartbeat comes early, but not at once.
            let gap = self.machine.shared.timing.heartbeat_gap;
            tokio::time::sleep(gap.min(pause)).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(gap)) => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    fn heartbeat_pause(&self) -> Duration {
        let timing = &self.machine.shared.timing;
        let usual =
            || Span { min: self.heartbeat_timeout.mul_f64(0.3), max: self.heartbeat_timeout.mul_f64(0.6) };
        self.machine.sample(timing.heartbeat.unwrap_or_else(usual))
    }

    async fn send_heartbeat(&self, body: &Heartbeat) -> Result<(), String> {
        if let Some(Fault::HeartbeatLost(share)) = self.machine.fault(FaultKind::HeartbeatLost)
            && self.machine.chance() < share
        {
            return Ok(());
        }
        let call = Call {
            method: Method::POST,
            url: self.heartbeat_url.clone(),
            version: Some(self.heartbeat_version),
            body: serde_json::to_value(body).ok(),
        };
        let (status, answer) = call.send(&self.machine).await?;
        if status != StatusCode::ACCEPTED {
            return Err(format!("{status}: {}", ApiFault::text_of(&answer)));
        }
        self.machine.change(|state| state.heartbeats += 1);
        Ok(())
    }

    /// Tells the service how far a command is, when it wants to know. A lost report is no loss.
    pub(crate) async fn report(&self, command: &str, progress: &agent_api::Progress) {
        let Some(url) = self.progress_url.clone() else { return };
        let report = agent_api::ProgressReport {
            agent_token: self.token.clone(),
            command: command.to_owned(),
            progress: progress.clone(),
        };
        let call = Call { method: Method::POST, url, version: None, body: serde_json::to_value(report).ok() };
        if let Err(problem) = call.send(&self.machine).await {
            tracing::debug!(machine = self.machine.name(), problem, "a progress report was lost");
        }
    }
}

/// The token that this agent uses, or why it has to stop: a mask means that somebody else was given it.
fn choose_token(told: Option<AgentToken>, parameters: &KernelParameters) -> Result<AgentToken, String> {
    let own = parameters.get("ipa-agent-token").map(AgentToken::new);
    match (told, own) {
        (Some(told), _) if told.is_usable() => Ok(told),
        (_, Some(own)) => Ok(own),
        (Some(told), None) if told.is_mask() => {
            Err("the service gave this node's token to somebody else: locked down".to_owned())
        }
        _ => Err("the service gave no usable token".to_owned()),
    }
}

fn api_url(machine: &Machine, parameters: &KernelParameters) -> Result<Url, String> {
    if let Some(api) = &machine.shared.api_url {
        return Ok(api.clone());
    }
    let text = parameters.get("ipa-api-url").ok_or("nobody told the agent where the API is")?;
    let first = text.split(',').next().unwrap_or(text);
    Url::parse(first).map_err(|error| format!("ipa-api-url={text}: {error}"))
}

/// The API's highest version; the agent's fallback when it does not say.
async fn api_version(machine: &Machine, api: &Url) -> Result<ApiVersion, String> {
    let call = Call { method: Method::GET, url: api.clone(), version: None, body: None };
    let (status, body) = call.send(machine).await?;
    let root = Some(body).filter(|_| status.is_success());
    let root = root.and_then(|body| serde_json::from_slice::<ApiRoot>(&body).ok());
    Ok(root.and_then(|root| root.default_version.version.parse().ok()).unwrap_or(version::FALLBACK))
}

/// Asks until the API knows this machine, or the deadline passes. Gives the API's version beside the reply: an API that
/// is away for a moment must not be taken for an old one, which gives no token.
async fn look_up(machine: &Machine, api: &Url) -> Result<(ApiVersion, LookupReply), String> {
    let mut url = join(api, "v1/lookup")?;
    url.query_pairs_mut().append_pair("addresses", machine.mac());
    let mut last = String::new();
    let timing = &machine.shared.timing;
    let attempt = async || {
        let version = api_version(machine, api).await?;
        let header = Some(version.for_lookup());
        let call = Call { method: Method::GET, url: url.clone(), version: header, body: None };
        let (status, body) = call.send(machine).await?;
        if status != StatusCode::OK {
            return Err(format!("{status}: {}", ApiFault::text_of(&body)));
        }
        let reply: LookupReply =
            serde_json::from_slice(&body).map_err(|error| format!("the reply cannot be read: {error}"))?;
        Ok((version, reply))
    };
    let asking = async {
        loop {
            match attempt().await {
                Ok(found) => return found,
                Err(problem) => last = problem,
            }
            tokio::time::sleep(machine.sample(timing.retry)).await;
        }
    };
    let found = tokio::time::timeout(timing.lookup_deadline, asking).await;
    found.map_err(|_elapsed| format!("lookup given up after {:?}: {last}", timing.lookup_deadline))
}

/// Posts the inventory where the kernel command line says.
async fn inspect(machine: &Machine, callback: &str) -> Result<(), String> {
    let url = Url::parse(callback).map_err(|error| format!("{callback}: {error}"))?;
    let mut data = Map::new();
    data.insert("boot_interface".to_owned(), machine.mac().into());
    data.insert("error".to_owned(), Value::Null);
    let report = InspectionReport { inventory: inventory(machine), data };
    let body = serde_json::to_value(report).ok();
    let call = Call { method: Method::POST, url, version: None, body };
    let (status, answer) = call.send(machine).await?;
    if status.is_success() {
        return Ok(());
    }
    Err(format!("inspection: {status}: {}", ApiFault::text_of(&answer)))
}

fn inventory(machine: &Machine) -> Inventory {
    let hardware = machine.identity.hardware;
    Inventory {
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            mac_address: Some(machine.mac().to_owned()),
            ipv4_address: Some(machine.bmc_address.ip().to_string()),
            has_carrier: Some(true),
            ..Interface::default()
        }],
        cpu: Cpu { count: hardware.cpus, architecture: "x86_64".to_owned(), ..Cpu::default() },
        disks: vec![Disk {
            name: "/dev/sda".to_owned(),
            size: hardware.disk_bytes,
            serial: Some(machine.name().to_owned()),
            rotational: Some(false),
            ..Disk::default()
        }],
        memory: Memory { total: hardware.memory_mib << 20, physical_mb: Some(hardware.memory_mib) },
        bmc_address: Some(machine.bmc_address.ip().to_string()),
        system_vendor: SystemVendor {
            product_name: Some("Simulated machine".to_owned()),
            serial_number: Some(machine.uuid().to_string()),
            manufacturer: Some("Wrought".to_owned()),
            ..SystemVendor::default()
        },
        boot: Boot {
            current_boot_mode: Some("uefi".to_owned()),
            pxe_interface: Some(machine.mac().to_owned()),
        },
        hostname: Some(machine.name().to_owned()),
        ..Inventory::default()
    }
}

/// One call to the API.
struct Call {
    method: Method,
    url: Url,
    version: Option<ApiVersion>,
    body: Option<Value>,
}

impl Call {
    async fn send(self, machine: &Machine) -> Result<(StatusCode, Vec<u8>), String> {
        /// No answer to an agent is longer than a lookup with its node.
        const LIMIT: usize = 4 * 1024 * 1024;
        let mut request = machine
            .shared
            .client
            .request(self.method, self.url)
            .timeout(CALL_DEADLINE)
            .header("accept", "application/json");
        if let Some(version) = self.version {
            request = request.header(VERSION_HEADER, version.to_string());
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| chain(&error))?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > LIMIT {
                return Err("the answer is too long".to_owned());
            }
        }
        Ok((response.status(), body))
    }
}

/// `path` below the base URL, which may have a path of its own.
pub(crate) fn join(base: &Url, path: &str) -> Result<Url, String> {
    let mut base = base.clone();
    if !base.path().ends_with('/') {
        let with_slash = format!("{}/", base.path());
        base.set_path(&with_slash);
    }
    base.join(path.trim_start_matches('/')).map_err(|error| format!("{base}{path}: {error}"))
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_below_the_base() {
        for (base, expected) in [
            ("http://h:1", "http://h:1/v1/lookup"),
            ("http://h:1/", "http://h:1/v1/lookup"),
            ("http://h/baremetal", "http://h/baremetal/v1/lookup"),
            ("http://h/baremetal/", "http://h/baremetal/v1/lookup"),
        ] {
            assert_eq!(join(&Url::parse(base).unwrap(), "v1/lookup").unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_mask_without_an_own_token_locks_down() {
        let nothing = KernelParameters::default();
        let long = AgentToken::new("x".repeat(43));
        assert_eq!(choose_token(Some(long.clone()), &nothing).unwrap(), long);
        assert!(choose_token(Some(AgentToken::new("******")), &nothing).unwrap_err().contains("locked down"));
        assert!(choose_token(Some(AgentToken::new("short")), &nothing).is_err());
        assert!(choose_token(None, &nothing).is_err());
    }
}
