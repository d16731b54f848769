//! The pool against emulated BMCs over real sockets: sessions, queue, breaker, deadlines.

#[path = "support/machine.rs"]
mod machine;

use bmc::emulator::Faults;
use bmc::{BootSetting, Credentials, Error, IpmiPool, Options, Patience, PowerState, Retry, Target};
use ipmi::command::RawRequest;
use ipmi::command::boot::BootDevice;
use ipmi::command::chassis::ChassisControl;
use ipmi::server::ServerConfig;
use ipmi::wire::message::NetFn;
use ipmi::{CipherChoice, CipherSuite, ClientError, CompletionCode, Password};
use machine::{
    PASSWORD, UUID, chain, client_of, credentials, machine, machine_at, options, server_config, target, users,
};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

fn impatient() -> Options {
    let mut options = options();
    options.timing.first_retry = Duration::from_millis(50);
    options.timing.connect = Duration::from_millis(400);
    options.timing.request = Duration::from_millis(400);
    options
}

/// Gives an unanswered command up quickly, but leaves time to log in on a loaded host.
fn hasty() -> Options {
    let mut options = options();
    options.timing.request = Duration::from_secs(1);
    options
}

#[tokio::test]
async fn the_whole_api_over_ipv4_and_ipv6() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = machine_at(address).await;
        let pool = IpmiPool::new(options());
        let bmc = client_of(&pool, &server);
        assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
        bmc.chassis_control(ChassisControl::PowerUp).await.unwrap();
        bmc.wait_for_power_state(PowerState::On, Duration::from_secs(30)).await.unwrap();
        assert_eq!(bmc.device_id().await.unwrap().product, 0x1234);
        assert_eq!(bmc.guid().await.unwrap().to_uuid(), UUID);
        let none =
            BootSetting { valid: false, device: BootDevice::NoOverride, persistent: false, uefi: false };
        assert_eq!(bmc.get_boot_device().await.unwrap(), none);
        bmc.set_boot_device(BootDevice::Pxe, true, true).await.unwrap();
        let pxe = BootSetting { valid: true, device: BootDevice::Pxe, persistent: true, uefi: true };
        assert_eq!(bmc.get_boot_device().await.unwrap(), pxe);
        let raw = RawRequest { net_fn: NetFn::STORAGE, command: 0x43, data: vec![] };
        assert_eq!(bmc.raw(raw).await.unwrap().completion, CompletionCode::InvalidCommand);
        assert_eq!(server.with(|server| server.session_count()), 1, "all through one session");
        pool.shutdown().await;
        assert_eq!(server.with(|server| server.session_count()), 0);
        assert!(matches!(bmc.power_state().await, Err(Error::ShuttingDown { .. })));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn a_lossy_network_only_takes_longer() {
    let server = machine().await;
    server.set_faults(Faults { lose_one_in: std::num::NonZeroU32::new(4), ..Faults::default() });
    let mut options = options();
    options.timing.first_retry = Duration::from_millis(20);
    options.timing.longest_retry = Duration::from_millis(100);
    options.timing.connect = Duration::from_mins(1);
    options.timing.request = Duration::from_mins(1);
    let pool = IpmiPool::new(options);
    let bmc = client_of(&pool, &server);
    for _ in 0..20 {
        bmc.chassis_control(ChassisControl::DiagnosticInterrupt).await.unwrap();
    }
    assert_eq!(server.with(|server| server.chassis().controls.len()), 20, "each of them once");
}

