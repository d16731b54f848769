//! Fetching from URLs that users name: http and https only, addresses within [`Reach`], a bounded number of
//! redirects, a deadline on every wait. Does not know what an image is.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderValue};
use url::Url;

use crate::address::{Forbidden, Reach, ReachResolver};

/// How the service talks to the servers that users name.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Deadline for a TCP and TLS connection.
    pub connect_deadline: Duration,
    /// Deadline for the head of an answer, and for each next piece of its body.
    pub read_deadline: Duration,
    /// Redirects followed.
    pub max_redirects: u32,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// Certificate authorities (PEM) that are trusted beside the system's.
    pub extra_ca_pem: Vec<Vec<u8>>,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(10),
            read_deadline: Duration::from_secs(30),
            max_redirects: 5,
            reach: Reach::default(),
            extra_ca_pem: Vec::new(),
        }
    }
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum WebSetupError {
    /// An extra certificate authority is not PEM.
    #[error("an extra certificate authority is not a PEM certificate")]
    Authority(#[source] reqwest::Error),
    /// TLS could not be set up (no crypto provider was installed, no system certificates).
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// Why something could not be fetched. URLs are shown without passwords and queries.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WebError {
    /// Not an http(s) URL with a host.
    #[error("'{given}' is not an http or https URL")]
    BadUrl {
        /// As given, cut to 200 characters.
        given: String,
    },
    /// The host has an address out of reach.
    #[error("{url}: the host has the address {address}, which image sources may not have on this site")]
    ForbiddenAddress {
        /// The URL.
        url: String,
        /// The address.
        address: IpAddr,
    },
    /// No connection: name not known, refused, unreachable, TLS failed, or the connect deadline.
    #[error("{url}: no connection")]
    Connect {
        /// The URL.
        url: String,
        /// The cause.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The server broke the protocol or closed the connection before the head of an answer.
    #[error("{url}: no proper answer")]
    Protocol {
        /// The URL.
        url: String,
        /// The cause.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// An answer other than success.
    #[error("{url}: answered {status}")]
    Status {
        /// The URL that answered, after redirects.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// More redirects than are followed, or a circle.
    #[error("{url}: more than {limit} redirects")]
    TooManyRedirects {
        /// The URL first asked.
        url: String,
        /// The limit.
        limit: u32,
    },
    /// A redirect to something that is not followed.
    #[error("{url}: redirects to '{to}', which is not followed")]
    BadRedirect {
        /// The URL that redirected.
        url: String,
        /// Where to, cut to 200 characters.
        to: String,
    },
    /// The server was silent.
    #[error("{url}: nothing came for {after:?}, after {received} bytes")]
    Silent {
        /// The URL.
        url: String,
        /// The read deadline.
        after: Duration,
        /// Bytes of the body that had arrived.
        received: u64,
    },
    /// The body ended before its time.
    #[error("{url}: the transfer broke off after {received} bytes")]
    BrokenOff {
        /// The URL.
        url: String,
        /// Bytes of the body that had arrived.
        received: u64,
        /// The cause.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The body has another length than its head said.
    #[error("{url}: {received} bytes came, the server had announced {announced}")]
    WrongLength {
        /// The URL.
        url: String,
        /// `Content-Length`.
        announced: u64,
        /// Bytes of the body that arrived.
        received: u64,
    },
    /// The server applied a content coding that was not asked for.
    #[error("{url}: sent with content coding '{coding}', which was not asked for")]
    Encoded {
        /// The URL.
        url: String,
        /// `Content-Encoding`.
        coding: String,
    },
    /// A document is larger than it may be.
    #[error("{url}: longer than {limit} bytes")]
    TooLong {
        /// The URL.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
}

impl WebError {
    /// Whether trying again may help with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
            }
            Self::Connect { .. }
            | Self::Protocol { .. }
            | Self::Silent { .. }
            | Self::BrokenOff { .. }
            | Self::WrongLength { .. } => true,
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } | Self::BadRedirect { .. } => "give an http:// or https:// URL of a file",
            Self::ForbiddenAddress { .. } => {
                "use a server in an allowed network, or widen [deploy] image_reach in the service's configuration"
            }
            Self::Connect { .. } => {
                "check from the service's host that the name resolves, the port is open and the certificate is trusted"
            }
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => {
                    "the server wants credentials or denies access: check the URL and its permissions"
                }
                404 | 410 => "check the URL for a misspelling and that the file is still there",
                429 | 500..=599 => "the server has trouble: try again later, or look at its log",
                _ => "try the URL with another client to see what the server wants",
            },
            Self::TooManyRedirects { .. } => "the server redirects in a circle: use the final URL",
            Self::Protocol { .. }
            | Self::Silent { .. }
            | Self::BrokenOff { .. }
            | Self::WrongLength { .. } => {
                "the server or the way to it is unreliable: look at the server's log, then try again"
            }
            Self::Encoded { .. } => "configure the server to send the file as it is",
            Self::TooLong { .. } => "check that the URL is that of the right file",
        }
    }
}

/// Continues a broken transfer: from which byte, if the content is still what `validator` names (RFC 9110, 13.1.5).
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    pub(crate) from: u64,
    pub(crate) validator: HeaderValue,
}

