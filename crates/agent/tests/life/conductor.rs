//! A conductor that answers lookups and heartbeats, and keeps what it was told.

use agent::{
    agent::Agent,
    disks::Disks,
    fetch::Fetcher,
    machine::{Ending, Machine},
    parameters::Parameters,
    session::{self, SessionError},
    tls,
};
use agent_api::{AgentToken, Heartbeat, ProgressReport, token};
use agent_client::{AgentClient, AgentTarget, ClientOptions, Trust};
use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

pub(crate) const NODE: &str = "6a9b3b7c-1f5e-4c59-9d0e-0d3d7d5b7a01";
pub(crate) const TOKEN: &str = "a-token-of-more-than-thirty-two-characters";
const PATIENCE: Duration = Duration::from_secs(30);

/// Knobs.
#[derive(Clone, Debug)]
pub(crate) struct Knobs {
    /// Highest API version.
    pub(crate) version: &'static str,
    /// Whether it is a Wrought server.
    pub(crate) wrought: bool,
    /// Statuses of the first lookups.
    pub(crate) refusals: Vec<u16>,
    /// Whether the token was given away before.
    pub(crate) masked: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { version: "1.109", wrought: true, refusals: Vec::new(), masked: false }
    }
}

/// What the conductor was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) lookups: Vec<String>,
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) progress: Vec<(Instant, ProgressReport)>,
    pub(crate) inspections: Vec<Value>,
}

struct Shared {
    knobs: Mutex<Knobs>,
    told: Arc<Mutex<Told>>,
    beats: mpsc::UnboundedSender<(Instant, Value)>,
}

pub(crate) struct Conductor {
    pub(crate) url: String,
    pub(crate) told: Arc<Mutex<Told>>,
    beats: mpsc::UnboundedReceiver<(Instant, Value)>,
}

async fn lookup(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> axum::response::Response {
    let mut told = shared.told.lock().unwrap();
    told.lookups.push(query.unwrap_or_default());
    told.versions.push(("lookup".into(), version(&headers)));
    let mut knobs = shared.knobs.lock().unwrap();
    if !knobs.refusals.is_empty() {
        let status = knobs.refusals.remove(0);
        return (StatusCode::from_u16(status).unwrap(), Json(json!({"error_message": "not now"})))
            .into_response();
    }
    let mut config = json!({
        "heartbeat_timeout": 300,
        "agent_token": if knobs.masked { token::MASK } else { TOKEN },
        "agent_token_required": true,
        "tls_min_version": "1.3",
        "key_of_tomorrow": [1],
    });
    if knobs.wrought {
        config["wrought"] = json!({"progress_path": format!("/v1/agent/{NODE}/progress")});
    }
    Json(
        json!({"node": {"uuid": NODE, "properties": {}, "instance_info": {}, "links": []}, "config": config}),
    )
    .into_response()
}

fn version(headers: &HeaderMap) -> String {
    headers.get("x-openstack-ironic-api-version").map_or("none", |value| value.to_str().unwrap()).to_owned()
}

async fn heartbeat(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    shared.told.lock().unwrap().versions.push(("heartbeat".into(), version(&headers)));
    let _ = shared.beats.send((Instant::now(), body));
    StatusCode::ACCEPTED
}

async fn progress(State(shared): State<Arc<Shared>>, Json(report): Json<ProgressReport>) -> StatusCode {
    shared.told.lock().unwrap().progress.push((Instant::now(), report));
    StatusCode::ACCEPTED
}

async fn inspection(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> impl IntoResponse {
    let mut told = shared.told.lock().unwrap();
    told.versions.push(("inspection".into(), version(&headers)));
    told.inspections.push(body);
    (StatusCode::ACCEPTED, Json(json!({"uuid": NODE})))
}

impl Conductor {
    pub(crate) async fn start(knobs: Knobs) -> Self {
        let (sender, beats) = mpsc::unbounded_channel();
        let told = Arc::new(Mutex::new(Told::default()));
        let root = json!({"default_version": {"id": "v1", "version": knobs.version}});
        let shared = Arc::new(Shared { knobs: Mutex::new(knobs), told: told.clone(), beats: sender });
        let router = Router::new()
            .route("/", get(move || async move { Json(root) }))
            .route("/v1/lookup", get(lookup))
            .route("/v1/heartbeat/{node}", post(heartbeat))
            .route("/v1/agent/{node}/progress", post(progress))
            .route("/v1/continue_inspection", post(inspection))
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, told, beats }
    }

    /// The next heartbeat, and when it came.
    pub(crate) async fn beat(&mut self) -> (Instant, Value) {
        timeout(PATIENCE, self.beats.recv()).await.expect("a heartbeat in time").unwrap()
    }

    /// A client of the agent that sent the next heartbeat.
    pub(crate) async fn client(&mut self) -> AgentClient {
        let (_, body) = self.beat().await;
        let beat: Heartbeat = serde_json::from_value(body).unwrap();
        let trust = beat.agent_verify_ca.map_or(Trust::Nothing, Trust::Certificate);
        let target = AgentTarget { url: beat.callback_url, token: Some(AgentToken::new(TOKEN)), trust };
        AgentClient::new(&target, ClientOptions::default()).unwrap()
    }
}

pub(crate) type Running = JoinHandle<Result<Ending, SessionError>>;

pub(crate) fn parameters(url: &str) -> Parameters {
    Parameters {
        api_urls: vec![url.to_owned()],
        listen_host: Some("127.0.0.1".parse().unwrap()),
        listen_port: 0,
        boot_mac: Some("52:54:00:00:00:02".into()),
        lookup_interval: Duration::from_millis(10),
        image_retry_interval: Duration::from_millis(50),
        image_timeout: Duration::from_secs(2),
        ..Parameters::default()
    }
}

/// Starts an agent in this process, with files for disks.
pub(crate) fn agent(parameters: Parameters, disks: &[&Path]) -> Running {
    let fetcher = Fetcher::new(tls::client_config(&parameters, &[]).unwrap());
    let disks = Disks::Files(disks.iter().map(|path| path.to_path_buf()).collect());
    let macs = vec!["52:54:00:00:00:01".into(), "52:54:00:00:00:02".into()];
    let agent = Arc::new(Agent::new(parameters, fetcher, Machine::borrowed(macs), disks));
    tokio::spawn(async move { session::run(&agent, None).await })
}
