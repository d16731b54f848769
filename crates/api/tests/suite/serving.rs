//! The server on a real socket: slow clients, large heads, a graceful stop.

use std::time::Duration;

use api::{ServeLimits, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fixture::Site;

pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

pub(crate) async fn start(site: &Site, limits: ServeLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let router = site.router.clone();
    let task = tokio::spawn(async move {
        serve(listener, router, limits, async {
            let _ = stopped.await;
        })
        .await;
    });
    Server { address, stop, task }
}

/// Sends `text` and reads until the server closes.
pub(crate) async fn exchange(server: &Server, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server closes").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_over_a_socket() {
    let site = Site::new().await;
    let server = start(&site, ServeLimits::default()).await;
    let answer = exchange(&server, b"GET / HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("http://a:1/v1/"));
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn slow_and_greedy_clients_are_cut_off() {
    let site = Site::new().await;
    let limits = ServeLimits { head_timeout: Duration::from_millis(100), ..ServeLimits::default() };
    let server = start(&site, limits).await;
    let slow = exchange(&server, b"GET / HTTP/1.1\r\nHost: a").await;
    assert!(!slow.contains("200 OK"), "{slow}");
    // With time enough, so that only the number of headers counts, however busy the machine is.
    let server = start(&site, ServeLimits::default()).await;
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    let greedy = exchange(&server, head.as_bytes()).await;
    assert!(greedy.starts_with("HTTP/1.1 431"), "{greedy}");
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way() {
    let site = Site::new().await;
    let server = start(&site, ServeLimits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        b"POST /v1/nodes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n";
    stream.write_all(head).await.unwrap();
    stream.write_all(b"{\"driver\":").await.unwrap();
    // The request is under way once a second connection, made later, was answered.
    exchange(&server, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    server.stop.send(()).unwrap();
    stream.write_all(b"\"fake-hardware\"}").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}