/// What is asked for beside the URL.
#[derive(Debug, Default)]
pub(crate) struct Ask<'a> {
    /// Only the rest of a broken transfer.
    pub(crate) resume: Option<&'a Resume>,
    /// A redirect from https to http may be followed: right only for bytes whose digest is known already.
    pub(crate) tls_may_end: bool,
}

/// The head of a successful answer; its body follows by [`Answer::next`].
#[derive(Debug)]
pub(crate) struct Answer {
    response: reqwest::Response,
    shown: String,
    read_deadline: Duration,
    received: u64,
}

/// Fetches from URLs that users name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Web {
    client: reqwest::Client,
    options: Arc<WebOptions>,
}

impl Web {
    /// Builds the client. The process must have a default rustls crypto provider.
    ///
    /// # Errors
    /// When an extra authority is no PEM certificate or TLS cannot be set up.
    pub fn new(options: WebOptions) -> Result<Self, WebSetupError> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_deadline)
            .dns_resolver(ReachResolver(options.reach))
            .pool_max_idle_per_host(2)
            .user_agent(concat!("wrought/", env!("CARGO_PKG_VERSION")));
        let authorities = options.extra_ca_pem.iter().map(|pem| reqwest::Certificate::from_pem(pem));
        let authorities = authorities.collect::<Result<Vec<_>, _>>().map_err(WebSetupError::Authority)?;
        if !authorities.is_empty() {
            builder = builder.tls_certs_merge(authorities);
        }
        let client = builder.build().map_err(WebSetupError::Client)?;
        Ok(Self { client, options: Arc::new(options) })
    }

    /// A whole small document of at most `limit` bytes.
    ///
    /// # Errors
    /// Any [`WebError`].
    pub async fn document(&self, url: &Url, limit: usize) -> Result<Bytes, WebError> {
        let mut answer = self.get(url, &Ask::default()).await?;
        let too_long = || WebError::TooLong { url: shown(url), limit };
        if answer.length().is_some_and(|length| length > limit as u64) {
            return Err(too_long());
        }
        let mut document = Vec::new();
        while let Some(piece) = answer.next().await? {
            if document.len() + piece.len() > limit {
                return Err(too_long());
            }
            document.extend_from_slice(&piece);
        }
        Ok(document.into())
    }

    /// Asks for `url` and follows redirects to a successful answer.
    pub(crate) async fn get(&self, url: &Url, ask: &Ask<'_>) -> Result<Answer, WebError> {
        let mut at = url.clone();
        for _hop in 0..=self.options.max_redirects {
            let response = self.ask(&at, ask.resume).await?;
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                at = redirect_target(&at, response.headers(), ask.tls_may_end)?;
                continue;
            }
            let shown = shown(&at);
            if !status.is_success() {
                return Err(WebError::Status { url: shown, status });
            }
            if let Some(coding) = response.headers().get(header::CONTENT_ENCODING)
                && coding != "identity"
            {
                let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
                return Err(WebError::Encoded { url: shown, coding });
            }
            return Ok(Answer { response, shown, read_deadline: self.options.read_deadline, received: 0 });
        }
        Err(WebError::TooManyRedirects { url: shown(url), limit: self.options.max_redirects })
    }

    async fn ask(&self, url: &Url, resume: Option<&Resume>) -> Result<reqwest::Response, WebError> {
        self.check_literal_address(url)?;
        // The bytes are hashed as the server stores them: no coding on the way.
        let mut request = self.client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if let Some(resume) = resume {
            request = request
                .header(header::RANGE, format!("bytes={}-", resume.from))
                .header(header::IF_RANGE, resume.validator.clone());
        }
        let deadline = self.options.connect_deadline + self.options.read_deadline;
        match tokio::time::timeout(deadline, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(send_error(url, error)),
            Err(_elapsed) => Err(WebError::Silent { url: shown(url), after: deadline, received: 0 }),
        }
    }

    /// Names go through [`ReachResolver`]; literal addresses never reach a resolver.
    fn check_literal_address(&self, url: &Url) -> Result<(), WebError> {
        let address: IpAddr = match url.host() {
            Some(url::Host::Ipv4(address)) => address.into(),
            Some(url::Host::Ipv6(address)) => address.into(),
            Some(url::Host::Domain(_)) => return Ok(()),
            None => return Err(WebError::BadUrl { given: cut(url.as_str()) }),
        };
        if self.options.reach.allows(address) {
            return Ok(());
        }
        Err(WebError::ForbiddenAddress { url: shown(url), address })
    }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// `Content-Length` of this answer.
    pub(crate) fn length(&self) -> Option<u64> {
        self.response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The next piece of the body; `None` at its proper end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, WebError> {
        let received = self.received;
        let url = || self.shown.clone();
        let announced = self.length();
        match tokio::time::timeout(self.read_deadline, self.response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                self.received += piece.len() as u64;
                Ok(Some(piece))
            }
            Ok(Ok(None)) => match announced {
                Some(announced) if announced != received => {
                    Err(WebError::WrongLength { url: url(), announced, received })
                }
                _ => Ok(None),
            },
            Ok(Err(error)) => {
                Err(WebError::BrokenOff { url: url(), received, source: Arc::new(error.without_url()) })
            }
            Err(_elapsed) => Err(WebError::Silent { url: url(), after: self.read_deadline, received }),
        }
    }
}

