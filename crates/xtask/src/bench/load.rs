//! Load: connections that send one request after the other, and how long each took.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::usage::{self, Memory};

/// The version that requests ask for: the newest that the stock Ironic knows, too.
const VERSION: &str = "1.95";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server under load.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    address: SocketAddr,
    /// The processes whose time counts, each with all below it.
    trees: Vec<u32>,
    /// Counts what was sent, so that each request may name something else.
    sent: AtomicU64,
}

impl Target {
    pub(super) fn new(name: &'static str, port: u16, trees: Vec<u32>) -> Self {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Self { name, address, trees, sent: AtomicU64::new(0) }
    }

    /// Processor time so far: of the server's own process, and of all that work for it.
    pub(super) fn processor(&self) -> Result<(Duration, Duration)> {
        let mut times = self.trees.iter().map(|pid| usage::processor_time(*pid));
        let own = times.next().context("a target has a process")??;
        let others: Duration = times.sum::<Result<Duration>>()?;
        Ok((own, own + others))
    }

    /// Memory of the server's own process.
    pub(super) fn memory(&self) -> Result<Memory> {
        usage::memory(*self.trees.first().context("a target has a process")?)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// JSON; empty for none.
    pub(super) body: String,
    /// Whether the pages that follow are part of it.
    pub(super) walk: bool,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: String::new(), walk: false }
    }

    pub(super) fn walk(path: impl Into<String>) -> Self {
        Self { walk: true, ..Self::get(path) }
    }

    pub(super) fn send(method: Method, path: impl Into<String>, body: String) -> Self {
        Self { method, body, ..Self::get(path) }
    }
}

/// What a turn showed.
#[derive(Debug)]
pub(super) struct Turn {
    /// Calls per second.
    pub(super) rate: f64,
    /// Processor time per call of the server's own process, and with those that work for it.
    pub(super) processor: (Duration, Duration),
    /// Of each call, in order of length.
    pub(super) latencies: Vec<Duration>,
    /// Bytes of the body of an answer, pages together.
    pub(super) bytes: usize,
}

impl Turn {
    /// The latency that `part` of 100 calls do not exceed.
    pub(super) fn percentile(&self, part: usize) -> Duration {
        percentile(&self.latencies, part)
    }
}

/// The duration that `part` of 100 do not exceed, of durations in order of length.
pub(super) fn percentile(sorted: &[Duration], part: usize) -> Duration {
    let index = (sorted.len() * part).div_ceil(100).clamp(1, sorted.len().max(1));
    sorted.get(index - 1).copied().unwrap_or_default()
}

/// Sends calls over `connections` for `length`, and lets those under way finish. An answer that is no success ends it.
pub(super) async fn turn(
    target: &Target,
    connections: usize,
    length: Duration,
    call: &dyn Fn(u64) -> Call,
) -> Result<Turn> {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(target.address).await?);
    }
    let before = target.processor()?;
    let began = Instant::now();
    let until = began + length;
    let streams = senders.into_iter().map(|sender| one_stream(target, sender, until, call));
    let streams = futures_util::future::try_join_all(streams).await?;
    let took = began.elapsed();
    let after = target.processor()?;
    let bytes = streams.first().map_or(0, |stream| stream.1);
    let mut latencies: Vec<Duration> = streams.into_iter().flat_map(|stream| stream.0).collect();
    latencies.sort_unstable();
    let count = u32::try_from(latencies.len()).unwrap_or(u32::MAX).max(1);
    Ok(Turn {
        rate: f64::from(count) / took.as_secs_f64(),
        processor: (after.0.saturating_sub(before.0) / count, after.1.saturating_sub(before.1) / count),
        latencies,
        bytes,
    })
}

async fn one_stream(
    target: &Target,
    mut sender: SendRequest<Full<Bytes>>,
    until: Instant,
    call: &dyn Fn(u64) -> Call,
) -> Result<(Vec<Duration>, usize)> {
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    while latencies.is_empty() || Instant::now() < until {
        let call = call(target.sent.fetch_add(1, Ordering::Relaxed));
        let began = Instant::now();
        bytes = carry_out(target, &mut sender, call).await?;
        latencies.push(began.elapsed());
    }
    Ok((latencies, bytes))
}

