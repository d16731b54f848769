//! Response bodies: a text, or part of a file read in blocks of 1 MiB, one ahead of what is being sent.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use boot_trace::{BootEventKind, Fetch, FileRole};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::content::Content;
use crate::service::Shared;

const BLOCK: u64 = 1 << 20;

/// Tells the recorder, when it is dropped, how much of a response was sent.
pub(super) struct Sent {
    shared: Arc<Shared>,
    client: IpAddr,
    path: String,
    /// What was asked for, if that does not depend on the client.
    role: Option<FileRole>,
    status: StatusCode,
    from: Option<u64>,
    bytes: u64,
    of: u64,
    began: Instant,
}

impl Sent {
    pub(super) fn new(shared: Arc<Shared>, client: IpAddr, path: String) -> Self {
        let status = StatusCode::OK;
        Self { shared, client, path, role: None, status, from: None, bytes: 0, of: 0, began: Instant::now() }
    }

    pub(super) fn with_role(mut self, role: FileRole) -> Self {
        self.role = Some(role);
        self
    }

    /// The answer: its status, and the size of what was asked for.
    pub(super) fn with_status(mut self, status: StatusCode, of: u64) -> Self {
        (self.status, self.of) = (status, of);
        self
    }

    /// The answer is the part that begins there.
    pub(super) fn from(mut self, offset: u64) -> Self {
        self.from = Some(offset);
        self
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, from, bytes, of) = (self.status.as_u16(), self.from, self.bytes, self.of);
        self.shared.record_from(self.client, |host| {
            let by_host = || host.map_or(FileRole::Other, |host| host.role_of(&path));
            let role = self.role.unwrap_or_else(by_host);
            BootEventKind::HttpGet(Fetch { path, role, status, from, bytes, of, millis })
        });
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
