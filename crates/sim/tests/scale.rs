//! What a large fleet costs: memory per machine, and the time to ask 500 BMCs. Prints what it measures; its bounds are
//! wide, for busy machines, and only catch a change in order of magnitude.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use bmc::{Credentials, IpmiPool, Options, PowerState, Target};
use futures_util::future::join_all;
use ipmi::{Password, Username};
use sim::{Fleet, FleetOptions};
use tokio::time::Instant;

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
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
        let states = join_all(clients.iter().map(|client| client.power_state())).await;
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
    fleet.stop().await;
    small.stop().await;
}
