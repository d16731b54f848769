//! A Redfish service with knobs for what real ones do wrong. It records what it is asked.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "included by test binaries")]

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What the service does.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    /// Sessions are offered.
    pub sessions: bool,
    /// Each session ends after so many requests.
    pub session_life: Option<u32>,
    /// A session login is refused so.
    pub login_answer: Option<(u16, Value)>,
    /// Changes need one of these `If-Match`.
    pub if_match: Option<Vec<Option<&'static str>>>,
    /// The tag that the system shows.
    pub etag: Option<&'static str>,
    /// Answers come after this time.
    pub delay: Duration,
    /// The system's body in place of the right one.
    pub system_text: Option<String>,
    /// So many requests to the system are answered so first.
    pub first_answers: Vec<(u16, Value)>,
    /// The system redirects there.
    pub redirect: Option<String>,
    /// Members to lay over the system.
    pub system: Value,
    /// Changes of the boot object without a mode are refused.
    pub wants_mode: bool,
    /// Lasting overrides are refused.
    pub only_once: bool,
    /// Changes answer 202 with a task that ends in this state.
    pub task: Option<Value>,
    /// Resets are answered so, after they were carried out.
    pub reset_answer: Option<(u16, Value)>,
    /// Names of systems.
    pub systems: Vec<&'static str>,
    /// Members to lay over the service root.
    pub root: Value,
    /// Resources beside the system, by path; changes of them are taken, and shown unless they are `stubborn`.
    pub more: std::collections::BTreeMap<&'static str, Value>,
    /// Changes of those resources are taken, and nothing happens.
    pub stubborn: bool,
    /// What actions answer, by path: the status, and where their task is.
    pub actions: std::collections::BTreeMap<&'static str, (u16, Option<&'static str>)>,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: Vec<String>,
    pub logins: u32,
    pub used: u32,
    pub token: Option<String>,
    pub power: Option<String>,
    pub boot: Value,
    pub conditions: Vec<Option<String>>,
    pub basic: u32,
    pub logouts: u32,
    pub in_flight: u32,
    pub most_in_flight: u32,
    /// What was sent to other resources than the system, and to actions.
    pub bodies: Vec<(String, Value)>,
    pub changed: std::collections::BTreeMap<String, Value>,
}

#[derive(Clone)]
pub struct Fake {
    pub knobs: Arc<Mutex<Knobs>>,
    pub seen: Arc<Mutex<Seen>>,
    pub address: SocketAddr,
    server: Arc<Server>,
}

struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Knobs>>, Arc<Mutex<Seen>>);

