//! A small typed client of the Bare Metal API: what the lab's flows need, on any server that speaks it.

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// The newest microversion that everything the flows use needs: building a config drive from JSON is 1.56, and
/// releases since can all do this one.
const MICROVERSION: &str = "1.82";
/// A BMC may take its time behind some calls.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Between two attempts to reach a server that is away.
const AGAIN: Duration = Duration::from_millis(50);
/// Of an error's text that is shown.
const SHOWN: usize = 800;

/// A server of the API and the login for it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    login: Option<Login>,
    /// For how long a server that does not answer is asked again.
    patience: Duration,
    microversion: &'static str,
}

/// HTTP basic.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What the flows read of a node.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) uuid: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) provision_state: Option<String>,
    #[serde(default)]
    pub(crate) target_provision_state: Option<String>,
    #[serde(default)]
    pub(crate) power_state: Option<String>,
    #[serde(default)]
    pub(crate) last_error: Option<String>,
    #[serde(default)]
    pub(crate) driver_internal_info: Value,
}

impl Node {
    /// When the agent was last heard of, as the server writes it.
    pub(crate) fn last_heartbeat(&self) -> Option<&str> {
        self.driver_internal_info.get("agent_last_heartbeat")?.as_str()
    }
}

/// A node to be made.
#[derive(Debug, Serialize)]
pub(crate) struct NewNode {
    pub(crate) name: String,
    pub(crate) driver: &'static str,
    pub(crate) driver_info: Value,
    pub(crate) properties: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boot_interface: Option<String>,
}

/// Where a node's current step stands. An addition of Wrought's: other servers answer 404.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Progress {
    #[serde(default)]
    pub(crate) step: Option<String>,
    #[serde(default)]
    pub(crate) phase: Option<String>,
    #[serde(default)]
    pub(crate) bytes_done: Option<u64>,
    #[serde(default)]
    pub(crate) bytes_total: Option<u64>,
}

