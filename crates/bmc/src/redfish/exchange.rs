//! One request and its answer over HTTP: deadlines, bounds, redirects, repetition. It does not know what is asked.

use super::error::Error;
use super::login::Proof;
use super::turn::Turn;
use core::fmt;
use redfish::{DocumentError, Fault, MAX_DOCUMENT, ResourcePath, TOKEN_HEADER, etag_of, parse};
use reqwest::header::{ACCEPT, ETAG, HeaderMap, HeaderName, IF_MATCH, LOCATION};
use reqwest::{Method, Response, Url};
use serde_json::{Value, json};
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use tokio::time::sleep;

/// Redirects on the BMC itself that are followed: to and from trailing slashes, from names to ids.
const MAX_REDIRECTS: usize = 3;

/// Something to ask.
pub(super) struct Request {
    method: Method,
    path: ResourcePath,
    body: Option<Value>,
    if_match: Option<String>,
    /// It may be sent again when it is not known whether it was done.
    repeatable: bool,
}

impl fmt::Debug for Request {
    /// Without the body: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Request {
    pub(super) fn get(path: &ResourcePath) -> Self {
        Self { method: Method::GET, path: path.clone(), body: None, if_match: None, repeatable: true }
    }

    pub(super) fn post(path: &ResourcePath, body: Value, repeatable: bool) -> Self {
        Self { method: Method::POST, path: path.clone(), body: Some(body), if_match: None, repeatable }
    }

    pub(super) fn patch(path: &ResourcePath, body: &Value, if_match: Option<&str>) -> Self {
        Self {
            method: Method::PATCH,
            path: path.clone(),
            body: Some(body.clone()),
            if_match: if_match.map(str::to_owned),
            repeatable: true,
        }
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

/// What came back, good or bad.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) token: Option<String>,
    pub(super) location: Option<ResourcePath>,
    body: Result<Value, DocumentError>,
}

impl Reply {
    pub(super) fn fault(&self) -> Fault {
        let nothing = json!({});
        Fault::from_value(self.status, self.body.as_ref().unwrap_or(&nothing))
    }
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) location: Option<ResourcePath>,
    pub(super) value: Value,
}

impl Turn<'_> {
    /// Asks with a login; logs in once more when the BMC has forgotten the session.
    pub(super) async fn exchange(&mut self, request: Request) -> Result<Answer, Error> {
        let proof = self.proof().await?;
        let mut reply = self.send_patiently(&request, &proof).await?;
        if reply.status == 401 && proof.is_session() {
            self.slot.session = None;
            let proof = self.proof().await?;
            reply = self.send_patiently(&request, &proof).await?;
        }
        if reply.status == 401 {
            self.slot.session = None;
            return Err(self.login_refused(reply.fault()));
        }
        self.accept(reply, request.is_read())
    }

    /// Takes the document out of a good reply. After a change what counts is the status: there are BMCs that answer with
    /// text, or with a page.
    pub(super) fn accept(&self, reply: Reply, needs_document: bool) -> Result<Answer, Error> {
        if !(200..300).contains(&reply.status) {
            let (address, operation) = (self.address().clone(), self.operation);
            return Err(Error::Refused { address, operation, source: reply.fault() });
        }
        let Reply { status, etag, location, body, .. } = reply;
        let value = match body {
            Ok(value) => value,
            Err(source) if needs_document => return Err(self.unusable(source)),
            Err(_) => json!({}),
        };
        let etag = etag_of(etag.as_deref(), &value);
        Ok(Answer { status, etag, location, value })
    }

    /// Sends again while the BMC says that it is not ready, and when a repeatable request's connection broke.
    pub(super) async fn send_patiently(&self, request: &Request, proof: &Proof) -> Result<Reply, Error> {
        let mut pause = self.options().first_pause;
        let mut left = self.options().attempts.max(1);
        loop {
            left -= 1;
            let outcome = self.send(request, proof).await;
            let again = match &outcome {
                Ok(reply) if reply.status < 400 => false,
                Ok(reply) => {
                    let fault = reply.fault();
                    fault.is_postponement()
                        || (request.is_read() && fault.meaning() == redfish::Meaning::NotNow)
                }
                Err(Error::Broken { .. }) => request.repeatable,
                Err(_) => false,
            };
            if !again || left == 0 {
                return outcome;
            }
            tracing::debug!(bmc = %self.address(), path = %request.path, ?pause, "asked again after a pause");
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// Sends once, and follows redirects on the same origin.
    async fn send(&self, request: &Request, proof: &Proof) -> Result<Reply, Error> {
        let mut url = self.address().url(&request.path);
        for _hop in 0..=MAX_REDIRECTS {
            let response = self.send_to(url.clone(), request, proof).await?;
            let status = response.status().as_u16();
            tracing::trace!(bmc = %self.address(), method = %request.method, path = url.path(), status, "answered");
            // 301 to 303 turn a change into a question (RFC 9110 section 15.4), so they are for questions only.
            let follows = matches!(status, 307 | 308) || (request.is_read() && matches!(status, 301..=303));
            let Some(next) = follows.then(|| location(&url, response.headers())).flatten() else {
                return self.take(response).await;
            };
            if !self.address().is_origin_of(&next) {
                let (address, to) = (self.address().clone(), next.origin().ascii_serialization());
                return Err(Error::Redirected { address, to: to.chars().take(128).collect() });
            }
            url = next;
        }
        let fault = Fault { status: 310, messages: Vec::new() };
        Err(Error::Refused { address: self.address().clone(), operation: self.operation, source: fault })
    }

    async fn send_to(&self, url: Url, request: &Request, proof: &Proof) -> Result<Response, Error> {
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .timeout(self.options().answer)
            .header(ACCEPT, "application/json")
            .header(HeaderName::from_static("odata-version"), "4.0");
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        if let Some(tag) = &request.if_match {
            builder = builder.header(IF_MATCH, tag);
        }
        proof.put(builder).send().await.map_err(|error| self.explain(error))
    }

    /// Reads an answer of bounded length.
    async fn take(&self, mut response: Response) -> Result<Reply, Error> {
        let text = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let location = text(LOCATION.as_str()).and_then(|link| self.address().path_of(&link));
        let (etag, token) = (text(ETAG.as_str()), text(TOKEN_HEADER));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(error))? {
            if body.len() + chunk.len() > MAX_DOCUMENT {
                let body = Err(DocumentError::TooLong { limit: MAX_DOCUMENT });
                return Ok(Reply { status, etag, token, location, body });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, etag, token, location, body: parse(&body) })
    }

    /// What the caller is told about a failed request. URLs are in the address and the operation already.
    fn explain(&self, error: reqwest::Error) -> Error {
        let (address, operation) = (self.address().clone(), self.operation);
        let error = error.without_url();
        if is_untrusted(&error) {
            return Error::Certificate { address, source: Arc::new(error) };
        }
        if error.is_connect() {
            return Error::Unreachable { address, source: Arc::new(error) };
        }
        if error.is_timeout() {
            return Error::Slow { address, operation, waited: self.options().answer };
        }
        Error::Broken { address, operation, source: Arc::new(error) }
    }
}

fn location(base: &Url, headers: &HeaderMap) -> Option<Url> {
    base.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// Whether TLS failed over the certificate. The error of TLS is wrapped into errors of I/O, whose causes skip what they
/// wrap.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
