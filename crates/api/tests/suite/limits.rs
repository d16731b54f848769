//! Hostile and broken clients on a real socket: sizes, slowness, numbers; and strange requests that are well formed.

use std::sync::Arc;
use std::time::Duration;

use api::{NoAuth, Options, ServeLimits};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{NEWEST, Site, options};
use crate::serving::{Server, exchange, start};

fn post(body: &[u8], headers: &str) -> Vec<u8> {
    let head = format!(
        "POST /v1/nodes HTTP/1.1\r\nHost: a\r\nX-OpenStack-Ironic-API-Version: latest\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

async fn usual(site: &Site) -> Server {
    start(site, ServeLimits::default()).await
}

#[tokio::test]
async fn heads_have_a_size() {
    let site = Site::new().await;
    let server = usual(&site).await;
    let with = async |path: &str, header: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n");
        status(&exchange(&server, text.as_bytes()).await)
    };
    assert_eq!(
        with(&format!("/v1/nodes?driver={}", "x".repeat(4096)), "X-OpenStack-Ironic-API-Version: latest\r\n")
            .await,
        200
    );
    assert!([414, 431].contains(&with(&format!("/{}", "x".repeat(200_000)), "").await));
    assert_eq!(with("/", &format!("X-A: {}\r\n", "x".repeat(200_000))).await, 431);
    assert_eq!(with("/", &"X-A: b\r\n".repeat(150)).await, 431);
    for broken in [
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
    ] {
        let answer = exchange(&server, broken.as_bytes()).await;
        assert!(answer.is_empty() || status(&answer) == 400, "{broken}: {answer}");
    }
    assert_eq!(with("/", "").await, 200, "and others are served");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let hasty = Options { request_deadline: Duration::from_millis(200), ..options() };
    let site = Site::with(hasty, |_| Arc::new(NoAuth)).await;
    let server = usual(&site).await;
    let head = "POST /v1/nodes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"driver\":";
    let answer = exchange(&server, head.as_bytes()).await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "the rest is not waited for: {answer}");
    let chunked = "POST /v1/nodes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"dri\r\n";
    assert_eq!(status(&exchange(&server, chunked.as_bytes()).await), 408);
    assert_eq!(site.get("/v1/nodes").await.json(), json!({"nodes": []}));
}

#[tokio::test]
async fn requests_may_come_before_the_answers() {
    let site = Site::new().await;
    let server = usual(&site).await;
    let one = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let many = one("/", "") + &one("/v1/bogus", "") + &one("/v1/nodes", "Connection: close\r\n");
    let answer = exchange(&server, many.as_bytes()).await;
    let codes: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "404", "200"], "{answer}");
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn thousands_of_idle_connections_cost_little() {
    const IDLE: usize = 2000;
    let site = Site::new().await;
    let server = usual(&site).await;
    let before = resident();
    let mut idle = Vec::new();
    for index in 0..IDLE {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Half of them have begun to say something.
        if index % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
        }
        idle.push(stream);
    }
    let answer = exchange(&server, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 200);
    let each = resident().saturating_sub(before) / IDLE;
    assert!(each < 40 * 1024, "{each} bytes for each connection, both ends");
}

