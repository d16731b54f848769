//! The stream of events: what readers get, from where on, for how long.

use std::sync::Arc;
use std::time::Duration;

use api::{NoAuth, Options, ServeLimits, serve};
use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{Request, Response};
use model::{Node, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::fixture::{CALLER, SaidBy, Site, caller, options};

const STREAM: &str = "/v1/events/stream";

/// One block of a stream.
#[derive(Debug, Default, Clone)]
struct Block {
    id: Option<i64>,
    event: String,
    data: Value,
    comment: bool,
}

/// A reader of a stream.
struct Reader {
    body: BodyDataStream,
    text: String,
}

impl Reader {
    async fn open(site: &Site, query: &str, headers: &[(&str, &str)]) -> Self {
        let response = send(site, query, headers).await;
        assert_eq!(response.status(), 200);
        let mut reader = Self { body: response.into_body().into_data_stream(), text: String::new() };
        let hello = reader.next().await;
        assert!(hello.id.is_some() && hello.event.is_empty(), "{hello:?}");
        reader
    }

    /// The next block.
    async fn next(&mut self) -> Block {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (parsed(block), rest.to_owned());
                self.text = rest;
                return block;
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.next()).await;
            let bytes = frame.expect("something comes").expect("the stream goes on").unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The type of the next event, without what all begin with.
    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.next().await;
            if !block.event.is_empty() {
                assert_eq!(block.data["event_type"], block.event);
                assert_eq!(block.data["id"], block.id.unwrap());
                return (block.event.replace("baremetal.", ""), block.data);
            }
        }
    }
}

fn parsed(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        match line.split_once(':').unwrap() {
            ("", _) => block.comment = true,
            ("id", id) => block.id = Some(id.trim().parse().unwrap()),
            ("event", event) => event.trim().clone_into(&mut block.event),
            ("data", data) => block.data = serde_json::from_str(data).unwrap(),
            ("retry", _) => {}
            other => panic!("{other:?}"),
        }
    }
    block
}

