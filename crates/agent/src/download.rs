//! Streams an image over HTTP into a blocking reader, and takes the stream up again where it broke.
//!
//! An interrupted download goes on with a `Range` request, guarded by `If-Range` where the server gave a strong `ETag` or a
//! date. A server without ranges sends all again and the known part is skipped. Whether the whole is right is decided by
//! its checksum, not here.

use crate::{
    console,
    fetch::{Fetch, FetchError, Fetcher, host_of},
};
use bytes::{Buf, Bytes};
use disk_image::ReadAt;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    io::{self, Read},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{sleep, timeout},
};

/// Pieces of a body (up to some 400 KB each) that wait for the disk.
const QUEUE: usize = 16;
/// First pause before taking up a broken download; doubled up to the configured interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// So much progress makes the count of attempts start anew.
const PROGRESS: u64 = 1 << 20;
/// Bytes that one range request of [`RangeReader`] asks for at least.
const RANGE: usize = 1 << 20;

/// Why an image does not come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The request failed.
    #[error("no image from {host}")]
    Fetch {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The server refuses.
    #[error("{host} answered {status} for the image")]
    Status {
        /// Host and port.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The connection broke, or nothing came for too long.
    #[error("the connection to {host} broke after {bytes} bytes")]
    Broken {
        /// Host and port.
        host: String,
        /// Bytes that had come.
        bytes: u64,
    },
    /// The image is another one than at the start.
    #[error("the image at {host} changed during its download")]
    Changed {
        /// Host and port.
        host: String,
    },
}

impl DownloadError {
    /// Whether another attempt may end better.
    fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            Self::Fetch { source, .. } => {
                !matches!(source, FetchError::BadUrl | FetchError::Redirects | FetchError::Tls { .. })
            }
            Self::Broken { .. } => true,
            Self::Changed { .. } => false,
        }
    }
}

/// Where an image is, and how patiently it is asked for.
#[derive(Clone, Debug)]
pub struct ImageSource {
    /// The client.
    pub fetcher: Fetcher,
    /// The URL.
    pub url: String,
    /// Headers with credentials.
    pub headers: HeaderMap,
    /// Longest wait for bytes.
    pub limit: Duration,
    /// Attempts after a failure.
    pub retries: u32,
    /// Longest pause between two attempts.
    pub interval: Duration,
}

/// An image on its way.
#[derive(Debug)]
pub struct Download {
    /// All bytes, where the server said.
    pub length: Option<u64>,
    /// The bytes.
    pub body: BodyReader,
}

impl ImageSource {
    /// Asks for the image, patiently; the rest of the work is done in a task.
    pub async fn open(&self) -> Result<Download, DownloadError> {
        let mut attempt = 0;
        let response = loop {
            match self.request(0, None).await {
                Ok(response) => break response,
                Err(error) => self.pause(&mut attempt, error).await?,
            }
        };
        let length = content_length(&response);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let stream =
            Stream { source: self.clone(), validator: validator(&response), length, done: 0, sender };
        tokio::spawn(stream.pump(response));
        Ok(Download { length, body: BodyReader { pieces: receiver, current: Bytes::new() } })
    }

    /// The whole of a small file.
    pub async fn small(&self, bound: usize) -> Result<Bytes, DownloadError> {
        let host = host_of(&self.url);
        let (status, body) = self
            .fetcher
            .load(&self.fetch(&self.headers), bound)
            .await
            .map_err(|source| DownloadError::Fetch { host: host.clone(), source })?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(DownloadError::Status { host, status: status.as_u16() })
        }
    }

    fn fetch(&self, headers: &HeaderMap) -> Fetch {
        Fetch {
            method: Method::GET,
            url: self.url.clone(),
            headers: headers.clone(),
            body: Bytes::new(),
            limit: self.limit,
        }
    }

    /// Asks for the bytes from `start` on.
    async fn request(
        &self,
        start: u64,
        validator: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, DownloadError> {
        let mut headers = self.headers.clone();
        if start > 0 {
            headers.extend(
                HeaderValue::from_str(&format!("bytes={start}-")).ok().map(|range| (header::RANGE, range)),
            );
            headers.extend(validator.map(|validator| (header::IF_RANGE, validator.clone())));
        }
        let host = host_of(&self.url);
        let response = self.fetcher.send(&self.fetch(&headers)).await;
        let response = response.map_err(|source| DownloadError::Fetch { host: host.clone(), source })?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(DownloadError::Status { host, status: status.as_u16() }),
        }
    }

    /// Waits before the next attempt, or gives up with the error.
    async fn pause(&self, attempt: &mut u32, error: DownloadError) -> Result<(), DownloadError> {
        if *attempt >= self.retries || !error.is_passing() {
            return Err(error);
        }
        let pause = (FIRST_PAUSE * 2u32.saturating_pow(*attempt)).min(self.interval);
        *attempt += 1;
        tracing::warn!("image: {}; attempt {} of {}", console::chain(&error), attempt, self.retries);
        sleep(pause).await;
        Ok(())
    }
}

