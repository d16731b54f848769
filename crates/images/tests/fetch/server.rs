//! Servers that behave and servers that do not, in this process.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Serves `app` on a port of its own; gives its base URL.
pub(crate) async fn serve(app: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base(address)
}

fn base(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}/")).unwrap()
}

/// A server below HTTP: what it sends is up to the test.
pub(crate) struct Raw {
    pub(crate) url: Url,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Calls `answer(n, stream)` for the n-th connection (from 0) when the head of a request has been read.
    pub(crate) async fn start<F, R>(answer: F) -> Self
    where
        F: Fn(usize, TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = base(listener.local_addr().unwrap()).join("disk.img").unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, heads, answer) = (Arc::clone(&connections), Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (heads, answer) = (Arc::clone(&heads), Arc::clone(&answer));
                tokio::spawn(async move {
                    let head = read_head(&mut stream).await;
                    heads.lock().unwrap().push(head);
                    answer(number, stream).await;
                });
            }
        });
        Self { url, connections, requests }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests, lower-case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// Sends everything, then closes. The peer may have gone: that is its business.
pub(crate) async fn send(mut stream: TcpStream, parts: &[&[u8]]) {
    for part in parts {
        if stream.write_all(part).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
    // Reading to the end keeps a close with unread data from turning into a reset.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}
