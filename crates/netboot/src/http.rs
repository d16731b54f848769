//! The HTTP server that machines boot from: scripts, loaders, files, images.
//!
//! | path | what |
//! |---|---|
//! | `/boot/<mac>.ipxe` | the machine's script, made when it is asked for |
//! | `/ipxe/<name>` | iPXE's binaries, for UEFI HTTP boot |
//! | `/files/<name>`, `/images/<name>` | what the [`FileSource`](crate::FileSource) has |

mod answer;
mod body;
mod content;
mod range;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::service::Shared;

const MOST_CONNECTIONS: usize = 1024;
/// How long a client may take to send a request's head, and an idle connection may stay.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// How long sent bytes may stay unacknowledged, or a client's window shut, before the kernel gives the connection up.
const STALL: Duration = Duration::from_mins(2);
/// How long transfers may go on once the service stops.
const FAREWELL: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let served = connection(stream, client.ip(), Arc::clone(&shared), permit, &graceful);
                connections.spawn(served);
            }
            Err(error) => {
                tracing::warn!(%error, "accepting an HTTP connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!("HTTP transfers were cut off");
    }
    connections.shutdown().await;
}

fn connection(
    stream: TcpStream,
    client: std::net::IpAddr,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    let socket = socket2::SockRef::from(&stream);
    for result in [socket.set_tcp_user_timeout(Some(STALL)), socket.set_tcp_nodelay(true)] {
        if let Err(error) = result {
            tracing::debug!(%error, "setting up an HTTP connection");
        }
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer::answer(shared, client, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let served = graceful.watch(served);
    async move {
        if let Err(error) = served.await {
            tracing::debug!(%client, %error, "an HTTP connection ended");
        }
        drop(permit);
    }
}
