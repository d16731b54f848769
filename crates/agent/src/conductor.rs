//! The API as the agent sees it: version, lookup, heartbeat, inspection, progress. Requests and their outcomes only; when
//! they are sent is `session`'s matter.

use crate::fetch::{Fetch, FetchError, Fetcher};
use agent_api::{
    Fault, Heartbeat, InspectionReport, LookupReply, ProgressReport,
    version::{self, ApiRoot, ApiVersion, FALLBACK},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::time::Duration;

/// Longest answer of the API, in bytes.
const LONGEST_REPLY: usize = 4 << 20;

/// Why the API did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer.
    #[error("the API cannot be reached")]
    Fetch(#[from] FetchError),
    /// An answer, but not the wanted one.
    #[error("the API answered {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says, cut to 300 characters.
        text: String,
    },
    /// An answer that is not understood.
    #[error("the API's answer is not what the protocol says")]
    BadReply(#[from] serde_json::Error),
}

impl ApiError {
    /// Whether the node is locked: worth a retry soon.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }
}

/// One API endpoint with its version.
#[derive(Clone, Debug)]
pub struct Conductor {
    fetcher: Fetcher,
    base: String,
    highest: ApiVersion,
    request_id: Option<String>,
    limit: Duration,
}

impl Conductor {
    /// An endpoint that was not yet spoken to.
    pub fn new(fetcher: Fetcher, base: &str, request_id: Option<String>, limit: Duration) -> Self {
        Self { fetcher, base: base.trim_end_matches('/').to_owned(), highest: FALLBACK, request_id, limit }
    }

    /// Base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The highest version the API speaks, so far as known.
    pub fn highest(&self) -> ApiVersion {
        self.highest
    }

    /// Fixes the version instead of asking for it.
    pub fn set_version(&mut self, highest: ApiVersion) {
        self.highest = highest;
    }

    /// `GET /`: learns the API's highest version. An answer without one leaves the fallback in place.
    pub async fn discover(&mut self) -> Result<(), ApiError> {
        let (status, body) = self.call(Method::GET, "/", None, Bytes::new()).await?;
        let found = serde_json::from_slice::<ApiRoot>(&body)
            .ok()
            .and_then(|root| root.default_version.version.parse().ok());
        if let Some(highest) = found {
            self.highest = highest;
        } else {
            tracing::warn!(status = status.as_u16(), "the API does not tell its version");
        }
        Ok(())
    }

    /// `GET /v1/lookup`.
    pub async fn lookup(&self, macs: &[String], node_uuid: Option<&str>) -> Result<LookupReply, ApiError> {
        let addresses = macs.join(",");
        let node = node_uuid.map(|uuid| format!("&node_uuid={uuid}")).unwrap_or_default();
        let path = format!("/v1/lookup?addresses={addresses}{node}");
        let outcome = self.call(Method::GET, &path, Some(self.highest.for_lookup()), Bytes::new()).await?;
        Ok(serde_json::from_slice(&expect(StatusCode::OK, outcome)?)?)
    }

    /// `POST /v1/heartbeat/{uuid}`.
    pub async fn heartbeat(&self, node_uuid: &str, beat: &Heartbeat) -> Result<(), ApiError> {
        let version = self.highest.for_heartbeat();
        let body = serde_json::to_vec(&beat.clone().for_version(version))?;
        let path = format!("/v1/heartbeat/{node_uuid}");
        let outcome = self.call(Method::POST, &path, Some(version), body.into()).await?;
        expect(StatusCode::ACCEPTED, outcome).map(drop)
    }

    /// Posts how far a command is, to the path that a Wrought server named.
    pub async fn progress(&self, path: &str, report: &ProgressReport) -> Result<(), ApiError> {
        let (status, body) = self.call(Method::POST, path, None, serde_json::to_vec(report)?.into()).await?;
        if status.is_success() { Ok(()) } else { Err(refused(status, &body)) }
    }

    /// Sends what inspection found; returns the node's UUID. Version 1.1 by the lack of a header, as this call always was.
    pub async fn inspected(&self, url: &str, report: &InspectionReport) -> Result<Option<String>, ApiError> {
        let (status, body) =
            self.send(Method::POST, url.to_owned(), None, serde_json::to_vec(report)?.into()).await?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        let reply: Value = serde_json::from_slice(&body)?;
        let uuid = reply.get("uuid").or_else(|| reply.pointer("/node/uuid"));
        Ok(uuid.and_then(Value::as_str).map(str::to_owned))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        version: Option<ApiVersion>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        self.send(method, format!("{}{path}", self.base), version, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: String,
        version: Option<ApiVersion>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json.clone());
        headers.insert(header::ACCEPT, json);
        let mut put = |name: &str, value: &str| {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            {
                headers.insert(name, value);
            }
        };
        if let Some(version) = version {
            put(version::VERSION_HEADER, &version.to_string());
        }
        if let Some(id) = &self.request_id {
            put(version::REQUEST_ID_HEADER, id);
        }
        let fetch = Fetch { method, url, headers, body, limit: self.limit };
        Ok(self.fetcher.load(&fetch, LONGEST_REPLY).await?)
    }
}

fn refused(status: StatusCode, body: &[u8]) -> ApiError {
    ApiError::Refused { status: status.as_u16(), text: Fault::text_of(body).chars().take(300).collect() }
}

fn expect(wanted: StatusCode, (status, body): (StatusCode, Bytes)) -> Result<Bytes, ApiError> {
    if status == wanted { Ok(body) } else { Err(refused(status, &body)) }
}
