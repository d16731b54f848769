//! The agent's HTTP client: one request per connection, http and https, redirects, deadlines, bounds. Nothing more, since
//! a ramdisk is loaded over the network by firmware.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Why there is no answer. URLs are left out of it: they may hold credentials.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute http or https URL.
    #[error("not an http or https URL")]
    BadUrl,
    /// Name or connection.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server is not trusted, or speaks no TLS.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not HTTP, or cut off.
    #[error("the connection to {host} broke")]
    Http {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// Nothing came.
    #[error("no answer from {host} within {limit:?}")]
    Late {
        /// Host and port.
        host: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// More than is allowed.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// In circles.
    #[error("too many redirects")]
    Redirects,
}

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// GET or POST.
    pub method: Method,
    /// Absolute.
    pub url: String,
    /// Headers beside `Host`.
    pub headers: HeaderMap,
    /// Body of a POST.
    pub body: Bytes,
    /// Longest wait for the answer's head.
    pub limit: Duration,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

fn authority(uri: &Uri) -> Result<(String, u16, bool), FetchError> {
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(FetchError::BadUrl),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(FetchError::BadUrl)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 }), secure))
}

impl Fetcher {
    /// A client that trusts by `tls`.
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls }
    }

    /// Sends a request and waits for the head of the answer. GETs follow redirects; credentials do not follow them to
    /// another host.
    pub async fn send(&self, fetch: &Fetch) -> Result<Response<Incoming>, FetchError> {
        let mut uri: Uri = fetch.url.parse().map_err(|_| FetchError::BadUrl)?;
        let mut headers = fetch.headers.clone();
        for _ in 0..=REDIRECTS {
            let response = self.exchange(fetch, &uri, &headers).await?;
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let (true, Some(location)) = (response.status().is_redirection(), location) else {
                return Ok(response);
            };
            if fetch.method != Method::GET || response.status() == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let next = resolve(&uri, location)?;
            if next.authority() != uri.authority() || next.scheme() != uri.scheme() {
                headers.remove(header::AUTHORIZATION);
            }
            uri = next;
        }
        Err(FetchError::Redirects)
    }

    /// Sends a request and reads all of the answer, of at most `bound` bytes.
    pub async fn load(&self, fetch: &Fetch, bound: usize) -> Result<(StatusCode, Bytes), FetchError> {
        let (head, body) = self.send(fetch).await?.into_parts();
        let host = host_of(&fetch.url);
        let late = |_| FetchError::Late { host: host.clone(), limit: fetch.limit };
        let whole = timeout(fetch.limit, read_bounded(body, bound, &host)).await.map_err(late)??;
        Ok((head.status, whole))
    }

    async fn exchange(
        &self,
        fetch: &Fetch,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Response<Incoming>, FetchError> {
        let (host, port, secure) = authority(uri)?;
        let name = format!("{host}:{port}");
        let late = |_| FetchError::Late { host: name.clone(), limit: fetch.limit };
        let work = async {
            let stream = self.connect(&host, port, secure).await?;
            let broke = |source| FetchError::Http { host: name.clone(), source };
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
            // Ends with the response's body, or when that is dropped.
            tokio::spawn(connection);
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            let mut request = Request::builder().method(&fetch.method).uri(path);
            if let Some(map) = request.headers_mut() {
                map.extend(headers.clone());
                let shown = uri
                    .authority()
                    .map_or(name.as_str(), |a| a.as_str().rsplit('@').next().unwrap_or_default());
                map.insert(header::HOST, shown.parse().map_err(|_| FetchError::BadUrl)?);
                map.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            }
            let request = request.body(Full::new(fetch.body.clone())).map_err(|_| FetchError::BadUrl)?;
            sender.send_request(request).await.map_err(broke)
        };
        timeout(fetch.limit, work).await.map_err(late)?
    }

    async fn connect(&self, host: &str, port: u16, secure: bool) -> Result<Box<dyn Stream>, FetchError> {
        let name = format!("{host}:{port}");
        let failed = |source| FetchError::Connect { host: name.clone(), source };
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        if !secure {
            return Ok(Box::new(stream));
        }
        let server = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::BadUrl)?;
        let stream = TlsConnector::from(self.tls.clone()).connect(server, stream).await;
        Ok(Box::new(stream.map_err(|source| FetchError::Tls { host: name.clone(), source })?))
    }
}

/// Host and port of a URL, for messages; never its credentials, path or query.
pub fn host_of(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    let parts = uri.as_ref().and_then(|uri| authority(uri).ok());
    parts.map_or_else(|| "an unreadable URL".to_owned(), |(host, port, _)| format!("{host}:{port}"))
}

/// Reads a body of at most `bound` bytes.
pub async fn read_bounded<B>(mut body: B, bound: usize, host: &str) -> Result<Bytes, FetchError>
where
    B: hyper::body::Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| FetchError::Http { host: host.to_owned(), source })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > bound {
            return Err(FetchError::TooLong { limit: bound });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// The target of a redirect: an absolute URL, or a path on the same host.
fn resolve(base: &Uri, location: &str) -> Result<Uri, FetchError> {
    let target: Uri = location.parse().map_err(|_| FetchError::BadUrl)?;
    if target.scheme().is_some() {
        return Ok(target);
    }
    let (Some(scheme), Some(authority), true) = (base.scheme(), base.authority(), location.starts_with('/'))
    else {
        return Err(FetchError::BadUrl);
    };
    let parts = Uri::builder().scheme(scheme.clone()).authority(authority.clone());
    parts.path_and_query(location).build().map_err(|_| FetchError::BadUrl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_secrets() {
        assert_eq!(host_of("http://user:secret@h/path?token=x"), "h:80");
        assert_eq!(host_of("https://[fd22::1]:8443/x"), "fd22::1:8443");
        assert_eq!(host_of("ftp://h/"), "an unreadable URL");
    }

    #[test]
    fn redirects_are_resolved() {
        let base: Uri = "http://h:8/a/b".parse().expect("URI");
        assert_eq!(resolve(&base, "/c?d").expect("path").to_string(), "http://h:8/c?d");
        assert_eq!(resolve(&base, "https://x/").expect("absolute").to_string(), "https://x/");
        assert!(resolve(&base, "c").is_err() && resolve(&base, "http://").is_err());
    }
}
