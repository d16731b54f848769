//! What every request passes: identity, version, route, deadline, and the headers of every answer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api_types::basic_auth_error;
use axum::Router;
use axum::extract::{RawPathParams, Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on};
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use microversion::{
    Gate, NegotiationError, OPENSTACK_HEADER, VERSION_HEADER, Version, negotiate, route_gate, since,
};
use policy::Caller;
use tower::ServiceExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::auth::Refusal;
use crate::error::{ApiError, FoundByRouting};
use crate::event_feed::Stopping;
use crate::measure::{self, Answered};
use crate::query::Query;
use crate::request::Request;
use crate::routes::{ROUTES, Route};
use crate::{ApiState, body, path};

const MIN_HEADER: HeaderName = HeaderName::from_static("x-openstack-ironic-api-minimum-version");
const MAX_HEADER: HeaderName = HeaderName::from_static("x-openstack-ironic-api-maximum-version");
const REQUEST_ID_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("openstack-request-id"), HeaderName::from_static("x-openstack-request-id")];

/// The one route whose answer is not JSON.
const EVENT_STREAM: &str = "/v1/events/stream";

/// The API as a router that can be served, or called without a socket.
pub fn router(state: ApiState) -> Router {
    let state = Arc::new(state);
    let inner = table(&state);
    Router::new()
        .fallback(move |State(state): State<Arc<ApiState>>, request: HttpRequest| {
            front(state, inner, request)
        })
        .with_state(state)
}

/// The routes of the table, with the answers for what is not in it.
fn table(state: &Arc<ApiState>) -> Router {
    let mut router = Router::new();
    let mut rows = ROUTES.iter().peekable();
    while let Some(row) = rows.next() {
        let mut methods = method(row, MethodRouter::new());
        while let Some(next) = rows.next_if(|next| next.path == row.path) {
            methods = method(next, methods);
        }
        router = router.route(row.path, methods);
    }
    router
        .fallback(async |request: HttpRequest| not_there(&request))
        .method_not_allowed_fallback(async |request: HttpRequest| not_allowed(&request))
        .with_state(Arc::clone(state))
}

/// The answer to a path that is none. What is looked for below a thing is told in the manner of handlers.
fn not_there(request: &HttpRequest) -> ApiError {
    const TEXT: &str = "The resource could not be found.";
    let path = request.uri().path();
    let is_below = |row: &Route| path.strip_prefix(row.path).is_some_and(|rest| rest.starts_with('/'));
    let is_top = |row: &&Route| row.path.starts_with("/v1/") && !row.path.contains('{');
    if *request.method() == Method::GET && ROUTES.iter().filter(is_top).any(is_below) {
        return ApiError::not_found(TEXT);
    }
    ApiError::routing(StatusCode::NOT_FOUND, TEXT)
}

/// The answer to a method that the path does not take. Where the path would be right with a name behind it, or without
/// its name, the request only lacks it or has it too much, and that is what is said.
fn not_allowed(request: &HttpRequest) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    let words: Vec<&str> = path.split('/').collect();
    let takes = |wanted: &[&str]| ROUTES.iter().any(|row| row.method == *method && is_at(row.path, wanted));
    let named: Vec<&str> = words.iter().copied().chain(["-"]).collect();
    if [Method::PATCH, Method::DELETE].contains(method) && takes(&named) {
        return ApiError::bad_request(format!(
            "What to {method} has to be named in the path, behind {path}."
        ));
    }
    let listed = format!("/v1/{}", words.last().copied().unwrap_or_default());
    let is_below =
        words.len() > 3 && ROUTES.iter().any(|row| row.method == Method::POST && row.path == listed);
    if is_below && *method != Method::PUT {
        return ApiError::bad_request(format!("Here they are only listed; use {listed}."));
    }
    let is_named = ROUTES.iter().any(|row| row.path.ends_with('}') && is_at(row.path, &words));
    let is_item = is_named && takes(&words[..words.len() - 1]);
    if *method == Method::POST && is_item {
        return ApiError::bad_request("What is created is not named in the path, but in the body.");
    }
    ApiError::routing(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for this resource.")
}

/// Whether a path of these words is one that `pattern` stands for, with a name in each of its open parts.
fn is_at(pattern: &str, words: &[&str]) -> bool {
    let parts: Vec<&str> = pattern.split('/').collect();
    parts.len() == words.len()
        && parts.iter().zip(words).all(|(part, word)| part.starts_with('{') || part == word)
}

fn method(row: &'static Route, methods: MethodRouter<Arc<ApiState>>) -> MethodRouter<Arc<ApiState>> {
    let gate = route_gate(row.method.as_str(), row.path);
    let handler = move |State(state): State<Arc<ApiState>>, params: RawPathParams, request: HttpRequest| {
        let answer = run(row, gate, state, params, request);
        async {
            let mut response = answer.await;
            response.extensions_mut().insert(Answered(row.path));
            response
        }
    };
    methods.merge(on(row.filter(), handler))
}