impl Fake {
    pub async fn start(knobs: Knobs) -> Self {
        let (knobs, seen) = (Arc::new(Mutex::new(knobs)), Arc::new(Mutex::new(Seen::default())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared(Arc::clone(&knobs), Arc::clone(&seen));
        let router = Router::new().fallback(answer).with_state(shared);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { knobs, seen, address, server: Arc::new(Server(task)) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn count(&self, request: &str) -> usize {
        self.seen.lock().unwrap().requests.iter().filter(|seen| *seen == request).count()
    }
}

async fn answer(State(Shared(knobs, seen)): State<Shared>, request: Request) -> Response {
    let knobs_now = knobs.lock().unwrap().clone();
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    {
        let mut seen = seen.lock().unwrap();
        seen.requests.push(format!("{} {path}", parts.method));
        seen.in_flight += 1;
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
    }
    tokio::time::sleep(knobs_now.delay).await;
    let mut seen = seen.lock().unwrap();
    let response = if path.contains("/Systems/1") && !knobs_now.first_answers.is_empty() {
        let (status, body) = knobs.lock().unwrap().first_answers.remove(0);
        reply(status, &body)
    } else {
        route(&knobs_now, &mut seen, (&parts.method, &path), &parts.headers, &body)
    };
    seen.in_flight -= 1;
    response
}

fn reply(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body.clone())).into_response()
}

fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

fn link(path: &str) -> Value {
    json!({"@odata.id": path})
}

/// Whether the request shows who it is from.
fn is_known(knobs: &Knobs, seen: &mut Seen, headers: &HeaderMap) -> bool {
    if let Some(token) = headers.get("x-auth-token") {
        seen.used += 1;
        let alive = knobs.session_life.is_none_or(|life| seen.used <= life);
        return alive && seen.token.as_deref() == token.to_str().ok();
    }
    // admin:password
    let basic = headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Basic YWRtaW46cGFzc3dvcmQ=");
    seen.basic += u32::from(basic);
    basic
}

fn log_in(knobs: &Knobs, seen: &mut Seen, body: &Value) -> Response {
    seen.logins += 1;
    if let Some((status, body)) = &knobs.login_answer {
        return reply(*status, body);
    }
    if body["UserName"] != "admin" || body["Password"] != "password" {
        return reply(401, &json!({"error": {"message": "Wrong."}}));
    }
    let token = format!("token{}", seen.logins);
    seen.token = Some(token.clone());
    seen.used = 0;
    let response = with(reply(201, &json!({})), "x-auth-token", &token);
    with(response, "location", "/redfish/v1/SessionService/Sessions/1")
}

fn route(
    knobs: &Knobs,
    seen: &mut Seen,
    what: (&Method, &str),
    headers: &HeaderMap,
    body: &Value,
) -> Response {
    let (method, path) = what;
    let name = method.as_str();
    match (name, path) {
        ("GET", "/redfish/v1") => {
            let mut root = json!({"Systems": link("/redfish/v1/Systems")});
            if knobs.sessions {
                root["Links"] = json!({"Sessions": link("/redfish/v1/SessionService/Sessions")});
            }
            for (key, value) in knobs.root.as_object().into_iter().flatten() {
                root[key] = value.clone();
            }
            return reply(200, &root);
        }
        ("POST", "/redfish/v1/SessionService/Sessions") => return log_in(knobs, seen, body),
        _ => {}
    }
    if !is_known(knobs, seen, headers) {
        return reply(
            401,
            &json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.0.NoValidSession"}]}}),
        );
    }
    if let Some(response) = beside(knobs, seen, what, body) {
        return response;
    }
    match (name, path) {
        ("GET", "/redfish/v1/Systems") => {
            let names = if knobs.systems.is_empty() { vec!["1"] } else { knobs.systems.clone() };
            let members: Vec<_> =
                names.iter().map(|name| link(&format!("/redfish/v1/Systems/{name}"))).collect();
            reply(200, &json!({"Members": members}))
        }
        ("DELETE", "/redfish/v1/SessionService/Sessions/1") => {
            seen.logouts += 1;
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", "/redfish/v1/Tasks/1") => match &knobs.task {
            Some(task) => reply(200, task),
            None => reply(404, &json!({})),
        },
        ("GET", "/redfish/v1/Systems/1" | "/redfish/v1/Systems/1/here") => system(knobs, seen, path),
        ("PATCH", "/redfish/v1/Systems/1") => patch(knobs, seen, headers, body),
        ("POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset") => {
            let kind = body["ResetType"].as_str().unwrap_or_default();
            seen.power = Some(if kind == "ForceOff" { "Off" } else { "On" }.to_owned());
            match &knobs.reset_answer {
                Some((status, body)) => reply(*status, body),
                None => StatusCode::NO_CONTENT.into_response(),
            }
        }
        _ => reply(404, &json!({"error": {"message": "No such resource."}})),
    }
}

/// Resources and actions that a test lays beside the system.
fn beside(knobs: &Knobs, seen: &mut Seen, what: (&Method, &str), body: &Value) -> Option<Response> {
    let (method, path) = what;
    match method.as_str() {
        "GET" => {
            let resource = seen.changed.get(path).or_else(|| knobs.more.get(path))?;
            Some(reply(200, resource))
        }
        "PATCH" => {
            let mut resource = seen.changed.get(path).or_else(|| knobs.more.get(path))?.clone();
            seen.bodies.push((path.to_owned(), body.clone()));
            for (key, value) in body.as_object().into_iter().flatten().filter(|_| !knobs.stubborn) {
                resource[key] = value.clone();
            }
            seen.changed.insert(path.to_owned(), resource);
            Some(StatusCode::NO_CONTENT.into_response())
        }
        _ => {
            let (status, task) = knobs.actions.get(path)?;
            seen.bodies.push((path.to_owned(), body.clone()));
            let response = reply(*status, &json!({}));
            Some(match task {
                Some(task) => with(response, "location", task),
                None => response,
            })
        }
    }
}

fn system(knobs: &Knobs, seen: &Seen, path: &str) -> Response {
    if let (Some(to), "/redfish/v1/Systems/1") = (&knobs.redirect, path) {
        return with(StatusCode::TEMPORARY_REDIRECT.into_response(), "location", to);
    }
    if let Some(text) = &knobs.system_text {
        return Response::new(Body::from(text.clone()));
    }
    let mut system = json!({
        "PowerState": seen.power.as_deref().unwrap_or("Off"),
        "Boot": {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootSourceOverrideMode": "UEFI"},
        "Actions": {"#ComputerSystem.Reset": {"target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}},
    });
    for (key, value) in seen.boot.as_object().into_iter().flatten() {
        system["Boot"][key] = value.clone();
    }
    for (key, value) in knobs.system.as_object().into_iter().flatten() {
        system[key] = value.clone();
    }
    let response = reply(200, &system);
    match knobs.etag {
        Some(etag) => with(response, "etag", etag),
        None => response,
    }
}

fn patch(knobs: &Knobs, seen: &mut Seen, headers: &HeaderMap, body: &Value) -> Response {
    let condition = headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap().to_owned());
    seen.conditions.push(condition.clone());
    if let Some(wanted) = &knobs.if_match
        && !wanted.contains(&condition.as_deref())
    {
        return reply(if condition.is_some() { 412 } else { 428 }, &json!({}));
    }
    let boot = &body["Boot"];
    let refused = (knobs.wants_mode && boot.get("BootSourceOverrideMode").is_none())
        || (knobs.only_once && boot["BootSourceOverrideEnabled"] == "Continuous");
    if refused {
        return reply(
            400,
            &json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.0.PropertyValueNotInList"}]}}),
        );
    }
    seen.boot = boot.clone();
    if knobs.task.is_some() {
        return with(StatusCode::ACCEPTED.into_response(), "location", "/redfish/v1/Tasks/1");
    }
    StatusCode::NO_CONTENT.into_response()
}
