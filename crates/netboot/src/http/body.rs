//! Response bodies: a text, or part of a file read in blocks of 1 MiB, one ahead of what is being sent.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::content::Content;
use crate::service::Shared;
use crate::source::BootEventKind;

const BLOCK: u64 = 1 << 20;

/// Tells the recorder, when it is dropped, how much of a response was sent.
pub(super) struct Sent {
    shared: Arc<Shared>,
    client: IpAddr,
    path: String,
    status: StatusCode,
    bytes: u64,
}

impl Sent {
    pub(super) fn new(shared: Arc<Shared>, client: IpAddr, path: String) -> Self {
        Self { shared, client, path, status: StatusCode::OK, bytes: 0 }
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        let kind = BootEventKind::HttpGet { path, status: self.status.as_u16(), bytes: self.bytes };
        self.shared.record_from(self.client, kind);
    }
}

enum Rest {
    Bytes(Bytes),
    File { content: Content, part: Range<u64>, next: Option<JoinHandle<io::Result<Bytes>>> },
}

/// A response body.
pub(super) struct Body {
    rest: Rest,
    sent: Option<Sent>,
}

impl Body {
    /// No body and no report.
    pub(super) const fn nothing() -> Self {
        Self { rest: Rest::Bytes(Bytes::new()), sent: None }
    }

    pub(super) const fn bytes(bytes: Bytes, sent: Sent) -> Self {
        Self { rest: Rest::Bytes(bytes), sent: Some(sent) }
    }

    pub(super) fn part(content: Content, part: Range<u64>, sent: Sent) -> Self {
        if let Some(memory) = content.memory()
            && let (Ok(start), Ok(end)) = (usize::try_from(part.start), usize::try_from(part.end))
        {
            return Self::bytes(memory.slice(start..end), sent);
        }
        let mut rest = Rest::File { content, part, next: None };
        rest.read_ahead();
        Self { rest, sent: Some(sent) }
    }

    fn left(&self) -> u64 {
        match &self.rest {
            Rest::Bytes(bytes) => bytes.len() as u64,
            Rest::File { part, .. } => part.end - part.start,
        }
    }
}

impl Rest {
    /// Starts reading the next block, if there is one.
    fn read_ahead(&mut self) {
        let Self::File { content, part, next } = self else { return };
        let length = BLOCK.min(part.end - part.start);
        if length > 0
            && next.is_none()
            && let Ok(size) = usize::try_from(length)
        {
            let (content, offset) = (content.clone(), part.start);
            *next = Some(tokio::task::spawn_blocking(move || content.read(offset, size)));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Self::File { part, next, .. } => {
                let Some(reading) = next else { return Poll::Ready(None) };
                let read = ready!(Pin::new(reading).poll(context));
                *next = None;
                let block = match read {
                    Ok(Ok(block)) => block,
                    Ok(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                };
                part.start += block.len() as u64;
                self.read_ahead();
                Poll::Ready(Some(Ok(block)))
            }
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(self.rest.poll(context));
        if let (Some(Ok(block)), Some(sent)) = (&frame, &mut self.sent) {
            sent.bytes += block.len() as u64;
        }
        Poll::Ready(frame.map(|block| block.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
