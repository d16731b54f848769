//! What a large fleet costs: memory per machine, and the time to ask 500 BMCs. Prints what it measures; its bounds are
//! wide, for busy machines, and only catch a change in order of magnitude.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bmc::{Credentials, IpmiClient, IpmiPool, Options, PowerState, Target};
use futures_util::future::join_all;
use ipmi::{Password, Username};
use serde_json::json;
use sim::{ApiAccess, Fleet, FleetOptions, Span, Timing};
use tokio::time::Instant;

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Lookup and heartbeat for agents whose MAC tells their node.
async fn api() -> url::Url {
    let lookup = |query: RawQuery| async move {
        let node = query.0.unwrap_or_default();
        let config = json!({"agent_token": "t".repeat(43), "heartbeat_timeout": 300});
        Json(json!({"node": {"uuid": node.replace(|c: char| !c.is_ascii_hexdigit(), "")}, "config": config}))
    };
    let app = Router::new()
        .route("/", get(|| async { Json(json!({"default_version": {"version": "1.115"}})) }))
        .route("/v1/lookup", get(lookup))
        .route("/v1/heartbeat/{node}", post(|| async { StatusCode::ACCEPTED }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}").parse().unwrap()
}

/// Boots 500 agents; gives the time to the last one's first heartbeat, and bytes per machine with the API's side.
async fn measure_agents() -> (Duration, u64) {
    let url = api().await;
    let heartbeat = Some(Span::millis(3_000, 6_000));
    let options = FleetOptions {
        api: Some(ApiAccess::new(url)),
        timing: Timing { heartbeat, ..Timing::hurried() },
        ..FleetOptions::new(500, 3)
    };
    let before = resident();
    let started = Instant::now();
    let fleet = Fleet::start(options).await.unwrap();
    for machine in fleet.machines() {
        machine.power_on();
    }
    for machine in fleet.machines() {
        let state = machine.wait_for(Duration::from_mins(1), |state| state.heartbeats > 0).await;
        assert!(state.is_some(), "{:?}", machine.state());
    }
    let boot = started.elapsed();
    let each = (resident() - before) / 500;
    assert!(each < 256 * 1024, "{each} bytes per machine with an agent");
    fleet.stop().await;
    (boot, each)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_fit_and_five_hundred_answer() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    // The first one pays for what all share.
    let small = Fleet::start(FleetOptions::new(1, 1)).await.unwrap();
    let before = resident();
    let started = Instant::now();
    let fleet = Fleet::start(FleetOptions::new(2000, 2)).await.unwrap();
    let start = started.elapsed();
    let idle = (resident() - before) / 2000;
    assert!(idle < 32 * 1024, "{idle} bytes per machine");

    let pool = IpmiPool::new(Options::default());
    let clients: Vec<_> = fleet.machines()[..500]
        .iter()
        .map(|machine| {
            let address = machine.bmc_address();
            let user = Username::new(machine.credentials().username.clone()).unwrap();
            let password = Password::new(machine.credentials().password.clone()).unwrap();
            let target = Target::with_port(address.ip().to_string(), address.port());
            pool.client(target, Credentials::new(user, password))
        })
        .collect();
    let ask = || async {
        let started = Instant::now();
        let states = join_all(clients.iter().map(IpmiClient::power_state)).await;
        assert!(states.into_iter().all(|state| state.unwrap() == PowerState::Off));
        started.elapsed()
    };
    let (login, reuse) = (ask().await, ask().await);
    println!(
        "2000 machines started in {start:?}, {idle} bytes each; power state of 500 BMCs: {login:?} with login, \
         {reuse:?} with open sessions"
    );
    assert!(login < Duration::from_secs(20) && reuse < Duration::from_secs(10), "{login:?} {reuse:?}");
    pool.shutdown().await;
    let (boot, each) = measure_agents().await;
    println!("500 agents: all sent a heartbeat after {boot:?}, {each} bytes each, the API's side included");
    fleet.stop().await;
    small.stop().await;
}
