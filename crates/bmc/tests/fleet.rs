//! Five hundred BMCs at once: none waits for another, and dead ones cost nothing. Prints what it measures.

#[path = "support/machine.rs"]
mod machine;

use bmc::emulator::{Faults, IpmiServer};
use bmc::{IpmiClient, IpmiPool, Options, Patience, PowerState};
use machine::{Machine, client_of, machine_at, options};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const FLEET: u8 = 250;
/// Each of 250 addresses has two BMCs.
const PER_ADDRESS: u16 = 2;

async fn fleet() -> Vec<IpmiServer<Machine>> {
    let mut servers = Vec::new();
    for host in 1..=FLEET {
        for _ in 0..PER_ADDRESS {
            servers.push(machine_at(&format!("127.77.3.{host}:0")).await);
        }
    }
    servers
}

/// Asks all at once; gives how many answered, how many did not, and how long it took.
async fn ask_all(clients: &[IpmiClient]) -> (usize, usize, Duration) {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        let client = client.clone();
        tasks.spawn(async move { client.power_state().await });
    }
    let outcomes = tasks.join_all().await;
    let answered = outcomes.iter().filter(|outcome| matches!(outcome, Ok(PowerState::Off))).count();
    (answered, outcomes.len() - answered, started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_bmcs_are_asked_at_once() {
    let servers = fleet().await;
    let pool = IpmiPool::new(Options {
        patience: Patience { failures_to_open: 1, ..Patience::default() },
        ..options()
    });
    let clients: Vec<_> = servers.iter().map(|server| client_of(&pool, server)).collect();
    let (answered, _, login) = ask_all(&clients).await;
    assert_eq!(answered, 500);
    assert_eq!(pool.session_count(), 500);
    let (answered, _, reuse) = ask_all(&clients).await;
    assert_eq!(answered, 500);
    println!("500 BMCs: power state with login {login:?}, with open sessions {reuse:?}");
    assert!(login < Duration::from_secs(10), "{login:?}");
    assert!(reuse < Duration::from_secs(5), "{reuse:?}");

    // A tenth of them die. The others do not notice; after one deadline the dead ones do not matter either.
    for server in servers.iter().step_by(10) {
        server.set_faults(Faults { deaf: true, ..Faults::default() });
    }
    let (living, dead): (Vec<_>, Vec<_>) =
        clients.into_iter().enumerate().partition(|(index, _)| index % 10 != 0);
    let living: Vec<_> = living.into_iter().map(|(_, client)| client).collect();
    let dead: Vec<_> = dead.into_iter().map(|(_, client)| client).collect();
    let burying = tokio::spawn(async move {
        let outcome = ask_all(&dead).await;
        (outcome, dead)
    });
    let (answered, _, took) = ask_all(&living).await;
    println!("450 living BMCs while 50 dead ones are being found out: {took:?}");
    assert_eq!(answered, 450);
    assert!(took < Duration::from_secs(5), "{took:?}");
    burying.abort();
    pool.shutdown().await;
    assert_eq!(servers.iter().skip(1).step_by(10).map(|s| s.with(|s| s.session_count())).sum::<usize>(), 0);
}
