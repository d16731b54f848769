//! The agent's own HTTP(S) server: the routes that conductors call. What the commands do is `extension`'s matter.

use crate::{agent::Agent, clock, extension, fetch};
use agent_api::{CommandList, CommandRequest, CommandResult, Fault};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use serde::Serialize;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Longest body of a command: a config drive of 64 MiB in base64, and room.
const LONGEST_BODY: usize = 96 << 20;
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Longest wait for a TLS handshake, and for the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for the body of a request.
const BODY_LIMIT: Duration = Duration::from_mins(5);

/// An answer: status and JSON.
type Answer = (StatusCode, Value);

/// Serves until the process ends or the machine is given to a rescuer. `tls` none: plain HTTP.
pub async fn serve(agent: Arc<Agent>, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
    let acceptor = tls.map(TlsAcceptor::from);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    // One for all rounds: connections that keep coming must not put off the end.
    let owner = agent.clone();
    let closing = owner.machine.closing();
    tokio::pin!(closing);
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (agent, acceptor) = (agent.clone(), acceptor.clone());
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut closing => return,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                // Out of descriptors, most likely: let connections end.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = connection(agent.clone(), socket, acceptor) => {}
                () = agent.machine.closing() => {}
            }
            drop(slot);
        });
    }
}

async fn connection(agent: Arc<Agent>, socket: TcpStream, acceptor: Option<TlsAcceptor>) {
    // A socket that refuses the option still works.
    let _ = socket.set_nodelay(true);
    match acceptor {
        None => requests(agent, socket).await,
        Some(acceptor) => match timeout(HEAD_LIMIT, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => requests(agent, stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

async fn requests(agent: Arc<Agent>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request| {
        let agent = agent.clone();
        async move { Ok::<_, Infallible>(respond(&agent, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

async fn respond(agent: &Arc<Agent>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = match route(agent, request).await {
        Ok(answer) => answer,
        Err(fault) => {
            let status = StatusCode::from_u16(fault.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, json!(fault))
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

async fn route(agent: &Arc<Agent>, request: Request<Incoming>) -> Result<Answer, Box<Fault>> {
    let path = request.uri().path().trim_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let parts = if parts.first() == Some(&"v1") && parts.len() > 1 { &parts[1..] } else { &parts[..] };
    let query = Query::of(request.uri().query().unwrap_or_default());
    match (request.method(), parts) {
        (&Method::GET, [""]) => Ok((StatusCode::OK, root(agent))),
        (&Method::GET, ["v1"]) => Ok((StatusCode::OK, v1(agent))),
        (&Method::GET, ["status"]) => {
            Ok((StatusCode::OK, json!({ "started_at": agent.started_at, "version": crate::AGENT_VERSION })))
        }
        (&Method::GET, ["commands"]) => {
            query.authorize(agent)?;
            answer(&CommandList { commands: agent.commands.results() })
        }
        (&Method::GET, ["commands", id]) => {
            query.authorize(agent)?;
            let missing = || {
                Fault::new(404, "RequestedObjectNotFoundError", format!("Command with id {id} not found."))
            };
            let command = agent.commands.find(id).ok_or_else(missing)?;
            if query.wait {
                command.ended().await;
            }
            answer(&command.result())
        }
        (&Method::POST, ["commands"]) => {
            query.authorize(agent)?;
            let result = run(agent, request, query.wait).await?;
            answer(&result)
        }
        (_, ["" | "v1" | "status" | "commands"] | ["commands", _]) => {
            Err(Fault::new(405, "MethodNotAllowed", "The method is not allowed for the requested URL.")
                .into())
        }
        _ => Err(Fault::new(404, "NotFound", "The requested URL was not found.").into()),
    }
}

async fn run(
    agent: &Arc<Agent>,
    request: Request<Incoming>,
    wait: bool,
) -> Result<CommandResult, Box<Fault>> {
    let read = fetch::read_bounded(request.into_body(), LONGEST_BODY, "the conductor");
    let body = timeout(BODY_LIMIT, read)
        .await
        .map_err(|_| Fault::new(408, "RequestTimeout", "The body did not come."))?;
    let body = body.map_err(|error| match error {
        fetch::FetchError::TooLong { .. } => Fault::new(413, "RequestEntityTooLarge", error.to_string()),
        other => Fault::new(400, "BadRequest", other.to_string()),
    })?;
    let request: CommandRequest = serde_json::from_slice(&body)
        .map_err(|_| Fault::new(400, "InvalidContentError", "Missing or invalid name or params"))?;
    drop(body);
    let (command, joins) = extension::start(agent, request)?;
    if wait || joins {
        command.ended().await;
    }
    Ok(command.result())
}

fn answer(value: &impl Serialize) -> Result<Answer, Box<Fault>> {
    let body =
        serde_json::to_value(value).map_err(|error| Fault::new(500, "InternalError", error.to_string()))?;
    Ok((StatusCode::OK, body))
}

fn version(base: &str) -> Value {
    json!({
        "id": "v1",
        "links": [
            { "href": format!("{base}/v1"), "rel": "self" },
            { "href": format!("{base}/v1/commands"), "rel": "bookmark" },
        ],
    })
}

fn root(agent: &Agent) -> Value {
    let version = version(&agent.callback_url());
    json!({
        "name": "OpenStack Ironic Python Agent API",
        "description": "The Wrought agent, by the API of ironic-python-agent",
        "versions": [version],
        "default_version": version,
    })
}

fn v1(agent: &Agent) -> Value {
    let base = agent.callback_url();
    let links = |what: &str| json!([{ "href": format!("{base}/v1/{what}"), "rel": "self" }]);
    let mut document = version(&base);
    document["commands"] = links("commands");
    document["status"] = links("status");
    let kind = "application/vnd.openstack.ironic-python-agent.v1+json";
    document["media_types"] = json!([{ "base": "application/json", "type": kind }]);
    document
}

/// What may stand behind the question mark.
struct Query {
    token: Option<String>,
    wait: bool,
}

impl Query {
    fn of(text: &str) -> Self {
        let value = |wanted: &str| {
            let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == wanted).map(|(_, value)| unescape(value))
        };
        Self {
            token: value("agent_token"),
            wait: value("wait").is_some_and(|word| word.eq_ignore_ascii_case("true")),
        }
    }

    fn authorize(&self, agent: &Agent) -> Result<(), Box<Fault>> {
        match &self.token {
            Some(token) if agent.token_matches(token) => Ok(()),
            _ => Err(Fault::new(401, "Unauthorized", "Token invalid.").into()),
        }
    }
}

/// Undoes percent escapes; what is none stays as it is.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(value)) => {
                plain.push(value);
                at += 3;
            }
            (b'+', _) => {
                plain.push(b' ');
                at += 1;
            }
            (other, _) => {
                plain.push(*other);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// When the agent started, for `/v1/status`: seconds since 1970.
pub fn started_at() -> f64 {
    clock::unix_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = Query::of("wait=True&agent_token=a%2Bb%zz+");
        assert!(query.wait);
        assert_eq!(query.token.as_deref(), Some("a+b%zz "));
        assert!(!Query::of("wait=false").wait && Query::of("").token.is_none());
    }
}
