//! The agent's dealings with the API in their order: find the node, serve, heartbeat, report progress.

use crate::{
    agent::{Agent, Identity},
    conductor::{ApiError, Conductor},
    console, fetch, inventory,
    machine::Ending,
    server, tls,
};
use agent_api::{
    AgentToken, Heartbeat, InspectionReport, LookupReply, ProgressReport,
    version::{LOOKUP_MIN, VERIFY_CA_MIN},
};
use http::Uri;
use serde_json::{Map, Value, json};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UdpSocket, lookup_host},
    time::{Instant, sleep, sleep_until, timeout},
};

/// Shortest time between two heartbeats to a server that is not Wrought.
const STOCK_PACE: Duration = Duration::from_secs(5);
/// Shortest time between two progress reports.
const PROGRESS_PACE: Duration = Duration::from_secs(1);
/// Pauses after a lookup that met a locked node.
const CONFLICT_PAUSES: [u64; 3] = [5, 10, 30];
/// Longest pause between two lookups, in seconds.
const LONGEST_PAUSE: f64 = 60.0;

/// Why a session ended without anybody asking for it.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No API in the parameters.
    #[error("no API is named: set ipa-api-url")]
    NoApi,
    /// The node was not found in time.
    #[error("lookup gave up after {limit:?}")]
    LookupTimeout {
        /// How long it was tried.
        limit: Duration,
        /// The last failure.
        #[source]
        last: ApiError,
    },
    /// The server gave our token to somebody else.
    #[error("the server gave this node's token to another agent before")]
    TokenTaken,
    /// No address leads to the API.
    #[error("no address of this machine leads to the API")]
    NoRoute,
    /// The port cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot serve TLS")]
    Tls(#[from] tls::TlsError),
}

/// Runs until the machine is to end, or a failure that only a new start can mend.
pub async fn run(agent: &Arc<Agent>, node_uuid: Option<String>) -> Result<Ending, SessionError> {
    let macs = agent.machine_macs();
    let node_uuid = match inspect(agent, &macs).await {
        Some(found) => Some(found),
        None => node_uuid,
    };
    let (conductor, reply) = look_up(agent, &macs, node_uuid.as_deref()).await?;
    let token = choose_token(agent.parameters.token.as_ref(), reply.config.agent_token.as_ref())?;
    let interval = reply.timeout_seconds();
    tracing::info!(
        "node {} by API {} at {}",
        reply.node.uuid,
        conductor.highest(),
        fetch::host_of(conductor.base())
    );
    agent.identify(Identity { token, lookup: reply });
    let certificate = listen(agent, &conductor).await?;
    tokio::select! {
        ending = agent.machine.ending() => Ok(ending),
        never = beat(agent, &conductor, certificate, interval) => never,
        never = report(agent, &conductor) => never,
    }
}

/// Lookup until it succeeds, with the protocol's pauses.
async fn look_up(
    agent: &Agent,
    macs: &[String],
    node_uuid: Option<&str>,
) -> Result<(Conductor, LookupReply), SessionError> {
    let parameters = &agent.parameters;
    let begun = Instant::now();
    let mut conflicts = CONFLICT_PAUSES.iter();
    let mut attempt: i32 = 0;
    loop {
        let url =
            parameters.api_urls.get(usize::try_from(attempt).unwrap_or(0) % parameters.api_urls.len().max(1));
        let mut conductor = api(agent, url.ok_or(SessionError::NoApi)?);
        let outcome = attempt_lookup(agent, &mut conductor, macs, node_uuid).await;
        let error = match outcome {
            Ok(reply) => return Ok((conductor, reply)),
            Err(error) => error,
        };
        tracing::warn!("lookup: {}", console::chain(&error));
        if begun.elapsed() >= parameters.lookup_timeout {
            return Err(SessionError::LookupTimeout { limit: parameters.lookup_timeout, last: error });
        }
        let highest = 2f64.powi(attempt).min(LONGEST_PAUSE);
        let random = Duration::from_secs_f64(rand::random_range(0.5..=1.0) * highest);
        let pause = match conflicts.as_slice().first() {
            Some(seconds) if error.is_conflict() => {
                conflicts.next();
                Duration::from_secs(*seconds)
            }
            _ => random.max(parameters.lookup_interval),
        };
        attempt = (attempt + 1).min(1000);
        sleep(pause).await;
    }
}

fn api(agent: &Agent, url: &str) -> Conductor {
    let parameters = &agent.parameters;
    Conductor::new(agent.fetcher.clone(), url, parameters.request_id.clone(), parameters.request_timeout)
}