/// What `front` found out and handlers need.
#[derive(Debug, Clone)]
struct Known {
    caller: Caller,
    version: Version,
    base: String,
}

/// Carries out a request whose route is known.
async fn run(
    row: &'static Route,
    gate: Gate,
    state: Arc<ApiState>,
    params: RawPathParams,
    request: HttpRequest,
) -> Response {
    let (mut parts, payload) = request.into_parts();
    let Some(known) = parts.extensions.remove::<Known>() else {
        return ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The request was not identified.")
            .into_response();
    };
    // The first version is that of agents which name none.
    let is_old_agent = row.path == "/v1/continue_inspection" && known.version == Version::MIN;
    if !gate.admits(known.version) && !is_old_agent {
        let status = StatusCode::from_u16(gate.below).unwrap_or(StatusCode::NOT_FOUND);
        let text = format!("This needs API version 1.{}; this request asks for {}.", gate.min, known.version);
        return if is_looked_up(row) { ApiError::routing(status, text) } else { ApiError::new(status, text) }
            .into_response();
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    if let Err(error) = check(row, &params, &query, known.version) {
        return error.into_response();
    }
    let deadline = state.options.request_deadline;
    let body = body::read(payload, body::limit_of(row.path));
    let body = match tokio::time::timeout(deadline, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return error.into_response(),
        Err(_) => return body::too_slow(deadline).into_response(),
    };
    let request = Request {
        row,
        shown: OnceLock::new(),
        decisions: state.policy.load().decisions(known.caller),
        state,
        version: known.version,
        base: known.base,
        path: parts.uri.path().to_owned(),
        params: params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        query,
        body,
        last_event_id: parts
            .headers
            .get("last-event-id")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        stopping: parts.extensions.remove::<Stopping>(),
    };
    in_time(deadline, (row.handler)(request)).await
}

/// Refuses what no handler has to look at.
fn check(row: &Route, params: &RawPathParams, query: &Query, version: Version) -> Result<(), ApiError> {
    if params.iter().any(|(_, value)| value.contains('\0')) {
        return Err(ApiError::bad_request("The path holds the character NUL."));
    }
    query.check_text()?;
    row.operation.as_ref().map_or(Ok(()), |operation| query.check_row(operation, version))
}

/// The answer, or 503 when it takes too long.
async fn in_time(deadline: Duration, answer: impl Future<Output = impl IntoResponse>) -> Response {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer.into_response(),
        Err(_) => ApiError::unavailable(format!("The request was not done within {} s.", deadline.as_secs()))
            .into_response(),
    }
}

/// Whether a version that lacks the route is told so in the manner of routing: so it is for collections below others,
/// which are looked up, for deploy templates and runbooks. All else tells it in the manner of handlers.
fn is_looked_up(row: &Route) -> bool {
    const COLLECTIONS: [&str; 4] =
        ["/v1/volume/", "/v1/deploy_templates", "/v1/runbooks", "/v1/portgroups/{portgroup_ident}/ports"];
    if COLLECTIONS.iter().any(|start| row.path.starts_with(start)) {
        return true;
    }
    let Some(below) = row.path.strip_prefix("/v1/nodes/{node_ident}/") else { return false };
    // Traits are there in every version; what cannot be done with them yet is a matter of the handler.
    let is_traits = below.starts_with("traits") && row.method == Method::DELETE;
    let is_listed = row.method == Method::GET && ["volume", "vmedia"].contains(&below);
    !(is_traits || is_listed || below.starts_with("states/") || below.starts_with("management/"))
}

/// Takes a request from the socket to an answer with every header it should have.
async fn front(state: Arc<ApiState>, inner: Router, request: HttpRequest) -> Response {
    if request.uri().path() == "/healthcheck" {
        return (StatusCode::OK, "OK").into_response();
    }
    if request.method() == Method::OPTIONS {
        // Whoever asks before a request from a browser is told nothing, and so may not send it.
        return StatusCode::OK.into_response();
    }
    let id = format!("req-{}", Uuid::new_v4());
    let began = tokio::time::Instant::now();
    let method = request.method().clone();
    let node = tracing::field::Empty;
    let span = tracing::info_span!("request", id, %method, path = request.uri().path(), node);
    let negotiated = negotiated(request.headers(), state.options.max_version);
    let answer = answer(&state, inner, request, &negotiated).instrument(span.clone());
    // Who calls, the body and the work each have the deadline; together they cannot take more.
    let mut response = in_time(state.options.request_deadline.saturating_mul(3), answer).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    measure::answered(&method, response.extensions_mut().remove::<Answered>(), status, took);
    let micros = took.as_micros();
    span.in_scope(|| tracing::info!(status, micros, "answered"));
    // What routing refuses never came to know its version.
    let is_lost = negotiated.is_ok() && response.extensions().get::<FoundByRouting>().is_some();
    let headers = response.headers_mut();
    if !is_lost {
        version_headers(headers, &negotiated, state.options.max_version);
    }
    if let Ok(value) = HeaderValue::try_from(id) {
        for name in REQUEST_ID_HEADERS {
            headers.insert(name, value.clone());
        }
    }
    response
}

