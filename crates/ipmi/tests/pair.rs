//! Console against BMC over a simulated network that loses, repeats, delays and reorders datagrams, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/fleet.rs"]
mod fleet;

use fleet::{Machine, Network, client_config, seeded, server_config};
use ipmi::command::app::{GetDeviceId, GetSystemGuid};
use ipmi::command::boot::{
    BootDevice, BootFlags, BootParameter, GetBootOptions, SET_IN_PROGRESS, SetBootOptions,
};
use ipmi::command::chassis::{ChassisControl, GetChassisStatus};
use ipmi::command::{Command, RawResponse};
use ipmi::error::Phase;
use ipmi::server::{Server, ServerConfig, ServerEvent};
use ipmi::wire::handshake::Status;
use ipmi::{
    CipherChoice, CipherSuite, ClientError, CompletionCode, Config, Event, Password, Privilege, Username,
};
use std::time::Duration;

fn network(seed: u64) -> Network {
    network_of(seed, server_config(), client_config())
}

fn network_of(seed: u64, server: ServerConfig, client: Config) -> Network {
    Network::new(seed, Server::new(server, Machine::default(), seeded(seed)), client)
}

fn only(suite: CipherSuite) -> Config {
    Config { cipher: CipherChoice::Only(suite), ..client_config() }
}

fn failure(network: &mut Network) -> ClientError {
    match network.run_to_event() {
        Event::Failed(error) => error,
        other => panic!("expected a failure, not {other:?}"),
    }
}

fn ask<K: Command>(network: &mut Network, command: &K) -> K::Response {
    K::from_raw(&answer(network, command)).unwrap()
}

fn answer<K: Command>(network: &mut Network, command: &K) -> RawResponse {
    network.client.request(network.now, command.to_raw()).unwrap();
    match network.run_to_event() {
        Event::Response(response) => response,
        other => panic!("expected a response, not {other:?}"),
    }
}

#[test]
fn the_best_common_suite_is_taken() {
    let mut net = network(1);
    assert_eq!(net.run_to_event(), Event::Established { suite: CipherSuite::Sha256 });
    let old = ServerConfig { suites: vec![CipherSuite::Sha1], ..server_config() };
    let mut net = network_of(2, old, client_config());
    assert_eq!(net.run_to_event(), Event::Established { suite: CipherSuite::Sha1 });
}

#[test]
fn every_command_works_with_either_suite() {
    for suite in CipherSuite::PREFERENCE {
        let mut net = network_of(3, server_config(), only(suite));
        assert_eq!(net.run_to_event(), Event::Established { suite });
        assert!(!ask(&mut net, &GetChassisStatus).power_on);
        ask(&mut net, &ChassisControl::PowerUp);
        assert!(ask(&mut net, &GetChassisStatus).power_on);
        assert_eq!(ask(&mut net, &GetDeviceId), Machine::default().device_id);
        assert_eq!(ask(&mut net, &GetSystemGuid), Machine::default().guid);
        let flags = BootFlags::new(BootDevice::Pxe, true, true);
        ask(&mut net, &SetBootOptions::new(BootParameter::Flags(flags)));
        let option = ask(&mut net, &GetBootOptions::new(BootParameter::FLAGS));
        assert_eq!(option.parameter, BootParameter::Flags(flags));
        ask(&mut net, &SetBootOptions::new(BootParameter::ValidBitClearing(8)));
        let option = ask(&mut net, &GetBootOptions::new(BootParameter::VALID_BIT_CLEARING));
        assert_eq!(option.parameter, BootParameter::ValidBitClearing(8));
        net.client.close(net.now);
        assert_eq!(net.run_to_event(), Event::Closed);
        assert_eq!(net.server.session_count(), 0, "the BMC's session is free again");
    }
}

/// Half of all datagrams get lost, repeated or overtaken; each control is carried out exactly once all the same.
#[test]
fn a_bad_network_changes_nothing() {
    let mut trouble = 0;
    for seed in 0..200 {
        let mut config = client_config();
        config.timing.silence = Duration::from_mins(5);
        config.timing.connect = Duration::from_mins(5);
        config.timing.request = Duration::from_mins(5);
        let mut net = network_of(seed, server_config(), config);
        net.loss = 0.25;
        net.duplicates = 0.25;
        net.longest_delay = Duration::from_millis(2500);
        assert!(matches!(net.run_to_event(), Event::Established { .. }), "seed {seed}");
        for round in 1..=5 {
            ask(&mut net, &ChassisControl::HardReset);
            assert_eq!(net.server.chassis().resets, round, "seed {seed}");
        }
        trouble += net.lost + net.repeated;
    }
    assert!(trouble > 1000, "the network was bad: {trouble}");
}

