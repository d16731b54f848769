//! Client and server against each other over a network that loses packets, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::client::{Client, ClientConfig, ClientEvent};
use dhcp::{
    Admission, Config, EthernetAddress, Grant, LeaseState, Mode, Pool, Port, ReplyKind, Server, Subnet,
    Verdict,
};
use proptest::prelude::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const HOUR: Duration = Duration::from_hours(1);

fn server() -> Server {
    let pool = Pool::new(Ipv4Addr::new(192, 0, 2, 100), Ipv4Addr::new(192, 0, 2, 120)).unwrap();
    Server::new(Config {
        mode: Mode::Full,
        server: SERVER,
        subnets: vec![Subnet {
            network: SERVER,
            prefix: 24,
            pool: Some(pool),
            gateway: Some(Ipv4Addr::new(192, 0, 2, 254)),
        }],
        dns: vec![Ipv4Addr::new(192, 0, 2, 53)],
        domain: Some("lab.example".into()),
        lease_time: HOUR,
        quarantine: HOUR,
    })
    .unwrap()
}

fn client(now: Duration, last: u8, seed: u64) -> Client {
    let mac: EthernetAddress = [0x52, 0x54, 0, 0, 0, last].into();
    let config = ClientConfig { mac, vendor_class: Some("ramdisk".into()), host_name: None };
    Client::new(now, config, seed)
}

/// Runs the client until `until`; `arrives` is asked for each packet.
fn run(
    client: &mut Client,
    server: &mut Server,
    now: &mut Duration,
    until: Duration,
    mut arrives: impl FnMut() -> bool,
) -> Vec<ClientEvent> {
    let mut events = Vec::new();
    while *now < until {
        while let Some(sent) = client.poll_transmit() {
            assert!(sent.server.is_none_or(|server| server == SERVER));
            if !arrives() {
                continue;
            }
            let outcome = server.handle(*now, Port::Dhcp, &sent.bytes, |facts| {
                assert_eq!(facts.vendor_class.as_deref(), Some("ramdisk"));
                Admission::Serve(Grant::default())
            });
            if let Verdict::Reply(reply) = outcome.verdict
                && arrives()
            {
                events.extend(client.handle(*now, &reply.bytes));
            }
        }
        *now = client.poll_timeout().max(*now).min(until);
        events.extend(client.handle_timeout(*now));
    }
    events
}

