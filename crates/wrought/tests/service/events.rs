//! Readers of the stream of events, while many write and the service is killed: each change is seen once by each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use hostcmd::Command;
use reqwest::{Client, Method};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::LONG;
use crate::api::Api;
use crate::site::{Settings, Site};

const WRITERS: usize = 8;
const READERS: usize = 4;
/// After so many changes the service is killed.
const KILLED_AT: [usize; 2] = [3_000, 7_000];
const CHANGES: usize = 10_000;
/// The whole of it, on a busy computer.
const LIMIT: Duration = Duration::from_mins(6);
const HOWTO: &str = include_str!("../../../../docs/howto/follow-events.md");

/// A number that follows from another one and looks like chance.
fn shuffle(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// A UUID that says who wrote it as which change.
fn uuid(writer: usize, change: usize) -> String {
    format!("00000000-0000-4000-8000-{writer:04x}{change:08x}")
}

/// Makes a chassis; again when nobody answers, until it is known to be there.
async fn make(api: &Api, uuid: &str) {
    let body = json!({ "uuid": uuid, "description": "d" });
    let since = Instant::now();
    loop {
        let answer = api.request(Method::POST, "/v1/chassis").json(&body).send().await;
        match answer.map(|answer| answer.status().as_u16()) {
            // 409: it was made, and the answer lost.
            Ok(201 | 409) => return,
            Ok(503) | Err(_) => {}
            Ok(other) => panic!("{uuid}: {other}"),
        }
        assert!(since.elapsed() < LONG, "the service stays away");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads until `wanted` chassis were seen, with connections that end by chance or by death; how often each was seen, by
/// the numbers of the events in the order they came.
async fn follow(url: String, wanted: usize, mut seed: u64) -> BTreeMap<String, usize> {
    let client = Client::builder().no_proxy().build().unwrap();
    let (mut cursor, mut seen) = (0_i64, BTreeMap::new());
    while seen.len() < wanted {
        let request = client
            .get(format!("{url}/v1/events/stream?since=0&type=baremetal.chassis.create"))
            .header("Last-Event-ID", cursor.to_string());
        let Ok(answer) = request.send().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        assert_eq!(answer.status(), 200);
        let mut left = 1 + usize::try_from(shuffle(&mut seed) % 2_000).unwrap();
        let (mut body, mut text) = (answer.bytes_stream(), Vec::new());
        while left > 0 && seen.len() < wanted {
            let Some(Ok(bytes)) = body.next().await else { break };
            text.extend_from_slice(&bytes);
            let Some(end) = text.windows(2).rposition(|pair| pair == b"\n\n") else { continue };
            let rest = text.split_off(end + 2);
            for block in String::from_utf8(std::mem::replace(&mut text, rest)).unwrap().split("\n\n") {
                if left > 0 {
                    left -= usize::from(take(block, &mut cursor, &mut seen));
                }
            }
        }
    }
    seen
}

/// Takes one block; whether it was an event.
fn take(block: &str, cursor: &mut i64, seen: &mut BTreeMap<String, usize>) -> bool {
    let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let Some(id) = line("id: ") else { return false };
    let id: i64 = id.parse().unwrap();
    let Some(data) = line("data: ") else {
        assert!(id >= *cursor);
        *cursor = id;
        return false;
    };
    assert!(id > *cursor, "{id} after {cursor}");
    *cursor = id;
    let data: Value = serde_json::from_str(data).unwrap();
    let uuid = data["payload"]["ironic_object.data"]["uuid"].as_str().unwrap();
    *seen.entry(uuid.to_owned()).or_default() += 1;
    true
}

async fn each_change_is_seen_once(settings: Settings) {
    let mut site = Site::start(&settings).await;
    let (api, made) = (site.api(), Arc::new(AtomicUsize::new(0)));
    let each = CHANGES / WRITERS;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (api, made) = (api.clone(), Arc::clone(&made));
            tokio::spawn(async move {
                for change in 0..each {
                    make(&api, &uuid(writer, change)).await;
                    made.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let readers: Vec<_> =
        (0..READERS).map(|seed| tokio::spawn(follow(site.url(), CHANGES, seed as u64))).collect();
    for killed_at in KILLED_AT {
        while made.load(Ordering::Relaxed) < killed_at {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kill_process(site.process_id(), Signal::KILL).unwrap();
        site.bury().await;
        site.run().await;
    }
    for ended in join_all(writers).await {
        ended.unwrap();
    }
    let caught_up = Instant::now();
    for seen in join_all(readers).await {
        let seen = seen.unwrap();
        assert_eq!(seen.len(), CHANGES);
        assert!(seen.values().all(|times| *times == 1), "each once");
    }
    assert!(caught_up.elapsed() < LONG, "readers are not behind: {:?}", caught_up.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let run = each_change_is_seen_once(Settings::default());
    tokio::time::timeout(LIMIT, run).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let server = lab::Postgres::start().await.unwrap();
    let database = server.create_database("events").await.unwrap();
    let run = each_change_is_seen_once(Settings { database: Some(database), ..Settings::default() });
    tokio::time::timeout(LIMIT, run).await.expect("in time");
    server.stop().await.unwrap();
}

/// The command of the manual, word for word but for the place and the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_of_the_manual() {
    let site = Site::start(&Settings { auth: "http_basic", ..Settings::default() }).await;
    let node = json!({"driver": "ipmi", "name": "one"});
    site.api().ok(Method::POST, "/v1/nodes", Some(&node)).await;
    let line = HOWTO.lines().find(|line| line.starts_with("curl ")).unwrap();
    let line =
        line.replace("http://127.0.0.1:6385", &site.url()).replace("PASSWORD", site.password().unwrap());
    let words = line.split(' ').map(|word| word.trim_matches('"').to_owned()).skip(1);
    let out = site.path("curl.out");
    let child = Command::new("curl").args(words).spawn(&out).unwrap();
    let since = Instant::now();
    loop {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        if text.contains("event: baremetal.node.create.end\ndata: {\"id\":") {
            break;
        }
        assert!(since.elapsed() < LONG, "{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(child);
}