/// Sends a call, and for a walk those after it. How many bytes were answered.
async fn carry_out(target: &Target, sender: &mut SendRequest<Full<Bytes>>, mut call: Call) -> Result<usize> {
    let mut bytes = 0;
    loop {
        let (status, body) = exchange(target, sender, &call).await?;
        if !status.is_success() {
            bail!("{}", refused(target, &call, status, &body));
        }
        bytes += body.len();
        match next_page(&body).filter(|_| call.walk) {
            Some(path) => call.path = path,
            None => return Ok(bytes),
        }
    }
}

/// Sends one request.
async fn exchange(
    target: &Target,
    sender: &mut SendRequest<Full<Bytes>>,
    call: &Call,
) -> Result<(StatusCode, Bytes)> {
    let request = Request::builder()
        .method(&call.method)
        .uri(&call.path)
        .header("host", target.address.to_string())
        .header("x-openstack-ironic-api-version", VERSION)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(call.body.clone())))?;
    let exchange = async {
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await?
        .with_context(|| format!("{} broke off at {} {}", target.name, call.method, call.path))
}

fn refused(target: &Target, call: &Call, status: StatusCode, body: &[u8]) -> String {
    let said: String = String::from_utf8_lossy(body).chars().take(400).collect();
    format!("{} answered {status} to {} {}: {said}", target.name, call.method, call.path)
}

/// Connections that many share: as many requests are under way at once, the others wait.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    target: &'t Target,
    room: Semaphore,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(target: &'t Target, connections: usize) -> Self {
        Self { target, room: Semaphore::new(connections), idle: Mutex::default() }
    }

    /// Asks; an answer that is no success is an answer, too.
    pub(super) async fn ask(&self, call: &Call) -> Result<(StatusCode, Bytes)> {
        let _room = self.room.acquire().await?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sender = match idle.filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => connect(self.target.address).await?,
        };
        let answer = exchange(self.target, &mut sender, call).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(answer)
    }

    /// Asks for what must succeed.
    pub(super) async fn order(&self, call: &Call) -> Result<Bytes> {
        let (status, body) = self.ask(call).await?;
        if !status.is_success() {
            bail!("{}", refused(self.target, call, status, &body));
        }
        Ok(body)
    }

    /// Asks for a list, page after page; each page's body goes to `page`.
    pub(super) async fn walk(&self, path: String, mut page: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut call = Call::get(path);
        loop {
            let body = self.order(&call).await?;
            page(&body)?;
            match next_page(&body) {
                Some(path) => call.path = path,
                None => return Ok(()),
            }
        }
    }
}

/// The path of the next page: the member `next` of the list, which is no name of a field.
fn next_page(body: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"next\":";
    // Ironic writes it last, too.
    let tail = &body[body.len().saturating_sub(1000)..];
    let at = tail.windows(KEY.len()).rposition(|window| window == KEY)?;
    let url = std::str::from_utf8(&tail[at + KEY.len()..]).ok()?.trim_start().strip_prefix('"')?;
    let url = url.split('"').next()?;
    let path = url.strip_prefix("http://")?;
    Some(path[path.find('/')?..].to_owned())
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_however_it_is_written() {
        let path = |body: &str| next_page(body.as_bytes());
        let ours = r#"{"nodes":[{"name":"x"}],"next":"http://h:1/v1/nodes?limit=2&marker=a"}"#;
        assert_eq!(path(ours).as_deref(), Some("/v1/nodes?limit=2&marker=a"));
        let spaced = r#"{"nodes": [], "next": "http://h:1/v1/nodes?limit=2"}"#;
        assert_eq!(path(spaced).as_deref(), Some("/v1/nodes?limit=2"));
        assert_eq!(path(r#"{"nodes":[]}"#), None);
    }

    #[test]
    fn percentiles_are_of_the_sorted_list() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let turn = Turn { rate: 1.0, processor: Default::default(), latencies, bytes: 0 };
        assert_eq!(turn.percentile(50), Duration::from_millis(100));
        assert_eq!(turn.percentile(99), Duration::from_millis(198));
        let none = Turn { rate: 1.0, processor: Default::default(), latencies: Vec::new(), bytes: 0 };
        assert_eq!(none.percentile(99), Duration::ZERO);
    }
}