#[test]
fn a_client_is_bound_at_once_and_renews_for_a_day() {
    let (mut server, mut now) = (server(), Duration::from_secs(5));
    let mut client = client(now, 1, 7);
    let events = run(&mut client, &mut server, &mut now, Duration::from_secs(6), || true);
    let [ClientEvent::Bound(grant)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((grant.prefix, grant.server, grant.lifetime), (24, SERVER, HOUR));
    assert_eq!(grant.gateway, Some(Ipv4Addr::new(192, 0, 2, 254)));
    assert_eq!(grant.dns, [Ipv4Addr::new(192, 0, 2, 53)]);
    assert_eq!(grant.domain.as_deref(), Some("lab.example"));
    let lease = server.lease_of([0x52, 0x54, 0, 0, 0, 1].into()).unwrap();
    assert_eq!((lease.address, lease.state), (grant.address, LeaseState::Bound));
    let events = run(&mut client, &mut server, &mut now, 24 * HOUR, || true);
    assert_eq!(events.len(), 47, "every half hour");
    assert!(events.iter().all(|event| *event == ClientEvent::Renewed));
}

#[test]
fn a_lease_that_cannot_be_renewed_is_lost_on_time() {
    let (mut server, mut now) = (server(), Duration::ZERO);
    let mut client = client(now, 1, 7);
    assert_eq!(run(&mut client, &mut server, &mut now, Duration::from_secs(1), || true).len(), 1);
    assert_eq!(run(&mut client, &mut server, &mut now, Duration::from_secs(3599), || false), []);
    assert!(client.grant().is_some());
    let events = run(&mut client, &mut server, &mut now, HOUR + Duration::from_secs(1), || false);
    assert_eq!(events, [ClientEvent::Lost]);
    // And it gets the same address when the server is back.
    let events = run(&mut client, &mut server, &mut now, HOUR * 2, || true);
    assert!(matches!(events.first(), Some(ClientEvent::Bound(_))), "{events:?}");
}

#[test]
fn a_renewal_that_is_refused_takes_the_address_off() {
    let (mut first, mut now) = (server(), Duration::ZERO);
    let mut one = client(now, 1, 7);
    run(&mut one, &mut first, &mut now, Duration::from_secs(1), || true);
    let address = one.grant().unwrap().address;
    // A server that started anew gave the address to another machine meanwhile.
    let mut second = server();
    let mut packet = dhcp::Packet::request(9, [2, 0, 0, 0, 0, 9].into());
    packet.options.set(dhcp::wire::code::MESSAGE_TYPE, [3]);
    packet.options.set(dhcp::wire::code::REQUESTED_ADDRESS, address.octets());
    let outcome = second.handle(now, Port::Dhcp, &packet.encode(), |_| Admission::Serve(Grant::default()));
    assert!(matches!(outcome.verdict, Verdict::Reply(reply) if reply.kind == ReplyKind::Ack));
    let events = run(&mut one, &mut second, &mut now, Duration::from_mins(31), || true);
    let [ClientEvent::Lost, ClientEvent::Bound(grant)] = events.as_slice() else { panic!("{events:?}") };
    assert_ne!(grant.address, address);
}

#[test]
fn a_released_address_is_free() {
    let (mut server, mut now) = (server(), Duration::ZERO);
    let mut client = client(now, 1, 7);
    run(&mut client, &mut server, &mut now, Duration::from_secs(1), || true);
    let address = client.grant().unwrap().address;
    let release = client.release(now).unwrap();
    assert_eq!(release.server, Some(SERVER));
    let outcome = server.handle(now, Port::Dhcp, &release.bytes, |_| Admission::Ignore);
    assert_eq!(outcome.verdict, Verdict::Released(address));
    assert_eq!(client.grant(), None);
    assert_eq!(client.poll_transmit(), None);
}

proptest! {
    #[test]
    fn any_loss_ends_in_the_same_address(seed in any::<u64>(), pattern in prop::collection::vec(any::<bool>(), 1..40)) {
        let (mut server, mut now) = (server(), Duration::ZERO);
        let mut client = client(now, 3, seed);
        let mut pattern = pattern.into_iter();
        let events = run(&mut client, &mut server, &mut now, Duration::from_mins(20), || pattern.next().unwrap_or(true));
        let last = events.last().cloned();
        prop_assert!(matches!(last, Some(ClientEvent::Bound(_))), "{last:?}");
        let lease = server.lease_of([0x52, 0x54, 0, 0, 0, 3].into()).unwrap();
        prop_assert_eq!(client.grant().map(|grant| grant.address), Some(lease.address));
        prop_assert_eq!(server.leases(now).count(), 1);
    }

    #[test]
    fn no_bytes_panic_either_side(bytes in prop::collection::vec(any::<u8>(), 0..700), fix in any::<bool>()) {
        let mut bytes = bytes;
        if fix && bytes.len() > 243 {
            bytes[0] = 1 + bytes[0] % 2;
            bytes[1..3].copy_from_slice(&[1, 6]);
            bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
            let kind = bytes[100] % 9;
            bytes[240..243].copy_from_slice(&[53, 1, kind]);
        }
        let mut server = server();
        let outcome = server.handle(Duration::ZERO, Port::Dhcp, &bytes, |_| Admission::Serve(Grant::default()));
        if let Verdict::Reply(reply) = outcome.verdict {
            dhcp::Packet::decode(&reply.bytes).unwrap();
        }
        client(Duration::ZERO, 1, 1).handle(Duration::ZERO, &bytes);
        if let Ok(packet) = dhcp::Packet::decode(&bytes) {
            let again = dhcp::Packet::decode(&packet.encode()).unwrap();
            prop_assert_eq!(again.options, packet.options);
        }
    }
}
