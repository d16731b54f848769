//! The agent's own HTTPS server: routes, tokens, bounded bodies. Knows no command.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use agent_api::Fault as ApiFault;
use agent_api::command::{CommandList, CommandRequest};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::agent::{AGENT_VERSION, Agent};
use crate::certificates::AgentCertificate;
use crate::commands::{self, refuse};

/// A command may carry a config drive: 64 MiB as base64.
const MAX_BODY: usize = 96 * 1024 * 1024;
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Accepts connections for ever.
pub(crate) async fn serve(agent: &Arc<Agent>, listener: &TcpListener, certificate: &Arc<AgentCertificate>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                agent.machine.problem(format!("the agent could not accept a connection: {error}"));
                // Out of file descriptors, most likely: others must end first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (agent, certificate) = (Arc::clone(agent), Arc::clone(certificate));
        let death = agent.death.clone();
        agent.machine.shared.clone().spawn(async move {
            death.run_until_cancelled(converse(agent, stream, &certificate)).await;
        });
    }
}

async fn converse(agent: Arc<Agent>, stream: TcpStream, certificate: &AgentCertificate) {
    let handshake = certificate.acceptor.accept(stream);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await else {
        return;
    };
    let service = service_fn(move |request| {
        let agent = Arc::clone(&agent);
        async move { Ok::<_, Infallible>(answer(&agent, request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to an agent ended with an error");
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(agent: &Arc<Agent>, request: Request<Incoming>) -> Answer {
    match route(agent, request).await {
        Ok(answer) => answer,
        Err(fault) => {
            let status = StatusCode::from_u16(fault.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            reply(status, &fault)
        }
    }
}

async fn route(agent: &Arc<Agent>, request: Request<Incoming>) -> Result<Answer, Box<ApiFault>> {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix("/v1").unwrap_or(&path).trim_matches('/');
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match (request.method(), path) {
        (&Method::GET, "") => Ok(reply(
            StatusCode::OK,
            &json!({"name": "Simulated agent", "versions": [{"id": "v1"}], "default_version": {"id": "v1"}}),
        )),
        (&Method::GET, "status") => Ok(reply(
            StatusCode::OK,
            &json!({"started_at": agent.started.as_secs_f64(), "version": AGENT_VERSION}),
        )),
        (&Method::GET, "commands") => {
            authorise(agent, &query)?;
            Ok(reply(StatusCode::OK, &CommandList { commands: agent.commands.list() }))
        }
        (&Method::POST, "commands") => {
            authorise(agent, &query)?;
            let result = commands::take(agent, read_command(request).await?, query.wait).await?;
            Ok(reply(StatusCode::OK, &result))
        }
        (&Method::GET, path) if path.starts_with("commands/") => {
            authorise(agent, &query)?;
            let id = path.trim_start_matches("commands/");
            let unknown = || refuse(404, "RequestedObjectNotFoundError", format!("no command {id}"));
            let found = if query.wait { agent.commands.join(id).await } else { agent.commands.get(id) };
            Ok(reply(StatusCode::OK, &found.ok_or_else(unknown)?))
        }
        _ => Err(refuse(404, "NotFound", format!("there is no {path:?}"))),
    }
}

async fn read_command(request: Request<Incoming>) -> Result<CommandRequest, Box<ApiFault>> {
    let unreadable = |text: String| refuse(400, "InvalidContentError", text);
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| unreadable(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))
}

fn authorise(agent: &Agent, query: &Query) -> Result<(), Box<ApiFault>> {
    if query.token.as_deref().is_some_and(|token| agent.token.matches(token)) {
        return Ok(());
    }
    Err(refuse(401, "InvalidTokenError", "Token invalid."))
}

fn reply(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a query string may say.
#[derive(Debug, Default)]
struct Query {
    wait: bool,
    token: Option<String>,
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "wait" => query.wait = value.eq_ignore_ascii_case("true"),
                "agent_token" => query.token = Some(value.into_owned()),
                _ => {}
            }
        }
        query
    }
}