#[tokio::test]
async fn idle_connections_make_room() {
    let site = Site::new().await;
    let limits =
        ServeLimits { connections: 8, head_timeout: Duration::from_millis(300), ..ServeLimits::default() };
    let server = start(&site, limits).await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    let answer = exchange(&server, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 200, "once the idle ones were closed");
    let mut rest = Vec::new();
    idle[0].read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn bodies_are_what_they_are_whatever_their_type_says() {
    let site = Site::new().await;
    let server = usual(&site).await;
    let send = async |body: &[u8], headers: &str| exchange(&server, &post(body, headers)).await;
    let good: &[u8] = b"{\"driver\": \"fake-hardware\"}";
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/json; charset=utf-8\r\n",
        "Content-Type: \u{7f}\r\n",
    ] {
        let code = status(&send(good, headers).await);
        assert!(code == 201 || headers.contains('\u{7f}') && code == 400, "{headers}: {code}");
    }
    let patch = "X-HTTP-Method-Override: DELETE\r\nX-Method-Override: PUT\r\nX-HTTP-Method: PATCH\r\n";
    assert_eq!(status(&send(good, patch).await), 201, "the method is the method");
    assert_eq!(
        status(&send(b"{\"driver\": \"bogus\", \"driver\": \"fake-hardware\"}", "").await),
        201,
        "the last one counts"
    );
    for bad in [
        b"{\"driver\": \"fake-hardware\", \"name\": \"\xff\xfe\"}".as_slice(),
        b"{\"driver\": \"fake-hardware\", \"name\": \"a\x00b\"}",
        b"{\"driver\": \"fake-hardware\", \"name\": \"a\\u0000b\"}",
        b"{\"driver\": \"fake-hardware\", \"description\": \"a\\u0000b\"}",
        b"{\"driver\": \"fake-hardware\", \"name\": \"\\ud800\"}",
        b"{\"driver\": \"fake-hardware\", \"extra\": {\"a\": 1e999}}",
        b"{\"driver\": \"fake-hardware\", \"extra\": NaN}",
        b"\xef\xbb\xbf{\"driver\": \"fake-hardware\"}",
        b"{\"driver\": \"fake-hardware\"} {}",
    ] {
        let answer = send(bad, "Content-Type: application/json\r\n").await;
        assert_eq!(status(&answer), 400, "{}: {answer}", String::from_utf8_lossy(bad));
        assert!(answer.contains("error_message"), "{answer}");
    }
}

#[tokio::test]
async fn names_and_numbers() {
    let site = Site::new().await;
    let create = async |body: Value| site.call("POST", "/v1/nodes", NEWEST, body).await;
    for (name, status) in [
        ("plain-1.a_b~c", 201),
        ("nöde", 400),
        ("узел", 400),
        ("🦀", 400),
        ("a b", 400),
        ("a/b", 400),
        ("", 400),
        ("1be26c0b-03f2-4d2e-ae87-c02d7f33c123", 400),
        ("detail", 400),
    ] {
        let body = json!({"driver": "fake-hardware", "name": name});
        assert_eq!(create(body).await.code(), status, "{name}");
    }
    assert_eq!(create(json!({"driver": "fake-hardware", "name": "x".repeat(256)})).await.code(), 400);
    let text = "Größe 大 🦀 \u{1} \u{7f} \u{fffd}";
    let extra = json!({"ключ": text, "big": 9_223_372_036_854_775_807_i64, "small": -1e-300, "long": "x".repeat(100_000)});
    let made = create(json!({"driver": "fake-hardware", "description": text, "extra": extra})).await;
    assert_eq!(made.code(), 201, "{}", made.text);
    let back = site.get(&format!("/v1/nodes/{}", made.json()["uuid"].as_str().unwrap())).await.json();
    assert_eq!((&back["description"], &back["extra"]), (&json!(text), &extra));
    for path in [
        "/v1/nodes/n%00",
        "/v1/ports/n%00",
        "/v1/heartbeat/n%00",
        "/v1/conductors/n%00",
        "/v1/drivers/n%00",
        "/v1/nodes?owner=%00",
        "/v1/nodes/%ff",
        "/v1/nodes?owner=%ff",
        "/v1/nodes?limit=99999999999999999999",
        "/v1/nodes?limit=-1",
        "/v1/nodes?marker=%00",
        "/v1/lookup?addresses=%00",
    ] {
        let method = if path.contains("heartbeat") { "POST" } else { "GET" };
        let answer = site.call(method, path, NEWEST, Value::Null).await;
        // Bytes that are no text are read as the replacement character in a query, as the URL standard says.
        let status = if path.ends_with("owner=%ff") { 200 } else { 400 };
        assert_eq!(answer.code(), status, "{path}: {}", answer.text);
    }
}