impl Client {
    /// `base` is `http://HOST:PORT`, without a path.
    pub(crate) fn new(base: &str, login: Option<Login>) -> Result<Self> {
        // An error means that a provider is there already, which is as well.
        rustls::crypto::ring::default_provider().install_default().ok();
        // The service makes a certificate of its own at its first start.
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .danger_accept_invalid_certs(true)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            login,
            patience: Duration::ZERO,
            microversion: MICROVERSION,
        })
    }

    /// The same, but a question that nobody answers is asked again for that long: the server may be starting. Orders are
    /// never repeated.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same, in another microversion.
    pub(crate) fn speaking(self, microversion: &'static str) -> Self {
        Self { microversion, ..self }
    }

    /// What is at `path`.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// Makes what is made at `path`.
    pub(crate) async fn post(&self, path: &str, what: &Value) -> Result<Value> {
        self.send(Method::POST, path, Some(what)).await
    }

    /// The server's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Whether the server answers at all.
    pub(crate) async fn answers(&self) -> bool {
        self.http.get(&self.base).send().await.is_ok()
    }

    /// What is at `path`, as text.
    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        let (status, text) =
            self.exchange(Method::GET, path, None).await.with_context(|| format!("GET {path}"))?;
        if !status.is_success() {
            bail!("GET {path}: {status}");
        }
        Ok(text)
    }

    /// Makes a node.
    pub(crate) async fn create_node(&self, node: &NewNode) -> Result<Node> {
        decode(self.send(Method::POST, "/v1/nodes", Some(&json!(node))).await?)
    }

    /// Makes a port: a network card of a node.
    pub(crate) async fn create_port(&self, node: &str, mac: &str) -> Result<()> {
        let port = json!({"node_uuid": node, "address": mac});
        self.send(Method::POST, "/v1/ports", Some(&port)).await.map(drop)
    }

    /// All nodes, name and UUID only.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>> {
        #[derive(Deserialize)]
        struct List {
            nodes: Vec<Node>,
        }
        let list: List = decode(self.send(Method::GET, "/v1/nodes?fields=uuid,name", None).await?)?;
        Ok(list.nodes)
    }

    /// Ends a node's maintenance.
    pub(crate) async fn end_maintenance(&self, node: &str) -> Result<()> {
        self.send(Method::DELETE, &format!("/v1/nodes/{node}/maintenance"), None).await.map(drop)
    }

    /// Removes a node in any state.
    pub(crate) async fn delete_node(&self, node: &str) -> Result<()> {
        self.send(
            Method::PUT,
            &format!("/v1/nodes/{node}/maintenance"),
            Some(&json!({"reason": "to be removed"})),
        )
        .await?;
        self.send(Method::DELETE, &format!("/v1/nodes/{node}"), None).await.map(drop)
    }

    /// What the flows watch of a node.
    pub(crate) async fn node(&self, node: &str) -> Result<Node> {
        let fields =
            "uuid,name,provision_state,target_provision_state,power_state,last_error,driver_internal_info";
        decode(self.send(Method::GET, &format!("/v1/nodes/{node}?fields={fields}"), None).await?)
    }

    /// Sets fields below a node by their JSON pointers.
    pub(crate) async fn set(&self, node: &str, fields: &[(&str, Value)]) -> Result<()> {
        let patch: Vec<Value> =
            fields.iter().map(|(path, value)| json!({"op": "add", "path": path, "value": value})).collect();
        self.send(Method::PATCH, &format!("/v1/nodes/{node}"), Some(&json!(patch))).await.map(drop)
    }

    /// Asks for a change of the provision state; `more` is merged into the request.
    pub(crate) async fn provision(&self, node: &str, target: &str, more: Value) -> Result<()> {
        let mut request = json!({"target": target});
        if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
            request.extend(more);
        }
        self.send(Method::PUT, &format!("/v1/nodes/{node}/states/provision"), Some(&request)).await.map(drop)
    }

    /// Progress within the current step; `None` where the server does not know of such a thing.
    pub(crate) async fn progress(&self, node: &str) -> Option<Progress> {
        let answer = self.request(Method::GET, &format!("/v1/nodes/{node}/progress"), None).await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        answer.json().await.ok()
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let what = format!("{method} {path}");
        let start = Instant::now();
        let (status, text) = loop {
            match self.exchange(method.clone(), path, body).await {
                Ok(answer) => break answer,
                Err(_) if method == Method::GET && start.elapsed() < self.patience => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error.context(what)),
            }
        };
        if !status.is_success() {
            bail!("{what}: {status} {}", text.chars().take(SHOWN).collect::<String>());
        }
        if text.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_str(&text).with_context(|| format!("{what}: {text}"))
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, String)> {
        let answer = self.request(method, path, body).await?;
        let status = answer.status();
        Ok((status, answer.text().await.context("read the answer")?))
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<reqwest::Response> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("X-OpenStack-Ironic-API-Version", self.microversion)
            .header("Accept", "application/json");
        if let Some(login) = &self.login {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send().await?)
    }
}

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).context("decode the API's answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Answers one request with `response` and returns what was asked.
    async fn exchange(response: &'static str) -> (Client, tokio::task::JoinHandle<String>) {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let login = Login { user: "admin".into(), password: "secret".into() };
        let client = Client::new(&format!("http://{}/", server.local_addr().unwrap()), Some(login)).unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            stream.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        (client, served)
    }

    #[tokio::test]
    async fn a_refusal_tells_what_the_server_said() {
        let (client, served) =
            exchange("HTTP/1.1 409 Conflict\r\ncontent-length: 6\r\nconnection: close\r\n\r\nlocked").await;
        let error = client.provision("vm0", "active", json!({"configdrive": {}})).await.unwrap_err();
        assert!(format!("{error:#}").contains("409 Conflict locked"), "{error:#}");
        let asked = served.await.unwrap().to_lowercase();
        assert!(asked.starts_with("put /v1/nodes/vm0/states/provision "), "{asked}");
        assert!(asked.contains("authorization: basic ywrtaw46c2vjcmv0"), "{asked}");
        assert!(asked.contains("x-openstack-ironic-api-version: 1.82"), "{asked}");
    }

    #[tokio::test]
    async fn a_server_without_progress_is_no_error() {
        let (client, _served) =
            exchange("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        assert!(client.progress("vm0").await.is_none());
    }

    #[tokio::test]
    async fn a_patient_client_asks_until_it_is_answered_and_orders_once() {
        // A port that was free a moment ago: nobody listens there yet.
        let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{address}"), None).unwrap();
        assert!(client.nodes().await.is_err());
        let client = client.patient(Duration::from_secs(30));
        assert!(client.provision("vm0", "active", Value::Null).await.is_err());
        let late = async {
            tokio::time::sleep(AGAIN * 2).await;
            let server = tokio::net::TcpListener::bind(address).await.unwrap();
            let (mut stream, _) = server.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"nodes\":[]}").await.unwrap();
        };
        let (nodes, ()) = tokio::join!(client.nodes(), late);
        assert!(nodes.unwrap().is_empty());
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login { user: "admin".into(), password: "secret".into() };
        assert!(!format!("{login:?}").contains("secret"));
    }
}