#[test]
fn a_wrong_password_is_known_as_such() {
    for suite in CipherSuite::PREFERENCE {
        let config = Config { password: Password::new("wrong").unwrap(), ..only(suite) };
        let mut net = network_of(4, server_config(), config);
        assert_eq!(failure(&mut net), ClientError::WrongPassword);
        assert!(net.now < Duration::from_secs(1), "no waiting");
        assert_eq!(net.server.session_count(), 0);
    }
}

#[test]
fn an_unknown_user_is_known_as_such() {
    let config = Config { username: Username::new("nobody").unwrap(), ..client_config() };
    let mut net = network_of(5, server_config(), config);
    assert_eq!(failure(&mut net), ClientError::UnknownUser);
    let denied = net.server.poll_event().unwrap();
    assert!(matches!(denied, ServerEvent::Denied { status: Status::UNAUTHORIZED_NAME, .. }));
}

#[test]
fn too_much_privilege_is_refused() {
    let config = Config { username: Username::new("guest").unwrap(), ..client_config() };
    let mut net = network_of(6, server_config(), config);
    assert_eq!(failure(&mut net), ClientError::PrivilegeTooHigh { requested: Privilege::Administrator });
}

#[test]
fn a_user_may_look_and_not_touch() {
    let config =
        Config { username: Username::new("guest").unwrap(), privilege: Privilege::User, ..client_config() };
    let mut net = network_of(7, server_config(), config);
    assert!(matches!(net.run_to_event(), Event::Established { .. }));
    ask(&mut net, &GetChassisStatus);
    assert_eq!(answer(&mut net, &ChassisControl::PowerUp).completion, CompletionCode::InsufficientPrivilege);
    assert_eq!(net.server.chassis().controls, []);
}

#[test]
fn no_common_suite_says_what_the_bmc_has() {
    let config = only(CipherSuite::Sha256);
    let old = ServerConfig { suites: vec![CipherSuite::Sha1], ..server_config() };
    let mut net = network_of(8, old, config);
    assert_eq!(failure(&mut net), ClientError::NoMatchingCipherSuite { offered: vec![] });
    let none = ServerConfig { suites: vec![], ..server_config() };
    let mut net = network_of(9, none, client_config());
    assert_eq!(failure(&mut net), ClientError::NoMatchingCipherSuite { offered: vec![] });
}

#[test]
fn two_key_login_needs_the_bmc_key() {
    let key = Some(Password::new("the BMC's key").unwrap());
    let server = ServerConfig { bmc_key: key.clone(), ..server_config() };
    let mut net = network_of(10, server.clone(), Config { bmc_key: key, ..client_config() });
    assert!(matches!(net.run_to_event(), Event::Established { .. }));
    ask(&mut net, &GetChassisStatus);
    let mut net = network_of(11, server, client_config());
    assert_eq!(failure(&mut net), ClientError::WrongBmcKey);
}

#[test]
fn silence_names_what_was_asked_and_how_often() {
    let mut net = network(12);
    net.loss = 1.0;
    assert_eq!(failure(&mut net), ClientError::Timeout { phase: Phase::Capabilities, sent: 3 });
    assert_eq!(net.now, client_config().timing.silence);
}

#[test]
fn a_bmc_that_dies_in_the_middle_is_given_up_after_as_long_a_silence() {
    let silence = client_config().timing.silence;
    for datagrams in 1..10 {
        let mut net = network(100 + u64::from(datagrams));
        net.think = Duration::from_millis(250);
        net.step_until_sent(datagrams);
        let asked_at = net.now;
        net.dead = true;
        match net.run_to_event() {
            Event::Failed(ClientError::Timeout { phase, sent }) => {
                assert!((2..=3).contains(&sent), "{datagrams}: {phase:?}, {sent}");
                // One answer may still have been on its way, and one question is allowed to stay unanswered.
                let unlisted = 2 * client_config().timing.first_retry;
                let latest = asked_at + silence + 2 * net.think + unlisted;
                let in_time = asked_at + silence <= net.now + net.think && net.now <= latest;
                assert!(in_time, "{datagrams}: asked at {asked_at:?}, given up at {:?}", net.now);
            }
            other => panic!("{datagrams}: {other:?}"),
        }
    }
}

/// Half a second in all, one and a half, three; and that long for each datagram.
#[test]
fn a_slow_bmc_is_no_dead_one_and_neither_is_one_that_misses_a_datagram() {
    for think in [80, 250, 500, 1500, 3000].map(Duration::from_millis) {
        let mut undisturbed = 0;
        for lose in 0..=undisturbed_datagrams(think) {
            let mut net = network(200 + u64::from(lose));
            net.think = think;
            net.lose = Some(lose).filter(|lose| *lose > 0);
            let event = net.run_to_event();
            assert!(matches!(event, Event::Established { .. }), "{think:?}, {lose} lost: {event:?}");
            ask(&mut net, &GetChassisStatus);
            undisturbed += u32::from(net.lost == 0);
        }
        assert_eq!(undisturbed, 1, "each of the others lost one");
    }
}

