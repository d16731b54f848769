//! The events as an endless answer: what is in the store after the reader's cursor, then what comes.
//!
//! Nothing is kept for a reader but its cursor: pages are read from the store as fast as the reader takes them, and a
//! reader that breaks off comes back with the number of the last event it saw. Knows nothing of requests.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use api_types::{Shown, redacted};
use bytes::Bytes;
use db::{Db, DbError, Event, EventPage, EventQuery};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{SemaphorePermit, watch};

/// Events of one read: what is held in memory for a reader at most.
pub(crate) const PAGE: usize = 64;
/// How long a browser waits before it comes back, in milliseconds.
const RETRY: u32 = 2000;
/// Tells an answer without end that the service stops.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

/// A reader.
pub(crate) struct Feed {
    db: Db,
    query: EventQuery,
    /// What of nodes the reader is shown.
    shown: Shown,
    bell: watch::Receiver<u64>,
    heartbeat: Duration,
    stopping: Option<Stopping>,
    /// What is to be sent before anything is read again.
    ready: Option<String>,
    _slot: SemaphorePermit<'static>,
}

impl Feed {
    /// A reader of what `query` wants. Its first page is read here, so that a cursor that cannot be used is an error.
    pub(crate) async fn open(
        db: Db,
        (query, shown): (EventQuery, Shown),
        heartbeat: Duration,
        stopping: Option<Stopping>,
        slot: SemaphorePermit<'static>,
    ) -> Result<Self, DbError> {
        // Before the first read: what comes after it rings.
        let bell = db.events_changed();
        let mut feed = Self { db, query, shown, bell, heartbeat, stopping, ready: None, _slot: slot };
        let page = feed.db.events(&feed.query).await?;
        let mut text = format!("retry: {RETRY}\nid: {}\n\n", feed.query.after);
        feed.take(page, &mut text);
        feed.ready = Some(text);
        Ok(feed)
    }

    /// The body of the answer. It ends when the service stops, or when the store cannot be read: readers come back.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        unfold(self, |mut feed| async move {
            let text = feed.next().await?;
            Some((Ok(Bytes::from(text)), feed))
        })
    }

    async fn next(&mut self) -> Option<String> {
        if let Some(text) = self.ready.take() {
            return Some(text);
        }
        loop {
            self.bell.mark_unchanged();
            let page = match self.db.events(&self.query).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a reader of events is sent away"
                    );
                    return None;
                }
            };
            let mut text = String::new();
            self.take(page, &mut text);
            if !text.is_empty() {
                return Some(text);
            }
            tokio::select! {
                rung = self.bell.changed() => rung.ok()?,
                () = tokio::time::sleep(self.heartbeat) => {
                    // The number goes along, so that who waits long for few events does not fall behind the dropped.
                    return Some(format!(": still here\nid: {}\n\n", self.query.after));
                }
                () = stopped(&mut self.stopping) => return None,
            }
        }
    }

    fn take(&mut self, page: EventPage, text: &mut String) {
        self.query.after = page.cursor;
        for event in page.events {
            write_event(text, &event, &self.shown);
        }
    }
}

async fn stopped(stopping: &mut Option<Stopping>) {
    match stopping {
        // An error says that who would tell is gone.
        Some(Stopping(stopping)) => drop(stopping.wait_for(|stop| *stop).await),
        None => std::future::pending().await,
    }
}

/// One event in the form of the `EventSource` standard (HTML, section 9.2). A payload is one line.
fn write_event(out: &mut String, event: &Event, shown: &Shown) {
    let payload = redacted(&event.payload, shown, event.owner.as_deref(), event.lessee.as_deref());
    let payload = payload.as_deref().unwrap_or(&event.payload);
    let priority = if event.kind.rsplit('.').next() == Some("error") { "ERROR" } else { "INFO" };
    // Writing to a String does not fail; kinds and times need no escapes.
    let _ = write!(
        out,
        "id: {id}\nevent: {kind}\ndata: {{\"id\":{id},\"event_type\":\"{kind}\",\"priority\":\"{priority}\",\"timestamp\":\"{at}\",\"payload\":{payload}}}\n\n",
        id = event.id,
        kind = event.kind,
        at = event.at,
    );
}

#[cfg(test)]
mod tests {
    use db::Scope;
    use model::Timestamp;

    use super::*;

    #[test]
    fn events_have_the_form_of_the_standard() {
        let payload =
            r#"{"ironic_object.data":{"driver_info":{"a":"b"},"last_error":"secret thing","name":"n"}}"#;
        let event = Event {
            id: 7,
            kind: "baremetal.node.provision_set.error".to_owned(),
            node: None,
            resource: None,
            owner: None,
            lessee: None,
            payload: payload.to_owned(),
            at: Timestamp::from_micros(1_700_000_000_000_000),
        };
        let mut out = String::new();
        write_event(&mut out, &event, &Shown::default());
        let data = format!(
            r#"{{"id":7,"event_type":"baremetal.node.provision_set.error","priority":"ERROR","timestamp":"2023-11-14T22:13:20.000000+00:00","payload":{payload}}}"#
        );
        assert_eq!(out, format!("id: 7\nevent: baremetal.node.provision_set.error\ndata: {data}\n\n"));
        out.clear();
        let shown = Shown { driver_info: Scope::Nothing, last_error: Scope::Nothing, ..Shown::default() };
        write_event(&mut out, &event, &shown);
        assert!(
            !out.contains("secret thing") && !out.contains("\"a\":\"b\"") && out.contains("\"name\":\"n\""),
            "{out}"
        );
        assert_eq!(out.matches('\n').count(), 4);
    }
}