#[tokio::test]
async fn a_dead_bmc_costs_one_deadline_then_nothing() {
    // A socket that nobody reads: as silent as a BMC without power.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let pool = IpmiPool::new(Options {
        patience: Patience { failures_to_open: 1, ..Patience::default() },
        ..impatient()
    });
    let bmc = pool.client(target(silent.local_addr().unwrap()), credentials());
    let error = bmc.power_state().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { sent: 2..=4, .. }), "{error:?}");
    let started = Instant::now();
    for _ in 0..100 {
        let error = bmc.power_state().await.unwrap_err();
        assert!(matches!(error, Error::Remembered { .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::Transient);
        assert!(chain(&error).contains("is unreachable: no answer to "), "{}", chain(&error));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "a hundred attempts would take 40 s");
}

#[tokio::test]
async fn a_bmc_that_dies_with_a_session_open_costs_its_silence_and_not_a_request_and_a_login() {
    let server = machine().await;
    let mut options = options();
    options.timing.silence = Duration::from_millis(600);
    options.timing.request = Duration::from_mins(1);
    options.timing.connect = Duration::from_mins(1);
    let pool = IpmiPool::new(options);
    let bmc = client_of(&pool, &server);
    bmc.power_state().await.unwrap();
    server.set_faults(Faults { deaf: true, ..Faults::default() });
    let started = Instant::now();
    let error = bmc.power_state().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_bmc_is_probed_again_and_comes_back() {
    let server = machine().await;
    server.set_faults(Faults { deaf: true, ..Faults::default() });
    let first_probe = Duration::from_millis(300);
    let pool = IpmiPool::new(Options {
        patience: Patience { failures_to_open: 1, first_probe, ..Patience::default() },
        ..impatient()
    });
    let bmc = client_of(&pool, &server);
    assert!(matches!(bmc.power_state().await, Err(Error::Unreachable { .. })));
    server.set_faults(Faults::default());
    bmc.wait_for_power_state(PowerState::Off, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_named_at_once() {
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let pool = IpmiPool::new(options());
    let error = pool.client(target(gone), credentials()).power_state().await.unwrap_err();
    assert!(matches!(error, Error::PortClosed { .. }), "{error:?}");
    assert!(error.to_string().contains(&gone.to_string()));
}

#[tokio::test]
async fn a_wrong_password_is_remembered_until_it_is_changed() {
    let server = machine().await;
    let pool = IpmiPool::new(options());
    let wrong = Credentials { password: Password::new("nonsense").unwrap(), ..credentials() };
    let bmc = pool.client(target(server.local_addr()), wrong);
    let error = bmc.power_state().await.unwrap_err();
    assert!(matches!(error, Error::Login { source: ClientError::WrongPassword, .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::NeedsOperator);
    let text = chain(&error);
    assert!(text.contains("correct the node's BMC password") && text.ends_with("wrong password"), "{text}");
    assert!(!text.contains("nonsense"));
    let again = bmc.power_state().await.unwrap_err();
    assert!(matches!(again, Error::Remembered { .. }), "the account is not to be locked: {again:?}");
    assert_eq!(again.retry(), Retry::NeedsOperator);
    client_of(&pool, &server).power_state().await.unwrap();
}

#[tokio::test]
async fn new_credentials_make_a_new_session() {
    let server = machine().await;
    let pool = IpmiPool::new(options());
    client_of(&pool, &server).power_state().await.unwrap();
    server.with(|server| server.set_users(users("changed")));
    client_of(&pool, &server).power_state().await.unwrap();
    let changed = Credentials { password: Password::new("changed").unwrap(), ..credentials() };
    pool.client(target(server.local_addr()), changed).power_state().await.unwrap();
    assert_eq!(server.with(|server| server.session_count()), 1, "the old session was closed");
    let error = client_of(&pool, &server).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Login { source: ClientError::WrongPassword, .. }), "{error:?}");
}

#[tokio::test]
async fn a_session_that_the_bmc_forgot_is_opened_again_and_nothing_is_done_twice() {
    let server = machine().await;
    let pool = IpmiPool::new(hasty());
    let bmc = client_of(&pool, &server);
    bmc.power_state().await.unwrap();
    server.with(ipmi::server::Server::forget_sessions);
    // Repeatable: tried again in a new session without the caller noticing.
    bmc.power_state().await.unwrap();
    server.with(ipmi::server::Server::forget_sessions);
    // Not repeatable, on a session heard of just now: the caller must know.
    let error = bmc.chassis_control(ChassisControl::DiagnosticInterrupt).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
    bmc.power_state().await.unwrap();
    server.with(ipmi::server::Server::forget_sessions);
    // Not repeatable, on an old session: proved to be alive first, so that it is sent once and answered.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    bmc.chassis_control(ChassisControl::DiagnosticInterrupt).await.unwrap();
    assert_eq!(server.with(|server| server.chassis().controls.len()), 1);
}

#[tokio::test]
async fn a_changed_cipher_suite_is_negotiated_anew() {
    let server = machine().await;
    let pool = IpmiPool::new(hasty());
    let bmc = client_of(&pool, &server);
    bmc.power_state().await.unwrap();
    let address = server.local_addr();
    server.shutdown().await;
    let suites = vec![CipherSuite::Sha1];
    let config = ServerConfig { suites, ..server_config() };
    let server = bmc::emulator::IpmiServer::bind(address, config, machine::Machine::default()).await.unwrap();
    bmc.power_state().await.unwrap();
    let only = Credentials { cipher: CipherChoice::Only(CipherSuite::Sha256), ..credentials() };
    let error = pool.client(target(server.local_addr()), only).power_state().await.unwrap_err();
    assert_eq!(error.retry(), Retry::NeedsOperator);
    assert!(error.to_string().contains("enable cipher suite 17 or 3 in the BMC"), "{error}");
}

#[tokio::test]
async fn a_busy_bmc_is_asked_again() {
    let server = machine().await;
    server.with(|server| server.chassis_mut().busy = 3);
    let pool = IpmiPool::new(options());
    client_of(&pool, &server).chassis_control(ChassisControl::PowerUp).await.unwrap();
    assert_eq!(server.with(|server| server.chassis().controls.len()), 1);
}

#[tokio::test]
async fn a_refused_command_says_what_and_why() {
    let server = machine().await;
    let pool = IpmiPool::new(options());
    let error = client_of(&pool, &server).chassis_control(ChassisControl::HardReset).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Transient);
    let address = server.local_addr();
    assert_eq!(
        chain(&error),
        format!(
            "BMC {address} could not reset: Chassis Control: command or parameter is not possible in the present \
             state (completion code 0xd5)"
        )
    );
}

#[tokio::test]
async fn one_request_is_in_flight_and_the_queue_is_bounded() {
    let server = machine().await;
    server.set_faults(Faults { delay: Duration::from_millis(50), ..Faults::default() });
    let pool = IpmiPool::new(Options { max_waiting: 4, ..options() });
    let bmc = client_of(&pool, &server);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let bmc = bmc.clone();
        tasks.spawn(async move { bmc.power_state().await });
    }
    let outcomes = tasks.join_all().await;
    let full =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::QueueFull { waiting: 4, .. }))).count();
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((answered, full), (4, 6));
    assert_eq!(server.with(|server| server.session_count()), 1);
}

