//! A client of the API that knows no types: requests, answers, and waiting for a state.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::LONG;

/// The version that requests ask for unless they say otherwise.
const VERSION: &str = "1.95";
/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(50);

/// The API of one site.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    login: Option<(String, String)>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Self { status, headers, body }
    }

    /// What the error says, wherever the body has it.
    pub(crate) fn fault(&self) -> String {
        let inner = match &self.body["error_message"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            // Those about the size and the depth of a body are not wrapped.
            Value::Null => self.body.clone(),
            other => other.clone(),
        };
        let text = inner["faultstring"].as_str().or_else(|| inner["description"].as_str());
        text.unwrap_or_else(|| panic!("an error without a text: {}", self.body)).to_owned()
    }
}

impl Api {
    pub(crate) fn new(base: String, login: Option<(String, String)>) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
        Self { client, base, login }
    }

    /// The same API for somebody else.
    pub(crate) fn with_login(&self, login: Option<(&str, &str)>) -> Self {
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Self { login, ..self.clone() }
    }

    /// A request with the version and the login.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("X-OpenStack-Ironic-API-Version", VERSION);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password));
        }
        request
    }

    pub(crate) async fn answers(&self) -> bool {
        self.request(Method::GET, "/").send().await.is_ok()
    }

    /// Any request, any answer.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// A request that must succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.send(method.clone(), path, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        answer.body
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, None).await
    }

    pub(crate) async fn node(&self, node: &str) -> Value {
        self.get(&format!("/v1/nodes/{node}")).await
    }

    /// Sets members of the node by their JSON pointers.
    pub(crate) async fn set(&self, node: &str, members: &[(&str, Value)]) {
        let patch: Vec<Value> =
            members.iter().map(|(path, value)| json!({"op": "add", "path": path, "value": value})).collect();
        self.ok(Method::PATCH, &format!("/v1/nodes/{node}"), Some(&json!(patch))).await;
    }

    /// Asks for a change of the provision state.
    pub(crate) async fn ask(&self, node: &str, request: &Value) -> Answer {
        self.send(Method::PUT, &format!("/v1/nodes/{node}/states/provision"), Some(request)).await
    }

    /// The same for a verb without arguments, which must be accepted.
    pub(crate) async fn verb(&self, node: &str, verb: &str) {
        let answer = self.ask(node, &json!({"target": verb})).await;
        assert_eq!(answer.status, 202, "{verb}: {}", answer.body);
    }

    /// Waits until the node rests in `state`; a failure on the way is the test's.
    pub(crate) async fn reaches(&self, node: &str, state: &str) -> Value {
        let node = self.rests(node).await;
        assert_eq!(node["provision_state"], state, "{} {}", node["last_error"], node["uuid"]);
        assert_eq!(node["last_error"], Value::Null, "{state}");
        node
    }

    /// Waits until the node rests in `state` with an error, and gives the node and the error.
    pub(crate) async fn fails(&self, node: &str, state: &str) -> (Value, String) {
        let node = self.rests(node).await;
        assert_eq!(node["provision_state"], state, "{}", node["last_error"]);
        let error = node["last_error"].as_str().unwrap_or_else(|| panic!("{state} without last_error"));
        let error = error.to_owned();
        (node, error)
    }

    /// Waits until nothing goes on with the node.
    pub(crate) async fn rests(&self, node: &str) -> Value {
        let since = Instant::now();
        loop {
            let found = self.node(node).await;
            let state = found["provision_state"].as_str().unwrap();
            if !is_on_its_way(state) {
                assert_eq!(found["reservation"], Value::Null, "a node at rest is nobody's");
                return found;
            }
            assert!(since.elapsed() < LONG, "still {state}: {found}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Whether a state leads on by itself.
fn is_on_its_way(state: &str) -> bool {
    matches!(
        state,
        "verifying"
            | "cleaning"
            | "clean wait"
            | "deploying"
            | "wait call-back"
            | "deleting"
            | "inspecting"
            | "inspect wait"
            | "adopting"
            | "rescuing"
            | "rescue wait"
            | "unrescuing"
            | "servicing"
            | "service wait"
    )
}
