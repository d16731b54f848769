//! Every failure as an HTTP answer: the one place that maps them.

use api_types::{BodyError, Invalid, envelope, flat_fault, routing_error};
use axum::response::{IntoResponse, Response};
use conductor_api::RequestError;
use db::DbError;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

/// What a request is answered with when it fails.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    text: String,
    shape: Shape,
    allow: Option<HeaderValue>,
}

/// Goes with answers to requests that were refused before any handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundByRouting;

/// How the body tells the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Found by a handler.
    Envelope,
    /// Found before any handler.
    Routing,
    /// About the size or depth of the body.
    Flat,
}

impl ApiError {
    /// A failure that a handler found.
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), shape: Shape::Envelope, allow: None }
    }

    /// 400.
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 403.
    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// 404.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 406.
    pub(crate) fn not_acceptable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, text)
    }

    /// 409.
    pub(crate) fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 503.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// A failure found before any handler.
    pub(crate) fn routing(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), shape: Shape::Routing, allow: None }
    }

    /// A body that is too large or too deep.
    pub(crate) fn body(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), shape: Shape::Flat, allow: None }
    }

    /// The same with a list of the methods that would do.
    pub(crate) fn allowing(mut self, methods: Option<HeaderValue>) -> Self {
        self.allow = methods;
        self
    }

    /// The same failure under another status, where a route answers differently from the rest.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// What was wrong, as callers are told.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The HTTP status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status.as_u16();
        if self.status.is_server_error() {
            tracing::error!(status, error = self.text, "a request failed");
        }
        let body = match self.shape {
            Shape::Envelope => envelope(status, &self.text),
            Shape::Routing => {
                routing_error(status, self.status.canonical_reason().unwrap_or_default(), &self.text)
            }
            Shape::Flat => flat_fault(status, &self.text),
        };
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], body).into_response();
        if matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // The rest of the body is not read, so the connection cannot be used again: clients have to know.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.shape != Shape::Envelope {
            response.extensions_mut().insert(FoundByRouting);
        }
        if let Some(methods) = self.allow {
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(error: Invalid) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Invalid(_) => Self::bad_request(error.to_string()),
            BodyError::TooNew { .. } | BodyError::Gone { .. } => Self::not_acceptable(error.to_string()),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let status = match &error {
            DbError::Duplicate { .. } | DbError::Conflict { .. } => StatusCode::CONFLICT,
            DbError::EventsGone { .. } | DbError::EventsAhead { .. } => StatusCode::GONE,
            DbError::NotFound { .. } | DbError::MarkerNotFound { .. } => StatusCode::NOT_FOUND,
            DbError::MissingReference { .. } | DbError::TooManyValues { .. } | DbError::InUse { .. } => {
                StatusCode::BAD_REQUEST
            }
            error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        }
        Self::new(status, error.to_string())
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let status = match &error {
            RequestError::NotFound(_) | RequestError::LookupNotFound => StatusCode::NOT_FOUND,
            RequestError::Locked { .. } | RequestError::Conflict(_) => StatusCode::CONFLICT,
            RequestError::Invalid(_)
            | RequestError::Unsupported(_)
            | RequestError::BadToken(_)
            | RequestError::Hardware { transient: false, .. } => StatusCode::BAD_REQUEST,
            RequestError::Forbidden(_) => StatusCode::FORBIDDEN,
            RequestError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            RequestError::Hardware { transient: true, .. } | RequestError::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}