async fn send(site: &Site, query: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().uri(format!("{STREAM}{query}")).header("host", "a:1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn change(site: &Site, node: &Node, description: &str) {
    let patch = json!([{"op": "add", "path": "/description", "value": description}]);
    assert_eq!(site.patch(&format!("/v1/nodes/{}", node.uuid), patch).await.code(), 200);
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let response = send(&site, "", &[("accept", "text/event-stream")]).await;
    for (name, value) in [("content-type", "text/event-stream"), ("cache-control", "no-cache")] {
        assert_eq!(response.headers()[name], value);
    }
    let mut reader = Reader::open(&site, "", &[]).await;
    change(&site, &node, "one").await;
    let (kind, data) = reader.event().await;
    assert_eq!(kind, "node.update.end", "what was before is not told");
    let payload = &data["payload"];
    assert_eq!(payload["ironic_object.name"], "NodeCRUDPayload");
    assert_eq!(payload["ironic_object.data"]["description"], "one");
    assert_eq!(data["priority"], "INFO");
    site.call("PUT", &format!("/v1/nodes/{}/maintenance", node.uuid), 115, json!({})).await;
    assert_eq!(reader.event().await.0, "node.maintenance_set.end");
    let made = site.call("POST", "/v1/chassis", 115, json!({"description": "rack"})).await.json();
    let (kind, data) = reader.event().await;
    assert_eq!(
        (kind.as_str(), &data["payload"]["ironic_object.data"]["uuid"]),
        ("chassis.create.end", &made["uuid"])
    );
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    change(&site, &node, "1").await;
    let mut reader = Reader::open(&site, "?since=0", &[]).await;
    let (first, second) = (reader.event().await, reader.event().await);
    assert_eq!((first.0.as_str(), second.0.as_str()), ("node.create.end", "node.update.end"));
    drop(reader);
    change(&site, &node, "2").await;
    // A browser asks for the same URL again, and says in a header what it saw last.
    let id = second.1["id"].to_string();
    let mut reader = Reader::open(&site, "?since=0", &[("last-event-id", &id)]).await;
    let description = |data: &Value| data["payload"]["ironic_object.data"]["description"].clone();
    assert_eq!(description(&reader.event().await.1), "2");
    // More than one read has.
    for index in 0..150 {
        change(&site, &node, &format!("x{index}")).await;
    }
    let mut reader = Reader::open(&site, &format!("?since={id}"), &[]).await;
    reader.event().await;
    for index in 0..150 {
        assert_eq!(description(&reader.event().await.1), format!("x{index}"));
    }
}

#[tokio::test]
async fn filters() {
    let site = Site::new().await;
    let node = site.node(|node| node.name = Some("one".to_owned())).await;
    let other = site.node(|_| ()).await;
    let port = site.port(&node).await;
    change(&site, &other, "o").await;
    change(&site, &node, "n").await;
    site.call("DELETE", &format!("/v1/ports/{}", port.uuid), 115, Value::Null).await;
    let end = site.db.last_event().await.unwrap();
    let all = async |query: &str| {
        let mut reader =
            Reader::open(&site, &format!("?since=0&{query}"), &[("x-openstack-ironic-api-version", "1.99")])
                .await;
        // A last event that every filter lets through.
        let mark = site.db.last_event().await.unwrap();
        let mut seen = Vec::new();
        let mut ids = Vec::new();
        while let Some((block, rest)) = reader.text.split_once("\n\n") {
            let block = parsed(block);
            reader.text = rest.to_owned();
            ids.push(block.id.unwrap());
            seen.push(block.event.replace("baremetal.", ""));
        }
        assert_eq!(mark, end);
        assert!(ids.is_sorted());
        seen
    };
    let of_one = ["node.create.end", "port.create.end", "node.update.end", "port.delete.end"];
    assert_eq!(all(&format!("node={}", node.uuid)).await, of_one, "its parts included");
    assert_eq!(all("node=one").await, of_one);
    assert_eq!(all("type=baremetal.port.").await, ["port.create.end", "port.delete.end"]);
    assert_eq!(all(&format!("resource={}&type=baremetal.port.c", port.uuid)).await, ["port.create.end"]);
    assert_eq!(all("type=baremetal.port.delete,baremetal.node.update&node=one").await, of_one[2..]);
    assert_eq!(all("").await.len(), 6);
}

#[tokio::test]
async fn readers_of_few_events_are_kept_alive_and_up_to_date() {
    let site =
        Site::with(Options { event_heartbeat: Duration::from_millis(50), ..options() }, |_| Arc::new(NoAuth))
            .await;
    let node = site.node(|_| ()).await;
    let mut reader = Reader::open(&site, "?type=baremetal.chassis", &[]).await;
    assert!(reader.next().await.comment);
    change(&site, &node, "not for it").await;
    let newest = site.db.last_event().await.unwrap();
    loop {
        let block = reader.next().await;
        assert!(block.comment && block.event.is_empty(), "{block:?}");
        if block.id == Some(newest) {
            break;
        }
    }
}

#[tokio::test]
async fn cursors_that_cannot_be_used_are_refused() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    for index in 0..9 {
        change(&site, &node, &format!("{index}")).await;
    }
    let retention = db::EventRetention { age: Duration::from_hours(1), count: 4 };
    site.db.prune_events(retention, Timestamp::now()).await.unwrap();
    let gone = site.get(&format!("{STREAM}?since=0")).await;
    assert_eq!(gone.code(), 410);
    let newest = site.db.last_event().await.unwrap();
    let oldest = newest - 4;
    assert!(gone.fault().contains(&format!("oldest number to go on from is {oldest}")), "{}", gone.fault());
    assert_eq!(site.get(&format!("{STREAM}?since={}", oldest - 1)).await.code(), 410);
    let mut reader = Reader::open(&site, &format!("?since={oldest}"), &[]).await;
    for _ in 0..4 {
        assert_eq!(reader.event().await.0, "node.update.end");
    }
    let ahead = site.get(&format!("{STREAM}?since={}", newest + 1)).await;
    assert!(ahead.code() == 410 && ahead.fault().contains("restored"), "{}", ahead.fault());
    for query in ["?since=-1", "?since=x", "?node=none~such", "?resource=1", "?bogus=1"] {
        let code = site.get(&format!("{STREAM}{query}")).await.code();
        assert!([400, 404].contains(&code), "{query} {code}");
    }
    let kinds = vec!["a"; 17].join(",");
    assert_eq!(site.get(&format!("{STREAM}?type={kinds}")).await.code(), 400);
    assert_eq!(send(&site, "", &[("last-event-id", "x")]).await.status(), 400);
    assert_eq!(send(&site, "", &[("accept", "application/json")]).await.status(), 406);
    assert_eq!(site.call("POST", STREAM, 115, json!({})).await.code(), 405);
}