async fn answer(
    state: &Arc<ApiState>,
    inner: Router,
    mut request: HttpRequest,
    negotiated: &Result<Version, NegotiationError>,
) -> Response {
    let version = negotiated.as_ref().copied().unwrap_or(Version::MIN);
    let strip_json = request.headers().contains_key(VERSION_HEADER)
        && !version.at_least(const { since("no-json-suffix") });
    let path = path::normalise(request.uri().path(), strip_json);
    let caller = if path::is_public(&path) {
        Caller::public()
    } else {
        let deadline = state.options.request_deadline;
        match tokio::time::timeout(deadline, state.authenticator.authenticate(request.headers())).await {
            Ok(Ok(caller)) => caller,
            Ok(Err(refusal)) => return refused(&refusal),
            Err(_) => {
                return ApiError::unavailable("Who calls could not be found out in time.").into_response();
            }
        }
    };
    if let Err(error) = negotiated {
        let (status, text) = (StatusCode::NOT_ACCEPTABLE, error.to_string());
        // The root has no versions, and tells about headers that name none in the manner of handlers.
        return if path == "/" { ApiError::new(status, text) } else { ApiError::routing(status, text) }
            .into_response();
    }
    let kind = if path == EVENT_STREAM { "text/event-stream" } else { "application/json" };
    if !accepts(request.headers(), kind) {
        let text = format!("Only {kind} can be sent.");
        return ApiError::routing(StatusCode::NOT_ACCEPTABLE, text).into_response();
    }
    if let Err(error) = rewrite(&mut request, &path) {
        return error.into_response();
    }
    let base = base(state, request.headers());
    request.extensions_mut().insert(Known { caller, version, base });
    match inner.oneshot(request).await {
        Ok(response) => in_envelope(response),
        Err(never) => match never {},
    }
}

/// Asks for `path` instead, with the same query.
fn rewrite(request: &mut HttpRequest, path: &str) -> Result<(), ApiError> {
    if request.uri().path() == path {
        return Ok(());
    }
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let target: PathAndQuery =
        target.try_into().map_err(|_| ApiError::bad_request("The path of the request is malformed."))?;
    *request.uri_mut() = Uri::from(target);
    Ok(())
}

fn negotiated(headers: &HeaderMap, max: Version) -> Result<Version, NegotiationError> {
    // An empty header is none.
    let text = |name: &str| {
        headers.get(name).map(|value| value.to_str().unwrap_or("?")).filter(|text| !text.is_empty())
    };
    let shared: Vec<&str> =
        headers.get_all(OPENSTACK_HEADER).iter().filter_map(|value| value.to_str().ok()).collect();
    let shared = (!shared.is_empty()).then(|| shared.join(","));
    negotiate(text(VERSION_HEADER), shared.as_deref(), max)
}

/// The three version headers; a version out of range has two of them, a malformed one none.
fn version_headers(headers: &mut HeaderMap, negotiated: &Result<Version, NegotiationError>, max: Version) {
    let mut set = |name: HeaderName, version: Version| {
        if let Ok(value) = HeaderValue::try_from(version.to_string()) {
            headers.insert(name, value);
        }
    };
    if matches!(negotiated, Err(NegotiationError::Malformed { .. })) {
        return;
    }
    set(MIN_HEADER, Version::MIN);
    set(MAX_HEADER, max);
    if let Ok(version) = negotiated {
        set(HeaderName::from_static(VERSION_HEADER), *version);
    }
}

/// Whether the caller takes answers of the media type `kind`; callers that do not say take anything.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let family = format!("{}/*", kind.split('/').next().unwrap_or_default());
    let mut wanted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    wanted.peek().is_none()
        || wanted.flat_map(|value| value.split(',')).any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range.is_empty() || ["*/*", &family, kind].contains(&range)
        })
}

/// Start of links.
fn base(state: &ApiState, headers: &HeaderMap) -> String {
    if let Some(endpoint) = &state.options.public_endpoint {
        return endpoint.trim_end_matches('/').to_owned();
    }
    let scheme = if state.options.tls { "https" } else { "http" };
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// 401 and the like: not in the envelope, as clients know it from other services.
fn refused(refusal: &Refusal) -> Response {
    let body = basic_auth_error(refusal.status.as_u16(), &refusal.text);
    let mut response = (refusal.status, [(CONTENT_TYPE, "application/json")], body).into_response();
    if let Ok(challenge) = HeaderValue::try_from(&refusal.challenge)
        && !challenge.is_empty()
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Gives the envelope to errors of the router itself (a path that is no UTF-8), which have plain text; and the router
/// names the methods of a path even where another answer than 405 was chosen.
fn in_envelope(mut response: Response) -> Response {
    if response.status() == StatusCode::BAD_REQUEST {
        response.headers_mut().remove(ALLOW);
    }
    let is_ours = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let status = response.status();
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = status.canonical_reason().unwrap_or_default();
    ApiError::routing(status, text).allowing(response.headers().get(ALLOW).cloned()).into_response()
}
