//! A site of its own for each test: a store in a temporary directory, conductors with knobs, the router.

use std::sync::Arc;
use std::time::Duration;

use api::{ApiState, Authenticator, NoAuth, Options, Refusal, router};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use db::{DatabaseUrl, Db, Registration};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use model::{MacAddr, Node, Port, ProvisionState, Timestamp};
use policy::{Caller, Policy, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::conductors::{Fake, HOST};

pub(crate) const NEWEST: u16 = 115;

pub(crate) struct Site {
    pub(crate) db: Db,
    pub(crate) conductors: Arc<Fake>,
    pub(crate) router: Router,
    /// The rules in force.
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    _dir: Option<TempDir>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// What an error says: the string inside the string.
    pub(crate) fn fault(&self) -> String {
        let body = self.json();
        let inner: Value = serde_json::from_str(body["error_message"].as_str().unwrap()).unwrap();
        let text = inner.get("faultstring").or_else(|| inner.get("description"));
        text.and_then(Value::as_str).unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) fn options() -> Options {
    Options { lock_retry: Duration::from_millis(5), ..Options::default() }
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(options(), |_| Arc::new(NoAuth)).await
    }

    pub(crate) async fn with(options: Options, auth: impl FnOnce(&Db) -> Arc<dyn Authenticator>) -> Self {
        Self::assemble(options, auth, "").await
    }

    /// A site with an operator's file of rules.
    pub(crate) async fn assemble(
        options: Options,
        auth: impl FnOnce(&Db) -> Arc<dyn Authenticator>,
        rules: &str,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite(dir.path().join("site.db"));
        Self { _dir: Some(dir), ..Self::at(url, options, auth, rules).await }
    }

    /// The same on a store that is there already.
    pub(crate) async fn at(
        url: DatabaseUrl,
        options: Options,
        auth: impl FnOnce(&Db) -> Arc<dyn Authenticator>,
        rules: &str,
    ) -> Self {
        let db = Db::open(&db::Options::new(url)).await.unwrap();
        let registration = Registration {
            hostname: HOST.to_owned(),
            conductor_group: String::new(),
            hardware_types: Vec::new(),
        };
        db.register_conductor(registration).await.unwrap();
        let conductors = Arc::new(Fake::new());
        let policy = Arc::new(ArcSwap::from_pointee(rules_of(rules)));
        let state = ApiState {
            db: db.clone(),
            conductors: Arc::clone(&conductors) as Arc<dyn conductor_api::Conductors>,
            authenticator: auth(&db),
            policy: Arc::clone(&policy),
            options,
        };
        Self { db, conductors, router: router(state), policy, _dir: None }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, mut body) = response.into_parts();
        let is_endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_endless {
            body.frame().await.unwrap().unwrap().into_data().unwrap()
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// A request at version `1.minor`, with a JSON body unless it is null.
    pub(crate) async fn call(&self, method: &str, path: &str, minor: u16, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("x-openstack-ironic-api-version", format!("1.{minor}"))
            .header("content-type", "application/json")
            .header("host", "api.test:6385")
            .body(body)
            .unwrap();
        self.send(request).await
    }

    /// The same as the caller of this number (see [`SaidBy`]).
    pub(crate) async fn call_as(&self, number: usize, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("x-openstack-ironic-api-version", format!("1.{NEWEST}"))
            .header(CALLER, number.to_string())
            .header("host", "api.test:6385");
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, NEWEST, Value::Null).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, NEWEST, body).await
    }

    /// A stored node, as `change` makes it.
    pub(crate) async fn node(&self, change: impl FnOnce(&mut Node)) -> Node {
        let mut node = Node::new("fake-hardware", Timestamp::now());
        for kind in model::InterfaceKind::ALL {
            node.interfaces.set(kind, Some("fake".to_owned()));
        }
        change(&mut node);
        self.db.create_node(node).await.unwrap()
    }

    pub(crate) async fn node_in(&self, state: ProvisionState) -> Node {
        self.node(|node| node.provision_state = state).await
    }

    /// A stored port of `node` with an address of its own.
    pub(crate) async fn port(&self, node: &Node) -> Port {
        let port = Port::new(node.uuid, address(), Timestamp::now());
        self.db.create_port(port).await.unwrap()
    }
}

/// The rules of an operator's file over the defaults.
pub(crate) fn rules_of(file: &str) -> Policy {
    Policy::load(file, Settings::default()).unwrap_or_else(|error| panic!("{error}: {file}"))
}

/// Lets callers say themselves who they are: one of the callers given, by a header with its number.
pub(crate) struct SaidBy(pub(crate) Vec<Caller>);

/// The header with the number of the caller.
pub(crate) const CALLER: &str = "x-test-caller";

impl Authenticator for SaidBy {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Caller, Refusal>> {
        let number = headers.get(CALLER).map(|value| value.to_str().unwrap().parse::<usize>().unwrap());
        let caller = number.map_or_else(|| Caller::administrator(None), |number| self.0[number].clone());
        Box::pin(async { Ok(caller) })
    }
}

/// A caller with these roles, in a project or (without one) in the whole system.
pub(crate) fn caller(project: Option<&str>, roles: &[&str]) -> Caller {
    Caller {
        user: Some("ada".to_owned()),
        project: project.map(str::to_owned),
        system: project.is_none(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Caller::default()
    }
}

/// A fresh Ethernet address.
pub(crate) fn address() -> MacAddr {
    let mut octets = [2; 6];
    octets[1..].copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..5]);
    MacAddr::new(octets)
}

/// Reads what was observed, `1-36:406 37-115:200`, as `(first, last, status)`.
pub(crate) fn ranges(cell: &str) -> Vec<(u16, u16, u16)> {
    let range = |part: &str| {
        let (versions, status) = part.split_once(':').unwrap();
        let (first, last) = versions.split_once('-').unwrap();
        // An exception was observed where a route that is not there should be told so.
        let status = if status.starts_with("EXC") { 404 } else { status.parse().unwrap() };
        (first.parse().unwrap(), last.parse().unwrap(), status)
    };
    // Remarks follow in parentheses.
    let ranges = cell.split(" (").next().unwrap();
    ranges.split(' ').map(range).collect()
}
