//! Successful answers.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::error::ApiError;

/// What a handler gives back.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    location: Option<String>,
    /// What the body is, and the body.
    body: Option<(&'static str, Vec<u8>)>,
    events: Option<Body>,
}

/// The usual body.
const JSON: &str = "application/json";

impl Reply {
    /// 200 with a JSON body.
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, location: None, body: Some((JSON, body.into())), events: None }
    }

    /// 200 with a file.
    pub(crate) fn file(body: impl Into<Vec<u8>>) -> Self {
        let body = Some(("application/octet-stream", body.into()));
        Self { status: StatusCode::OK, location: None, body, events: None }
    }

    /// 201 with the object made and where it is.
    pub(crate) fn created(location: String, body: Vec<u8>) -> Self {
        let body = Some((JSON, body));
        Self { status: StatusCode::CREATED, location: Some(location), body, events: None }
    }

    /// 200 with events until the reader goes away. Proxies are asked to pass them on at once.
    pub(crate) fn events(body: Body) -> Self {
        Self { status: StatusCode::OK, location: None, body: None, events: Some(body) }
    }

    /// 202 without a body.
    pub(crate) fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, location: None, body: None, events: None }
    }

    /// 202 with a JSON body.
    pub(crate) fn accepted_with(body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::json(body) }
    }

    /// 204.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, location: None, body: None, events: None }
    }

    /// The same with the URL to look at next.
    pub(crate) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        if let Some(body) = self.events {
            let headers = [
                (CONTENT_TYPE, "text/event-stream"),
                (CACHE_CONTROL, "no-cache"),
                (HeaderName::from_static("x-accel-buffering"), "no"),
            ];
            return (self.status, headers, body).into_response();
        }
        let mut response = match self.body {
            Some((kind, body)) => (self.status, [(CONTENT_TYPE, kind)], body).into_response(),
            None => self.status.into_response(),
        };
        if let Some(location) = self.location.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
