//! One download into the cache: stream, hash, look, verify, keep. Continues after a broken connection where the
//! server allows it. Knows nothing of who waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use disk_image::{Checksum, Format, SNIFF_LEN};
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderValue};
use tokio::sync::watch;
use url::Url;

use crate::error::ImageError;
use crate::inspect::{self, Expectation};
use crate::request::{CachedImage, ImageFacts, Progress};
use crate::sink::{Sink, Written};
use crate::store::{Reservation, Store, Temp};
use crate::web::{Answer, Ask, Resume, Web, WebError, shown};

/// Room is taken from the cache in such pieces when the server does not say how much will come.
const ROOM_STEP: u64 = 64 * 1024 * 1024;
/// Progress is told at most once in so many bytes.
const PROGRESS_STEP: u64 = 1024 * 1024;

/// The bounds of a transfer.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) max_image_bytes: u64,
    pub(crate) attempts: u32,
    pub(crate) pause: Duration,
    pub(crate) total_deadline: Duration,
}

/// One download and all it needs.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    pub(crate) web: &'a Web,
    pub(crate) store: &'a Arc<Store>,
    pub(crate) limits: &'a Limits,
    pub(crate) url: &'a Url,
    pub(crate) expected: &'a Checksum,
    pub(crate) expectation: &'a Expectation,
    pub(crate) progress: &'a watch::Sender<Progress>,
}

/// What has arrived so far; outlives a broken connection.
struct Arrived {
    temp: Arc<Temp>,
    sink: Sink,
    room: Reservation,
    /// The first bytes, for sniffing.
    head: Vec<u8>,
    head_checked: bool,
    /// Same content on the next attempt if the server still gives this (strong `ETag`, or `Last-Modified`).
    validator: Option<HeaderValue>,
}