fn redirect_target(from: &Url, headers: &HeaderMap, tls_may_end: bool) -> Result<Url, WebError> {
    let location = headers.get(header::LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let location = String::from_utf8_lossy(location);
    let refuse = || WebError::BadRedirect { url: shown(from), to: cut(&location) };
    if location.is_empty() {
        return Err(refuse());
    }
    let to = from.join(&location).map_err(|_| refuse())?;
    // Going from https to http would let anybody on the way choose the content of a checksum file.
    let downgrade = from.scheme() == "https" && to.scheme() == "http";
    if !is_web(&to) || (downgrade && !tls_may_end) {
        return Err(refuse());
    }
    Ok(to)
}

fn send_error(url: &Url, error: reqwest::Error) -> WebError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return WebError::ForbiddenAddress { url: shown(url), address: forbidden.address };
        }
        cause = inner.source();
    }
    let connect = error.is_connect();
    let (url, source) = (shown(url), Arc::new(error.without_url()));
    if connect { WebError::Connect { url, source } } else { WebError::Protocol { url, source } }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Parses an http(s) URL.
///
/// # Errors
/// [`WebError::BadUrl`] for anything else.
pub fn parse_url(text: &str) -> Result<Url, WebError> {
    let bad = || WebError::BadUrl { given: cut(text) };
    let url = Url::parse(text.trim()).map_err(|_| bad())?;
    if is_web(&url) { Ok(url) } else { Err(bad()) }
}

/// A URL for messages: no user, password, fragment, and no query (temporary URLs carry their signature there).
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // Both only fail for URLs that cannot have a user, where there is nothing to remove.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    let query = shown.query().is_some();
    shown.set_query(None);
    if query { format!("{shown}?…") } else { shown.to_string() }
}

/// Text from outside, shortened for messages.
pub(crate) fn cut(text: &str) -> String {
    const LIMIT: usize = 200;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    text.chars().take(LIMIT).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        let url = Url::parse("https://me:pw@host:8443/a/b.qcow2?temp_url_sig=abc#x").unwrap();
        assert_eq!(shown(&url), "https://host:8443/a/b.qcow2?…");
        assert_eq!(shown(&Url::parse("http://host/a").unwrap()), "http://host/a");
    }

    #[test]
    fn only_the_web_is_fetched() {
        for text in ["http://h/x", " https://h/x "] {
            parse_url(text).unwrap();
        }
        for text in ["file:///etc/passwd", "ftp://h/x", "http://", "x", "", "data:,x", "glance://id"] {
            assert!(matches!(parse_url(text), Err(WebError::BadUrl { .. })), "{text}");
        }
    }

    #[test]
    fn redirects_stay_on_the_web_and_do_not_lose_tls() {
        let target = |from: &str, to: &str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_str(to).unwrap())]);
            redirect_target(&Url::parse(from).unwrap(), &headers, false).map(|url| url.to_string())
        };
        assert_eq!(target("http://a/b/c", "d").unwrap(), "http://a/b/d");
        assert_eq!(target("http://a/b/c", "https://x/").unwrap(), "https://x/");
        for (from, to) in
            [("http://a/", "file:///etc/shadow"), ("https://a/", "http://a/"), ("http://a/", "")]
        {
            assert!(matches!(target(from, to), Err(WebError::BadRedirect { .. })), "{from} {to}");
        }
        let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static("http://a/"))]);
        redirect_target(&Url::parse("https://a/").unwrap(), &headers, true).unwrap();
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(cut(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(cut(&"ä".repeat(201)).chars().count(), 201);
    }
}
