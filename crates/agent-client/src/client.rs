//! Requests to one agent: attempts, deadlines, bounds, and what to do when nobody knows whether a command arrived.

use crate::{error::AgentError, trust::Trust};
use agent_api::{AgentToken, CommandList, CommandRequest, CommandResult, Fault};
use reqwest::{Client, Method, RequestBuilder, Response, header, redirect};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{error::Error as _, io, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

/// Longest answer to `log.collect_system_logs`, in bytes.
const LOGS_LIMIT: usize = 64 << 20;
/// Longest answer to anything else, in bytes.
const REPLY_LIMIT: usize = 8 << 20;
/// Pause between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where an agent is, and how the two know each other.
#[derive(Clone, Debug)]
pub struct AgentTarget {
    /// The `callback_url` of its heartbeats.
    pub url: String,
    /// The shared secret; old agents have none.
    pub token: Option<AgentToken>,
    /// How its certificate is verified.
    pub trust: Trust,
}

/// Deadlines and attempts; the defaults are those of the protocol.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Longest wait for the answer to one request, connecting included.
    pub command_timeout: Duration,
    /// How often a connection is tried.
    pub attempts: u32,
    /// Longest wait for one connection.
    pub connect_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            command_timeout: Duration::from_mins(1),
            attempts: 3,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// A client of one agent. Clones share the connection.
#[derive(Clone, Debug)]
pub struct AgentClient {
    http: Client,
    commands: Url,
    token: Option<AgentToken>,
    options: ClientOptions,
}

impl AgentClient {
    /// A client of the agent at `target`. Nothing is sent yet.
    pub fn new(target: &AgentTarget, options: ClientOptions) -> Result<Self, AgentError> {
        let base = Url::parse(&target.url).map_err(|_| AgentError::BadUrl)?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(AgentError::BadUrl);
        }
        let text = format!("{}/v1/commands/", base.as_str().trim_end_matches('/'));
        let commands = Url::parse(&text).map_err(|_| AgentError::BadUrl)?;
        let http = Client::builder()
            .tls_backend_preconfigured(target.trust.client_config().map_err(AgentError::Trust)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            .connect_timeout(options.connect_timeout)
            .build()
            .map_err(AgentError::Setup)?;
        Ok(Self { http, commands, token: target.token.clone(), options })
    }

    /// Sends a command. With `wait` the agent answers when it has ended, else at once.
    ///
    /// A connection that fails is tried again; the command is never sent twice. When no answer comes, the agent's last
    /// command is taken for ours if it has the same name and is running.
    ///
    /// # Errors
    /// [`AgentError::InProgress`] when the agent is at another command. A command that ran and failed is *no* error here.
    pub async fn command(
        &self,
        name: &str,
        params: Map<String, Value>,
        wait: bool,
    ) -> Result<CommandResult, AgentError> {
        let request = CommandRequest { name: name.to_owned(), params };
        let body = serde_json::to_vec(&request)
            .map_err(|source| AgentError::BadReply { command: name.to_owned(), source })?;
        let mut attempt = 1;
        let limit = if name == "log.collect_system_logs" { LOGS_LIMIT } else { REPLY_LIMIT };
        loop {
            let post = self
                .request(Method::POST, self.commands.clone())
                .query(&[("wait", if wait { "true" } else { "false" })])
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
            let outcome = self.exchange(post, name, limit, self.options.command_timeout).await;
            match outcome {
                Err(AgentError::Unreachable { source, .. }) if attempt >= self.options.attempts => {
                    return Err(AgentError::Unreachable { attempts: attempt, source });
                }
                Err(AgentError::Unreachable { source, .. }) => {
                    tracing::debug!(command = name, attempt, error = %source, "agent not reached, trying again");
                    attempt += 1;
                    sleep(RETRY_PAUSE).await;
                }
                Err(error @ (AgentError::TimedOut { .. } | AgentError::Broken(_))) => {
                    return self.adopt(name).await.ok_or(error);
                }
                other => return other,
            }
        }
    }

    /// All commands of this boot, oldest first.
    pub async fn commands(&self) -> Result<Vec<CommandResult>, AgentError> {
        let list: CommandList =
            self.get(self.commands.clone(), "commands", self.options.command_timeout).await?;
        Ok(list.commands)
    }

    /// `GET /v1/status`.
    pub(crate) async fn status(&self) -> Result<Value, AgentError> {
        let url = self.commands.join("../status").map_err(|_| AgentError::BadUrl)?;
        self.get(url, "status", self.options.command_timeout).await
    }

    /// State of one command. With a `wait` the agent answers when the command has ended, or this method when the wait
    /// is over: then with the state it is in.
    pub async fn poll(&self, command_id: &str, wait: Option<Duration>) -> Result<CommandResult, AgentError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if command_id.is_empty() || command_id.len() > 64 || !command_id.bytes().all(fits) {
            return Err(AgentError::Refused { status: 404, text: "not a command's identifier".to_owned() });
        }
        let url = self.commands.join(command_id).map_err(|_| AgentError::BadUrl)?;
        if let Some(wait) = wait {
            let mut joined = url.clone();
            joined.query_pairs_mut().append_pair("wait", "true");
            match self.get(joined, command_id, wait).await {
                Err(AgentError::TimedOut { .. }) => {}
                other => return other,
            }
        }
        self.get(url, command_id, self.options.command_timeout).await
    }

    /// Waits until a command has ended, for at most `limit`, by long polls of the command timeout each.
    pub async fn wait_for(
        &self,
        started: CommandResult,
        limit: Duration,
    ) -> Result<CommandResult, AgentError> {
        let deadline = Instant::now() + limit;
        let mut result = started;
        while result.is_running() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AgentError::StillRunning { command: result.command_name, limit });
            }
            let asked = Instant::now();
            result = self.poll(&result.id, Some(left.min(self.options.command_timeout))).await?;
            // An agent that answers "running" at once does not know long polls, or does not want them.
            if result.is_running() && asked.elapsed() < RETRY_PAUSE {
                sleep(RETRY_PAUSE.min(left)).await;
            }
        }
        Ok(result)
    }

    /// The command `name`, when it is the last one and still at work.
    pub(crate) async fn adopt(&self, name: &str) -> Option<CommandResult> {
        let short = name.rsplit_once('.').map_or(name, |(_, command)| command);
        let last = self.commands().await.ok()?.pop()?;
        let ours = last.is_running() && last.command_name == short;
        tracing::info!(command = name, adopted = ours, "no answer to a command; asked for the agent's list");
        ours.then_some(last)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url, what: &str, limit: Duration) -> Result<T, AgentError> {
        let mut attempt = 1;
        loop {
            let request = self.request(Method::GET, url.clone());
            match self.exchange(request, what, REPLY_LIMIT, limit).await {
                Err(AgentError::Unreachable { source, .. }) if attempt >= self.options.attempts => {
                    return Err(AgentError::Unreachable { attempts: attempt, source });
                }
                Err(AgentError::Unreachable { .. }) => {
                    attempt += 1;
                    sleep(RETRY_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    fn request(&self, method: Method, mut url: Url) -> RequestBuilder {
        if let Some(token) = &self.token {
            url.query_pairs_mut().append_pair("agent_token", token.reveal());
        }
        self.http.request(method, url).header(header::ACCEPT, "application/json")
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        what: &str,
        bound: usize,
        limit: Duration,
    ) -> Result<T, AgentError> {
        let deadline = Instant::now() + limit;
        let late = |_| AgentError::TimedOut { limit };
        let response = timeout_at(deadline, request.send()).await.map_err(late)?;
        let response = response.map_err(|error| classify(error, limit))?;
        let status = response.status();
        let body = timeout_at(deadline, read_bounded(response, bound, limit)).await.map_err(late)??;
        if status.is_success() {
            let bad = |source| AgentError::BadReply { command: what.to_owned(), source };
            return serde_json::from_slice(&body).map_err(bad);
        }
        let text: String = Fault::text_of(&body).chars().take(500).collect();
        if status.as_u16() == 409 || text.to_ascii_lowercase().contains("agent is busy") {
            return Err(AgentError::InProgress { text });
        }
        Err(AgentError::Refused { status: status.as_u16(), text })
    }
}

async fn read_bounded(mut response: Response, bound: usize, limit: Duration) -> Result<Vec<u8>, AgentError> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > bound {
        return Err(AgentError::TooLong { limit: bound });
    }
    let mut body = Vec::with_capacity(announced.min(1 << 16));
    // Errors name the URL, and the URL holds the token: `classify` takes it out.
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(error, limit))? {
        if body.len() + chunk.len() > bound {
            return Err(AgentError::TooLong { limit: bound });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Sorts a transport error by what the agent may have seen, and takes the URL (with the token) out of it.
fn classify(error: reqwest::Error, limit: Duration) -> AgentError {
    let error = error.without_url();
    if is_tls(&error) {
        AgentError::Untrusted(error)
    } else if error.is_connect() {
        AgentError::Unreachable { attempts: 1, source: error }
    } else if error.is_timeout() {
        AgentError::TimedOut { limit }
    } else {
        AgentError::Broken(error)
    }
}

/// Whether a certificate is behind an error. An `io::Error` does not give what it wraps as its source, so it is opened.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        };
    }
    false
}