impl Transfer<'_> {
    /// Downloads, verifies and takes the image into the cache.
    pub(crate) async fn run(&self) -> Result<CachedImage, ImageError> {
        match tokio::time::timeout(self.limits.total_deadline, self.run_unbounded()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ImageError::TooSlow {
                url: shown(self.url),
                after: self.limits.total_deadline,
                received: self.progress.borrow().received,
            }),
        }
    }

    async fn run_unbounded(&self) -> Result<CachedImage, ImageError> {
        let temp = Arc::new(self.store.temp());
        let mut arrived = Arrived {
            sink: Sink::start(Arc::clone(&temp), self.expected.algorithm),
            temp,
            room: self.store.reserve(),
            head: Vec::new(),
            head_checked: false,
            validator: None,
        };
        let mut attempt = 1;
        while let Err(error) = self.attempt(&mut arrived).await {
            if attempt >= self.limits.attempts || !is_worth_another(&error) {
                return Err(self.sink_error(arrived, error).await);
            }
            tracing::warn!(
                url = shown(self.url),
                attempt,
                error = error.report(),
                "image transfer failed, trying again"
            );
            tokio::time::sleep(self.limits.pause * attempt).await;
            attempt += 1;
        }
        if !arrived.head_checked {
            self.check_head(&mut arrived)?;
        }
        let Arrived { temp, sink, room, .. } = arrived;
        let written = sink.finish().await.map_err(|error| self.store.write_error(error, &temp.path))?;
        self.verify_and_keep(temp, room, written).await
    }

    /// One request and its body, from the start or from where the last one broke off.
    async fn attempt(&self, arrived: &mut Arrived) -> Result<(), ImageError> {
        let had = self.progress.borrow().received;
        let validator = arrived.validator.clone().filter(|_| had > 0);
        let resume = validator.map(|validator| Resume { from: had, validator });
        let ask = Ask { resume: resume.as_ref(), tls_may_end: true };
        let mut answer = self.web.get(self.url, &ask).await.map_err(ImageError::Source)?;
        self.refuse_web_page(answer.headers())?;
        let mut received = had;
        if answer.status() != StatusCode::PARTIAL_CONTENT || !continues(answer.headers(), had) {
            received = 0;
            self.start_over(arrived).await?;
            // A 206 that was not asked for, or for other bytes, is not the image.
            if answer.status() == StatusCode::PARTIAL_CONTENT {
                let url = shown(self.url);
                return Err(ImageError::Source(WebError::Status { url, status: answer.status() }));
            }
        }
        let total = answer.length().map(|length| received + length);
        self.make_room(arrived, total.unwrap_or(0)).await?;
        arrived.validator = validator_of(answer.headers());
        self.progress.send_replace(Progress { received, total });
        self.pump(arrived, &mut answer, received, total).await
    }

    /// Moves the body into the sink.
    async fn pump(
        &self,
        arrived: &mut Arrived,
        answer: &mut Answer,
        mut received: u64,
        total: Option<u64>,
    ) -> Result<(), ImageError> {
        let mut told = received;
        loop {
            let piece = match answer.next().await {
                Ok(Some(piece)) => piece,
                ended => {
                    self.progress.send_replace(Progress { received, total });
                    return ended.map(|_| ()).map_err(ImageError::Source);
                }
            };
            let after = received + piece.len() as u64;
            if after > arrived.room.bytes() {
                let wish = (after + ROOM_STEP).min(self.limits.max_image_bytes);
                self.make_room(arrived, after.max(wish)).await?;
            }
            self.keep_head(arrived, &piece)?;
            if !arrived.sink.write(piece).await {
                return Err(ImageError::Closed);
            }
            received = after;
            if received - told >= PROGRESS_STEP {
                told = received;
                self.progress.send_replace(Progress { received, total });
            }
        }
    }

    async fn start_over(&self, arrived: &mut Arrived) -> Result<(), ImageError> {
        arrived.head.clear();
        arrived.head_checked = false;
        self.progress.send_replace(Progress::default());
        if arrived.sink.start_over().await { Ok(()) } else { Err(ImageError::Closed) }
    }

    /// Refuses a wrong kind of content as soon as its first bytes are there, not after gigabytes.
    fn keep_head(&self, arrived: &mut Arrived, piece: &Bytes) -> Result<(), ImageError> {
        if arrived.head_checked {
            return Ok(());
        }
        let room = SNIFF_LEN - arrived.head.len();
        arrived.head.extend_from_slice(&piece[..piece.len().min(room)]);
        if arrived.head.len() == SNIFF_LEN { self.check_head(arrived) } else { Ok(()) }
    }

    fn check_head(&self, arrived: &mut Arrived) -> Result<(), ImageError> {
        arrived.head_checked = true;
        if inspect::looks_like_web_page(&arrived.head) {
            return Err(ImageError::WebPage { url: shown(self.url) });
        }
        let format = disk_image::sniff(&arrived.head);
        // What is inside a compressed file is judged when all of it is there.
        if format.is_compression() && format != Format::Xz { Ok(()) } else { self.expectation.check(format) }
    }

    fn refuse_web_page(&self, headers: &HeaderMap) -> Result<(), ImageError> {
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if matches!(kind.as_str(), "text/html" | "application/xhtml+xml") {
            return Err(ImageError::WebPage { url: shown(self.url) });
        }
        Ok(())
    }

    /// Reserves at least `bytes` in the cache. Evicting unlinks files, which may take its time: not on a worker.
    async fn make_room(&self, arrived: &mut Arrived, bytes: u64) -> Result<(), ImageError> {
        let limit = self.limits.max_image_bytes;
        if bytes > limit {
            return Err(ImageError::TooLarge { url: shown(self.url), limit });
        }
        let mut room = std::mem::replace(&mut arrived.room, self.store.reserve());
        let grown = tokio::task::spawn_blocking(move || (room.grow_to(bytes), room)).await;
        let (result, room) = grown.map_err(|_| ImageError::Closed)?;
        arrived.room = room;
        result
    }

    /// When the writing thread gave up, its reason is the better one.
    async fn sink_error(&self, arrived: Arrived, error: ImageError) -> ImageError {
        if !matches!(error, ImageError::Closed) {
            return error;
        }
        match arrived.sink.finish().await {
            Err(cause) => self.store.write_error(cause, &arrived.temp.path),
            Ok(_) => error,
        }
    }

    async fn verify_and_keep(
        &self,
        temp: Arc<Temp>,
        room: Reservation,
        written: Written,
    ) -> Result<CachedImage, ImageError> {
        if written.declared != *self.expected {
            return Err(ImageError::Mismatch {
                url: shown(self.url),
                expected: self.expected.clone(),
                actual: written.declared,
            });
        }
        let (store, expectation) = (Arc::clone(self.store), self.expectation.clone());
        let keep = move || {
            let content = inspect::file(&temp.path)?;
            expectation.check(content.format)?;
            let facts = ImageFacts {
                size: written.size,
                sha256: written.sha256.hex,
                sha512: None,
                format: content.format,
                compression: content.compression,
                virtual_size: content.virtual_size,
            };
            store.keep(&temp, room, facts, &written.declared)
        };
        tokio::task::spawn_blocking(keep).await.map_err(|_| ImageError::Closed)?
    }
}

/// Whether another attempt makes sense: the connection failed, not the content.
fn is_worth_another(error: &ImageError) -> bool {
    matches!(error, ImageError::Source(cause) if cause.is_transient())
}

/// Whether a 206 goes on exactly at byte `from` (`Content-Range: bytes FROM-…`).
fn continues(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
    start == Some(from)
}

/// What `If-Range` may hold: a strong entity tag, else the modification date.
fn validator_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    strong.or_else(|| headers.get(header::LAST_MODIFIED)).cloned()
}
