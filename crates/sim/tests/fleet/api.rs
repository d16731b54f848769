//! A Bare Metal API that knows lookup, heartbeat, enrolment and the boot server's scripts: just enough for agents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agent_api::token::AgentToken;
use agent_client::{AgentClient, AgentTarget, ClientOptions, Trust};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sim::{ApiAccess, Fleet, FleetOptions};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use url::Url;

pub(crate) const TOKEN: &str = "an-agent-token-of-at-least-32-characters";

/// What the API was told and what it is to answer.
#[derive(Default)]
pub(crate) struct Book {
    /// UUID by MAC.
    pub(crate) nodes: HashMap<String, String>,
    /// Every heartbeat's body, in order, with the node's UUID.
    pub(crate) heartbeats: Vec<(String, Value)>,
    /// Answer lookups with the mask instead of the token.
    pub(crate) token_given_away: bool,
    /// Refuse the next so many lookups with 409.
    pub(crate) locked: u32,
    /// Refuse all heartbeats.
    pub(crate) refuse_heartbeats: bool,
    /// The boot server's script.
    pub(crate) script: String,
    /// Bodies of POST /v1/nodes and /v1/ports.
    pub(crate) created: Vec<(String, Value)>,
    /// Progress reports.
    pub(crate) progress: Vec<Value>,
    /// Versions of lookup and heartbeat requests.
    pub(crate) versions: Vec<(&'static str, String)>,
    /// Bodies of `continue_inspection`.
    pub(crate) inspections: Vec<Value>,
}

#[derive(Clone, Default)]
pub(crate) struct Api {
    pub(crate) book: Arc<Mutex<Book>>,
    heard: Arc<Notify>,
}

pub(crate) struct Running {
    pub(crate) api: Api,
    pub(crate) url: Url,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let api = Api::default();
        let app = Router::new()
            .route("/", get(|| async { Json(json!({"default_version": {"version": "1.115"}})) }))
            .route("/v1/lookup", get(lookup))
            .route("/v1/heartbeat/{uuid}", post(heartbeat))
            .route("/v1/continue_inspection", post(continue_inspection))
            .route("/v1/progress", post(progress))
            .route("/v1/nodes", post(create))
            .route("/v1/ports", post(create))
            .route("/boot/{script}", get(script))
            .with_state(api.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { api, url }
    }

    /// A fleet that calls this API, and whose machines this API knows.
    pub(crate) async fn fleet(&self, options: FleetOptions) -> Fleet {
        let api = Some(ApiAccess::new(self.url.clone()));
        let fleet = Fleet::start(FleetOptions { api, ..options }).await.unwrap();
        self.know(&fleet);
        fleet
    }

    pub(crate) fn know(&self, fleet: &Fleet) {
        let known =
            fleet.machines().iter().map(|machine| (machine.mac().to_owned(), machine.uuid().to_string()));
        self.book(|book| book.nodes.extend(known));
    }

    pub(crate) fn book<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.api.book.lock().unwrap())
    }

    /// The newest heartbeat of a node after the first `skip` ones of the whole API.
    pub(crate) async fn heartbeat(&self, uuid: &str, skip: usize) -> Value {
        let heard = async {
            loop {
                let mut next = std::pin::pin!(self.api.heard.notified());
                next.as_mut().enable();
                let found = self.book(|book| {
                    let new = book.heartbeats.iter().skip(skip);
                    new.rev().find(|(node, _)| node == uuid).map(|(_, body)| body.clone())
                });
                if let Some(body) = found {
                    return body;
                }
                next.await;
            }
        };
        tokio::time::timeout(super::LONG, heard).await.expect("no heartbeat")
    }

    /// The conductor's side of the agent that sent the newest heartbeat.
    pub(crate) async fn agent(&self, uuid: &str) -> AgentClient {
        let body = self.heartbeat(uuid, 0).await;
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        let target = AgentTarget {
            url: text("callback_url"),
            token: Some(AgentToken::new(text("agent_token"))),
            trust: Trust::Certificate(text("agent_verify_ca")),
        };
        AgentClient::new(&target, ClientOptions::default()).unwrap()
    }
}

fn fault(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error_message": {"faultstring": text, "faultcode": "Client"}}))).into_response()
}

fn version(headers: &HeaderMap) -> String {
    headers.get("X-OpenStack-Ironic-API-Version").unwrap().to_str().unwrap().to_owned()
}

async fn lookup(
    State(api): State<Api>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut book = api.book.lock().unwrap();
    book.versions.push(("lookup", version(&headers)));
    if book.locked > 0 {
        book.locked -= 1;
        return fault(StatusCode::CONFLICT, "the node is locked");
    }
    let Some(uuid) = query.get("addresses").and_then(|mac| book.nodes.get(mac)) else {
        return fault(StatusCode::NOT_FOUND, "no such node");
    };
    let token = if book.token_given_away { "******" } else { TOKEN };
    let config = json!({
        "heartbeat_timeout": 300,
        "agent_token": token,
        "agent_token_required": true,
        "wrought": {"progress_path": "/v1/progress"},
    });
    Json(json!({"node": {"uuid": uuid}, "config": config})).into_response()
}

async fn heartbeat(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(uuid): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let mut book = api.book.lock().unwrap();
    book.versions.push(("heartbeat", version(&headers)));
    if book.refuse_heartbeats {
        return fault(StatusCode::SERVICE_UNAVAILABLE, "no worker");
    }
    if body["agent_token"] != TOKEN {
        return fault(StatusCode::BAD_REQUEST, "token");
    }
    book.heartbeats.push((uuid, body));
    drop(book);
    api.heard.notify_waiters();
    StatusCode::ACCEPTED.into_response()
}

async fn continue_inspection(State(api): State<Api>, Json(body): Json<Value>) -> Response {
    api.book.lock().unwrap().inspections.push(body);
    (StatusCode::ACCEPTED, Json(json!({"uuid": ""}))).into_response()
}

async fn progress(State(api): State<Api>, Json(body): Json<Value>) -> StatusCode {
    api.book.lock().unwrap().progress.push(body);
    StatusCode::ACCEPTED
}

async fn create(State(api): State<Api>, uri: Uri, Json(body): Json<Value>) -> Response {
    let mut book = api.book.lock().unwrap();
    let entry = (uri.path().to_owned(), body);
    if book.created.contains(&entry) {
        return fault(StatusCode::CONFLICT, "it exists");
    }
    if entry.1["resource_class"] == "refused" {
        return fault(StatusCode::BAD_REQUEST, "resource_class is refused");
    }
    book.created.push(entry);
    StatusCode::CREATED.into_response()
}

async fn script(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let book = api.book.lock().unwrap();
    match name.strip_suffix(".ipxe") {
        Some(mac) if book.nodes.contains_key(mac) && !book.script.is_empty() => {
            book.script.clone().into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