async fn attempt_lookup(
    agent: &Agent,
    conductor: &mut Conductor,
    macs: &[String],
    node_uuid: Option<&str>,
) -> Result<LookupReply, ApiError> {
    match agent.parameters.api_version.as_ref().and_then(|text| text.parse().ok()) {
        Some(version) => conductor.set_version(version),
        None => conductor.discover().await?,
    }
    if conductor.highest() < LOOKUP_MIN {
        tracing::warn!("the API {} knows no agents", conductor.highest());
    }
    conductor.lookup(macs, node_uuid).await
}

/// The token to use, of the one given at boot and the one that lookup shows.
fn choose_token(
    ours: Option<&AgentToken>,
    shown: Option<&AgentToken>,
) -> Result<Option<AgentToken>, SessionError> {
    match (ours, shown) {
        (Some(ours), Some(shown)) if shown.is_mask() => Ok(Some(ours.clone())),
        (None, Some(shown)) if shown.is_mask() => Err(SessionError::TokenTaken),
        (_, Some(shown)) if shown.is_usable() => Ok(Some(shown.clone())),
        (ours, _) => Ok(ours.cloned()),
    }
}

/// Starts the server; returns the certificate to send with heartbeats, if it serves TLS.
async fn listen(agent: &Arc<Agent>, conductor: &Conductor) -> Result<Option<String>, SessionError> {
    let parameters = &agent.parameters;
    let source = source_address(conductor.base(), parameters.route_timeout).await?;
    let unspecified = match source {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let address = SocketAddr::new(parameters.listen_host.unwrap_or(unspecified), parameters.listen_port);
    let failed = |source| SessionError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let host = parameters.advertise_host.clone().unwrap_or_else(|| match source {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    });
    let secure = conductor.highest() >= VERIFY_CA_MIN;
    let scheme = if secure { "https" } else { "http" };
    let port = parameters.advertise_port.unwrap_or(port);
    let url = agent.set_callback_url(format!("{scheme}://{host}:{port}")).to_owned();
    let tls13_only = agent
        .identity()
        .and_then(|identity| identity.lookup.config.tls_min_version.as_deref())
        .is_some_and(|version| version.contains("1.3"));
    let identity = if secure { Some(tls::self_signed(source, "wrought-agent", tls13_only)?) } else { None };
    tracing::info!("serving at {url}");
    let config = identity.as_ref().map(|identity| identity.config.clone());
    tokio::spawn(server::serve(agent.clone(), listener, config));
    Ok(identity.map(|identity| identity.certificate))
}

/// The address that this machine would use towards a URL. No packet is sent: connecting a UDP socket chooses a route.
async fn source_address(url: &str, limit: Duration) -> Result<IpAddr, SessionError> {
    let uri: Uri = url.parse().map_err(|_| SessionError::NoRoute)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let attempt = || async {
        let target = lookup_host((host.as_str(), 9)).await?.next().ok_or(io::ErrorKind::NotFound)?;
        let local = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(target).await?;
        Ok::<_, io::Error>(socket.local_addr()?.ip())
    };
    let search = async {
        loop {
            match attempt().await {
                Ok(address) => return address,
                Err(error) => tracing::warn!(%error, "no route to the API yet"),
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(limit, search).await.map_err(|_| SessionError::NoRoute)
}

/// Heartbeats for ever. A forced one comes at once to a Wrought server; a stock one is spared for 5 s after the last.
async fn beat(
    agent: &Agent,
    conductor: &Conductor,
    certificate: Option<String>,
    timeout_seconds: u64,
) -> Result<Ending, SessionError> {
    let (node_uuid, token) = agent
        .identity()
        .map(|identity| (identity.lookup.node.uuid.clone(), identity.token.clone()))
        .unwrap_or_default();
    let heartbeat = Heartbeat {
        callback_url: agent.callback_url(),
        agent_version: Some(crate::AGENT_VERSION.to_owned()),
        agent_token: token,
        agent_verify_ca: certificate,
        agent_status: None,
        agent_status_message: None,
    };
    let pace = if agent.server_is_wrought() { Duration::ZERO } else { STOCK_PACE };
    let mut first = true;
    loop {
        let sent = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "a timeout in seconds")]
        let wait = match conductor.heartbeat(&node_uuid, &heartbeat).await {
            Ok(()) => {
                tracing::debug!("heartbeat taken");
                if std::mem::take(&mut first) {
                    tracing::info!("first heartbeat taken");
                }
                (timeout_seconds.clamp(1, 86_400) as f64) * rand::random_range(0.3..=0.6)
            }
            Err(error) => {
                tracing::warn!("heartbeat: {}", console::chain(&error));
                STOCK_PACE.as_secs_f64() * rand::random_range(1.0..=2.0)
            }
        };
        let next = sent + Duration::from_secs_f64(wait);
        tokio::select! {
            () = sleep_until(next) => {}
            () = agent.beat.notified() => sleep_until(next.min(sent + pace)).await,
        }
    }
}

/// Posts the progress of commands, where the server asked for it. A report that fails is of no consequence.
async fn report(agent: &Agent, conductor: &Conductor) -> Result<Ending, SessionError> {
    let token = agent.identity().and_then(|identity| identity.token.clone());
    let (Some(path), Some(token)) = (agent.progress_path(), token) else {
        return std::future::pending().await;
    };
    loop {
        let command = agent.commands.running().await;
        let mut news = command.progress();
        // What was said before this task got round to listening counts too.
        news.mark_changed();
        loop {
            tokio::select! {
                changed = news.changed() => if changed.is_err() { break },
                () = command.ended() => break,
            }
            let Some(progress) = news.borrow_and_update().clone() else { continue };
            let report =
                ProgressReport { agent_token: token.clone(), command: command.name().to_owned(), progress };
            if let Err(error) = conductor.progress(path, &report).await {
                tracing::debug!("progress: {}", console::chain(&error));
            }
            sleep(PROGRESS_PACE).await;
        }
    }
}

/// Sends what is in the machine, when the parameters ask for it; returns the node that the server found.
async fn inspect(agent: &Arc<Agent>, macs: &[String]) -> Option<String> {
    let parameters = &agent.parameters;
    let base = parameters.api_urls.first()?;
    let url = match (&parameters.inspection_url, &parameters.collectors) {
        (Some(url), _) => url.clone(),
        (None, Some(_)) => format!("{base}/v1/continue_inspection"),
        (None, None) => return None,
    };
    let gathering = agent.clone();
    let inventory = tokio::task::spawn_blocking(move || inventory::gather(&gathering)).await.ok()?;
    let collectors: Vec<&str> = parameters.collectors.as_deref().unwrap_or("default").split(',').collect();
    let mut data = Map::new();
    data.insert("error".to_owned(), Value::Null);
    data.insert("boot_interface".to_owned(), json!(inventory.boot.pxe_interface));
    data.insert("root_disk".to_owned(), json!(agent.disks.default_root()));
    data.insert("configuration".to_owned(), json!({ "collectors": collectors, "managers": [{ "name": crate::MANAGER, "version": crate::MANAGER_VERSION }] }));
    let report = InspectionReport { inventory, data };
    let conductor = api(agent, base);
    for attempt in 1..=5 {
        match conductor.inspected(&url, &report).await {
            Ok(uuid) => {
                tracing::info!("inspection sent, {} interfaces", macs.len());
                return uuid;
            }
            Err(error) => {
                tracing::warn!("inspection: {}", console::chain(&error));
                if matches!(error, ApiError::Refused { status, .. } if status < 500 && status != 409) {
                    return None;
                }
                sleep(Duration::from_secs(5 * attempt).min(Duration::from_secs(30))).await;
            }
        }
    }
    None
}

impl Agent {
    /// MAC addresses of the machine, that of the interface it booted from first.
    pub fn machine_macs(&self) -> Vec<String> {
        let mut macs = self.machine.macs();
        macs.sort_by_key(|mac| Some(mac) != self.parameters.boot_mac.as_ref());
        macs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let long = |c: &str| AgentToken::new(c.repeat(43));
        let mask = AgentToken::new(agent_api::token::MASK);
        let short = AgentToken::new("short");
        assert_eq!(choose_token(None, Some(&long("a"))).expect("fresh"), Some(long("a")));
        assert_eq!(choose_token(Some(&long("b")), Some(&mask)).expect("kept"), Some(long("b")));
        assert_eq!(choose_token(Some(&long("b")), None).expect("kept"), Some(long("b")));
        assert_eq!(choose_token(None, None).expect("none"), None);
        assert_eq!(choose_token(None, Some(&short)).expect("none"), None);
        assert!(matches!(choose_token(None, Some(&mask)), Err(SessionError::TokenTaken)));
    }

    #[tokio::test]
    async fn the_way_to_a_neighbour() {
        let limit = Duration::from_secs(1);
        assert_eq!(
            source_address("http://127.0.0.1:1/x", limit).await.expect("route"),
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        );
        assert!(source_address("no url", limit).await.is_err());
    }
}