#[tokio::test]
async fn commands_are_paced() {
    let server = machine().await;
    let pool = IpmiPool::new(Options { min_command_interval: Duration::from_millis(200), ..options() });
    let bmc = client_of(&pool, &server);
    let started = Instant::now();
    for _ in 0..4 {
        bmc.power_state().await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_cancelled_call_leaves_the_session_usable() {
    let server = machine().await;
    let pool = IpmiPool::new(options());
    let bmc = client_of(&pool, &server);
    bmc.power_state().await.unwrap();
    server.set_faults(Faults { deaf: true, ..Faults::default() });
    let cancelled = tokio::time::timeout(Duration::from_millis(100), bmc.power_state()).await;
    assert!(cancelled.is_err());
    server.set_faults(Faults::default());
    assert_eq!(bmc.device_id().await.unwrap().product, 0x1234);
    assert_eq!(server.with(|server| server.session_count()), 1, "no second session was needed");
}

#[tokio::test]
async fn the_wait_for_power_ends_with_what_was_seen() {
    let server = machine().await;
    let pool = IpmiPool::new(options());
    let bmc = client_of(&pool, &server);
    let error = bmc.wait_for_power_state(PowerState::On, Duration::from_millis(700)).await.unwrap_err();
    let seen = matches!(error, Error::PowerStateNotReached { last: Some(PowerState::Off), source: None, .. });
    assert!(seen, "{error:?}");
    assert_eq!(error.retry(), Retry::Transient);
    server.with(|server| server.chassis_mut().slow = 2);
    bmc.chassis_control(ChassisControl::PowerUp).await.unwrap();
    bmc.wait_for_power_state(PowerState::On, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn the_oldest_idle_session_makes_room() {
    let pool = IpmiPool::new(Options { max_sessions: 2, ..options() });
    let mut servers = Vec::new();
    for _ in 0..3 {
        let server = machine().await;
        client_of(&pool, &server).power_state().await.unwrap();
        servers.push(server);
    }
    let counts: Vec<_> = servers.iter().map(|server| server.with(|server| server.session_count())).collect();
    assert_eq!(counts, [0, 1, 1]);
    assert_eq!(pool.session_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_who_need_room_at_once_gets_it() {
    const SESSIONS: usize = 16;
    let pool = IpmiPool::new(Options { max_sessions: SESSIONS, ..options() });
    let mut servers = Vec::new();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..6 * SESSIONS {
        let server = machine().await;
        let bmc = client_of(&pool, &server);
        servers.push(server);
        asking.spawn(async move {
            for _ in 0..8 {
                bmc.power_state().await?;
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(answer) = asking.join_next().await {
        answer.unwrap().unwrap();
    }
    assert!(pool.session_count() <= SESSIONS);
}

#[tokio::test]
async fn idle_sessions_are_closed_and_held_ones_are_kept() {
    let idle_close = Duration::from_millis(1500);
    let pool = IpmiPool::new(Options { idle_close, keep_alive: Duration::from_millis(500), ..options() });
    let (idle, held) = (machine().await, machine().await);
    client_of(&pool, &idle).power_state().await.unwrap();
    let bmc = client_of(&pool, &held);
    bmc.power_state().await.unwrap();
    let hold = bmc.hold();
    let asked = held.with(|server| server.chassis().asked);
    let deadline = Instant::now() + Duration::from_mins(1);
    while idle.with(|server| server.session_count()) > 0
        || held.with(|server| server.chassis().asked) == asked
    {
        assert!(Instant::now() < deadline, "the sweeper does not sweep");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(held.with(|server| server.session_count()), 1);
    drop(hold);
    while held.with(|server| server.session_count()) > 0 {
        assert!(Instant::now() < deadline, "a session that is held no more is closed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_name_without_address_is_named() {
    let pool = IpmiPool::new(options());
    let error = pool.client(Target::new("bmc.invalid"), credentials()).power_state().await.unwrap_err();
    assert!(matches!(error, Error::Resolve { .. }), "{error:?}");
    assert!(error.to_string().contains("bmc.invalid:623"));
}

#[test]
fn secrets_do_not_print() {
    let text = format!("{:?}", credentials());
    assert!(!text.contains(PASSWORD), "{text}");
}
