//! What the API measures of itself.

use metrics::{Counter, Exposed, Histogram};
use std::time::Duration;

static REQUESTS: Counter =
    Counter::new("wrought_http_requests_total", "Requests to the API.", &["method", "route", "status"]);
static SECONDS: Histogram = Histogram::new(
    "wrought_http_request_seconds",
    "Time from the head of a request to the head of its answer.",
    &["method", "route"],
);

/// The families, to be shown.
pub const METRICS: &[&dyn Exposed] = &[&REQUESTS, &SECONDS];

/// The route that answered; goes with the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered(pub(crate) &'static str);

/// Takes note of an answer. A method that is none of the API's counts as `other`, so that callers cannot make series.
pub(crate) fn answered(method: &http::Method, route: Option<Answered>, status: u16, took: Duration) {
    let method = match *method {
        http::Method::GET | http::Method::POST | http::Method::PUT | http::Method::PATCH => method.as_str(),
        http::Method::DELETE => "DELETE",
        _ => "other",
    };
    let route = route.map_or("none", |route| route.0);
    REQUESTS.add(&[method, route, &status.to_string()]);
    SECONDS.observe(&[method, route], took);
}
