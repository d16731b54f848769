//! Successful answers.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};

use crate::error::ApiError;

/// What a handler gives back.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    location: Option<String>,
    body: Option<Vec<u8>>,
}

impl Reply {
    /// 200 with a JSON body.
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, location: None, body: Some(body.into()) }
    }

    /// 201 with the object made and where it is.
    pub(crate) fn created(location: String, body: Vec<u8>) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), body: Some(body) }
    }

    /// 202 without a body.
    pub(crate) fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, location: None, body: None }
    }

    /// 204.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, location: None, body: None }
    }

    /// The same with the URL to look at next.
    pub(crate) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, [(CONTENT_TYPE, "application/json")], body).into_response(),
            None => self.status.into_response(),
        };
        if let Some(location) = self.location.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