fn content_length(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What tells the server that the same image is meant: a strong `ETag`, else the date.
fn validator(response: &Response<Incoming>) -> Option<HeaderValue> {
    let etag = response.headers().get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""));
    etag.or_else(|| response.headers().get(header::LAST_MODIFIED)).cloned()
}

/// The task behind a [`BodyReader`].
#[derive(Debug)]
struct Stream {
    source: ImageSource,
    validator: Option<HeaderValue>,
    length: Option<u64>,
    done: u64,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Stream {
    async fn pump(mut self, mut response: Response<Incoming>) {
        let mut attempt = 0;
        let mut skip = 0;
        let mut mark = 0;
        loop {
            let Err(error) = self.copy(response, skip).await else { return };
            if self.done >= mark + PROGRESS {
                attempt = 0;
            }
            mark = self.done;
            (response, skip) = match self.again(&mut attempt, error).await {
                Ok(next) => next,
                Err(error) => {
                    // Nobody listens when the writer gave up first.
                    let _ = self.sender.send(Err(io::Error::other(error))).await;
                    return;
                }
            };
        }
    }

    /// Copies a body to the reader. `Ok` when all came, or nobody reads any more.
    async fn copy(&mut self, response: Response<Incoming>, mut skip: u64) -> Result<(), DownloadError> {
        let mut body = response.into_body();
        loop {
            let frame = match timeout(self.source.limit, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) if self.length.is_none_or(|length| length == self.done) => return Ok(()),
                Ok(Some(Err(_)) | None) | Err(_) => return Err(self.broken()),
            };
            let Ok(mut data) = frame.into_data() else { continue };
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(data.len());
            data.advance(known);
            skip -= known as u64;
            self.done += data.len() as u64;
            if !data.is_empty() && self.sender.send(Ok(data)).await.is_err() {
                return Ok(());
            }
        }
    }

    fn broken(&self) -> DownloadError {
        DownloadError::Broken { host: host_of(&self.source.url), bytes: self.done }
    }

    /// Asks for the rest until there is an answer; returns it and how much of it is known already.
    async fn again(
        &self,
        attempt: &mut u32,
        mut error: DownloadError,
    ) -> Result<(Response<Incoming>, u64), DownloadError> {
        loop {
            self.source.pause(attempt, error).await?;
            match self.source.request(self.done, self.validator.as_ref()).await {
                Ok(response) => return self.position(response),
                Err(next) => error = next,
            }
        }
    }

    fn position(&self, response: Response<Incoming>) -> Result<(Response<Incoming>, u64), DownloadError> {
        let changed = || DownloadError::Changed { host: host_of(&self.source.url) };
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
            let start =
                range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
            return if start == Some(self.done) { Ok((response, 0)) } else { Err(changed()) };
        }
        if validator(&response) != self.validator || content_length(&response) != self.length {
            return Err(changed());
        }
        Ok((response, self.done))
    }
}

/// The bytes of an image, for a thread that blocks.
#[derive(Debug)]
pub struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let length = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// Reads an image at any offset by range requests, for a thread that blocks. Keeps the last range.
#[derive(Debug)]
pub struct RangeReader {
    source: ImageSource,
    runtime: Handle,
    start: u64,
    held: Bytes,
}

impl RangeReader {
    /// A reader of the same image.
    pub fn new(source: ImageSource, runtime: Handle) -> Self {
        Self { source, runtime, start: 0, held: Bytes::new() }
    }

    async fn load(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut headers = self.source.headers.clone();
        let last = offset.saturating_add(length.max(RANGE) as u64 - 1);
        let range = HeaderValue::from_str(&format!("bytes={offset}-{last}")).map_err(io::Error::other)?;
        headers.insert(header::RANGE, range);
        let fetch = self.source.fetch(&headers);
        let (status, body) =
            self.source.fetcher.load(&fetch, length.max(RANGE)).await.map_err(io::Error::other)?;
        match status {
            StatusCode::PARTIAL_CONTENT => Ok(body),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Bytes::new()),
            StatusCode::OK if offset == 0 => Ok(body),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "the image server does not serve ranges")),
        }
    }
}

impl ReadAt for RangeReader {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let inside = |reader: &Self| {
            let at = usize::try_from(offset.checked_sub(reader.start)?).ok()?;
            reader
                .held
                .get(at..)
                .filter(|rest| !rest.is_empty())
                .map(|rest| rest.len().min(buffer.len()))
                .map(|n| (at, n))
        };
        if inside(self).is_none() {
            self.held = self.runtime.block_on(self.load(offset, buffer.len()))?;
            self.start = offset;
        }
        let Some((at, length)) = inside(self) else { return Ok(0) };
        buffer[..length].copy_from_slice(&self.held[at..at + length]);
        Ok(length)
    }
}