/// How many datagrams it takes to log in and to learn the power state.
fn undisturbed_datagrams(think: Duration) -> u32 {
    let mut net = network(200);
    net.think = think;
    net.run_to_event();
    ask(&mut net, &GetChassisStatus);
    net.sent
}

#[test]
fn a_slow_bmc_is_not_buried_under_copies() {
    let mut net = network(21);
    let prompt = undisturbed_datagrams(Duration::from_millis(80));
    net.think = Duration::from_secs(3);
    net.run_to_event();
    ask(&mut net, &GetChassisStatus);
    // The first question is repeated twice before its answer tells how slow this BMC is.
    assert!(net.sent <= prompt + 6, "{} datagrams instead of {prompt}", net.sent);
}

#[test]
fn an_expired_session_is_silence_and_a_new_one_works() {
    let mut net = network(13);
    net.run_to_event();
    net.pass(Duration::from_secs(61));
    net.client.request(net.now, GetChassisStatus.to_raw()).unwrap();
    let started = net.now;
    assert_eq!(net.run_to_event(), Event::RequestTimedOut { sent: 5 });
    assert_eq!(net.now.abs_diff(started), client_config().timing.request);
    net.reconnect(client_config());
    assert!(matches!(net.run_to_event(), Event::Established { .. }));
    ask(&mut net, &GetChassisStatus);
}

#[test]
fn a_session_in_use_does_not_expire() {
    let mut net = network(14);
    net.run_to_event();
    for _ in 0..10 {
        net.pass(Duration::from_secs(50));
        ask(&mut net, &GetChassisStatus);
    }
}

#[test]
fn sessions_are_bounded_and_half_open_ones_do_not_lock_others_out() {
    let server = ServerConfig { max_sessions: 2, ..server_config() };
    let mut net = network_of(15, server, client_config());
    // Ten consoles that stop half way.
    for _ in 0..10 {
        net.step_until_half_open();
        net.reconnect(client_config());
    }
    assert!(matches!(net.run_to_event(), Event::Established { .. }));
    net.reconnect(client_config());
    assert!(matches!(net.run_to_event(), Event::Established { .. }));
    net.reconnect(client_config());
    assert_eq!(failure(&mut net), ClientError::NoFreeSession);
    net.pass(Duration::from_secs(61));
    net.reconnect(client_config());
    assert!(matches!(net.run_to_event(), Event::Established { .. }));
}

#[test]
fn one_console_at_a_time_changes_boot_options() {
    use ipmi::command::boot::SetState;
    let mut net = network(16);
    net.run_to_event();
    let begin = SetBootOptions::new(BootParameter::SetState(SetState::InProgress));
    ask(&mut net, &begin);
    // The first console falls silent in the middle; the second one is refused until the first one's session ends.
    net.reconnect(client_config());
    net.run_to_event();
    assert_eq!(answer(&mut net, &begin).completion, CompletionCode::Other(SET_IN_PROGRESS));
    net.pass(Duration::from_secs(40));
    ask(&mut net, &GetChassisStatus);
    net.pass(Duration::from_secs(30));
    ask(&mut net, &begin);
}

#[test]
fn an_abandoned_request_does_not_answer_the_next() {
    let mut net = network(17);
    net.run_to_event();
    net.client.request(net.now, ChassisControl::PowerUp.to_raw()).unwrap();
    assert!(net.client.request(net.now, GetChassisStatus.to_raw()).is_err(), "one at a time");
    net.longest_delay = Duration::ZERO;
    net.client.abandon();
    assert!(ask(&mut net, &GetChassisStatus).power_on, "the abandoned command was on its way");
}

#[test]
fn unknown_and_broken_requests_have_their_completion_codes() {
    use ipmi::command::RawRequest;
    use ipmi::wire::message::NetFn;
    let mut net = network(18);
    net.run_to_event();
    let cases = [
        (NetFn::STORAGE, 0x43, vec![], CompletionCode::InvalidCommand),
        (NetFn::CHASSIS, 0x02, vec![], CompletionCode::RequestLengthInvalid),
        (NetFn::CHASSIS, 0x02, vec![9], CompletionCode::InvalidDataField),
        (NetFn::CHASSIS, 0x09, vec![6, 0, 0], CompletionCode::Other(0x80)),
    ];
    for (net_fn, command, data, completion) in cases {
        net.client.request(net.now, RawRequest { net_fn, command, data }).unwrap();
        let Event::Response(response) = net.run_to_event() else { panic!("no response") };
        assert_eq!(response.completion, completion, "{net_fn:?} {command:#x}");
    }
}