#[tokio::test]
async fn projects_see_what_is_theirs_and_not_more_of_it_than_elsewhere() {
    let callers = vec![
        caller(Some("p"), &["reader", "member"]),
        caller(Some("q"), &["reader"]),
        caller(Some("p"), &[]),
    ];
    let site = Site::with(options(), |_| Arc::new(SaidBy(callers))).await;
    let node = site
        .node(|node| {
            node.owner = Some("p".to_owned());
            node.driver_info.set("ipmi_address", json!("192.0.2.1"));
        })
        .await;
    site.node(|_| ()).await;
    site.call("POST", "/v1/chassis", 115, json!({})).await;
    change(&site, &node, "theirs").await;
    let mut reader = Reader::open(&site, "?since=0", &[(CALLER, "0")]).await;
    let (kind, data) = reader.event().await;
    assert_eq!(
        (kind.as_str(), &data["payload"]["ironic_object.data"]["uuid"]),
        ("node.create.end", &json!(node.uuid))
    );
    let told = &data["payload"]["ironic_object.data"]["driver_info"];
    let path = format!("/v1/nodes/{}", node.uuid);
    let shown = site.call_as(0, "GET", &path, Value::Null).await.json()["driver_info"].clone();
    assert_eq!(*told, shown, "as reading the node shows it");
    assert_eq!(reader.event().await.0, "node.update.end");
    let mut reader = Reader::open(&site, "?since=0", &[(CALLER, "1")]).await;
    change(&site, &node, "again").await;
    let waits = tokio::time::timeout(Duration::from_millis(300), reader.event()).await;
    assert!(waits.is_err(), "{waits:?}");
    assert_eq!(send(&site, "", &[(CALLER, "2")]).await.status(), 403);
}

/// Over a socket: a stream ends when the service stops, and a reader that takes nothing is dropped.
#[tokio::test]
async fn streams_end() {
    let site = Site::new().await;
    let node = site.node(|_| ()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let limits = ServeLimits { write_timeout: Duration::from_millis(500), ..ServeLimits::default() };
    let router = site.router.clone();
    let server = tokio::spawn(serve(listener, router, limits, async {
        let _ = stopped.await;
    }));
    let request = format!("GET {STREAM}?since=0 HTTP/1.1\r\nHost: a\r\n\r\n");
    let open = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let mut slow = open().await;
    let mut before = String::new();
    // What does not fit into the buffers of the sockets: this one is never read.
    let extra = "x".repeat(500_000);
    for index in 0..40 {
        let patch = json!([{"op": "add", "path": "/extra", "value": {"n": index, "x": extra}}]);
        assert_eq!(site.patch(&format!("/v1/nodes/{}", node.uuid), patch).await.code(), 200);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all = slow.read_to_string(&mut before).await;
    assert!(all.is_err() || !before.contains("\"n\":39"), "it was dropped before the end");
    // Nothing is lost: who comes back gets the rest.
    let mut rest = open().await;
    let mut buffer = vec![0; 1 << 20];
    let mut text = String::new();
    while !text.contains("\"n\":39") {
        let count = rest.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0);
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let since = tokio::time::Instant::now();
    stop.send(()).unwrap();
    rest.read_to_string(&mut text).await.unwrap();
    server.await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}
