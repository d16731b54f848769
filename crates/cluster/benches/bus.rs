//! What a request to another process costs on each bus, in microseconds: `cargo bench -p cluster`. Both servers are the
//! measurement's own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people to read")]

use std::sync::Arc;
use std::time::Duration;

use cluster::bus::{Answers, Broker, Bus, Question, RabbitBus, StoreBus};
use db::{Db, Options, Registration};
use futures_util::future::{BoxFuture, join_all};
use model::Secret;
use tokio::sync::watch;
use tokio::time::Instant;

/// Requests one after another.
const ALONE: usize = 1_000;
/// Requests at once.
const TOGETHER: usize = 100;
/// A request as most are.
const SMALL: usize = 300;
/// A request with a config drive.
const LARGE: usize = 1 << 20;

struct Echo;

impl Answers for Echo {
    fn answer(&self, question: Question) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move { Some(question.text) })
    }
}

#[tokio::main]
async fn main() {
    let postgres = lab::Postgres::start().await.unwrap();
    let url = postgres.create_database("bench").await.unwrap();
    let open = async || Db::open(&Options::new(url.parse().unwrap())).await.unwrap();
    let (one, other) = (open().await, open().await);
    let host = Registration {
        hostname: "host".to_owned(),
        conductor_group: String::new(),
        hardware_types: Vec::new(),
    };
    one.register_conductor(host).await.unwrap();
    measure("PostgreSQL (fsync off)", &StoreBus::open(one), &StoreBus::open(other)).await;
    let rabbit = lab::Rabbit::start().await.unwrap();
    let broker = Broker::new(&Secret::new(rabbit.url()), None, "bench").unwrap();
    measure("RabbitMQ", &RabbitBus::open(broker.clone()), &RabbitBus::open(broker)).await;
    postgres.stop().await.unwrap();
}

async fn measure(name: &str, asking: &impl Bus, serving: &impl Bus) {
    let taken = serving.serve("host", watch::Sender::new(1).subscribe(), Arc::new(Echo));
    taken.ready().await;
    let ask = async |size: usize| {
        let began = Instant::now();
        asking.request("host", "x".repeat(size), began + Duration::from_mins(1)).await.unwrap();
        began.elapsed()
    };
    // The first ones make connections.
    join_all((0..TOGETHER).map(|_| ask(SMALL))).await;
    for (what, size, count) in [("small", SMALL, ALONE), ("1 MiB", LARGE, ALONE / 20)] {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(ask(size).await.as_micros());
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "{name}: {what}, one after another: median {} µs, p90 {} µs, p99 {} µs",
            at(50),
            at(90),
            at(99)
        );
    }
    let began = Instant::now();
    for _ in 0..ALONE / TOGETHER {
        join_all((0..TOGETHER).map(|_| ask(SMALL))).await;
    }
    let each = began.elapsed().as_micros() / u128::try_from(ALONE).unwrap();
    println!("{name}: small, {TOGETHER} at once: {each} µs each");
    taken.stop().await;
    asking.close().await;
    serving.close().await;
}
