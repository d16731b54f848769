//! The connection that hears wake-ups of all processes. When it breaks it is made again, and listeners are told that
//! they may have missed some.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{StreamExt as _, poll_fn as stream_of};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Config, NoTls};

use super::classify;
use super::session::CHANNEL;
use crate::db::Shared;
use crate::{DbError, Wakeup, event};

/// Between attempts to connect again.
const PAUSE: Duration = Duration::from_secs(1);

/// The task that listens.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    /// Starts to listen; answers when wake-ups are heard. Those for readers of events that come from `origin`, which is this
    /// process, were heard here already.
    pub(super) async fn start(config: Config, shared: Arc<Shared>, origin: String) -> Result<Self, DbError> {
        let (ready, heard) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ready = Some(ready);
            loop {
                let ended = listen(&config, &shared, &origin, &mut ready).await;
                match (ended, ready.take()) {
                    (Err(error), Some(ready)) => {
                        // The first attempt failed: for the opener to know.
                        let _ = ready.send(Err(error));
                        return;
                    }
                    (Err(error), None) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "wake-ups are interrupted");
                    }
                    (Ok(()), _) => tracing::warn!("the server ended the connection for wake-ups"),
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        heard.await.map_err(|_| DbError::Closed)??;
        Ok(Self(task))
    }

    pub(super) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One life of the connection.
async fn listen(
    config: &Config,
    shared: &Shared,
    origin: &str,
    ready: &mut Option<oneshot::Sender<Result<(), DbError>>>,
) -> Result<(), DbError> {
    let (client, mut connection) = config.connect(NoTls).await.map_err(|error| classify(error, "connect"))?;
    let mut messages = stream_of(move |context| connection.poll_message(context));
    let command = format!("LISTEN {CHANNEL}");
    let mut listening = std::pin::pin!(client.batch_execute(&command));
    let mut started = false;
    loop {
        tokio::select! {
            result = poll_fn(|context| listening.as_mut().poll(context)), if !started => {
                result.map_err(|error| classify(error, "LISTEN"))?;
                started = true;
                match ready.take() {
                    // The opener went away.
                    Some(ready) => { let _ = ready.send(Ok(())); }
                    None => shared.wake(Wakeup::MayHaveMissed),
                }
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    let (channel, payload) = notification.payload().split_once('\n').unwrap_or_default();
                    if channel != event::CHANNEL || payload != origin {
                        let (channel, payload) = (channel.to_owned(), payload.to_owned());
                        shared.wake(Wakeup::Notice { channel, payload });
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(classify(error, "LISTEN")),
                None => return Ok(()),
            }
        }
    }
}
