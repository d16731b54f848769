//! The server's decisions: who gets which address, what each answer holds, and where it goes.
//!
//! Answers are read back with `dhcproto`, a codec that is not ours.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::wire::code;
use dhcp::{
    Admission, BootAnswer, Config, ConfigError, Destination, EthernetAddress, Grant, Ignored, MessageType,
    Mode, Packet, Pool, Port, Reply, ReplyKind, Server, Subnet, Verdict,
};
use dhcproto::v4::{DhcpOption, Message, OptionCode};
use dhcproto::{Decodable, Decoder};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const T0: Duration = Duration::from_hours(24);

fn config(mode: Mode) -> Config {
    let pool = Pool::new(Ipv4Addr::new(192, 0, 2, 100), Ipv4Addr::new(192, 0, 2, 103)).unwrap();
    let relayed = Pool::new(Ipv4Addr::new(198, 51, 100, 10), Ipv4Addr::new(198, 51, 100, 20)).unwrap();
    Config {
        mode,
        server: SERVER,
        subnets: vec![
            Subnet {
                network: SERVER,
                prefix: 24,
                pool: Some(pool),
                gateway: Some(Ipv4Addr::new(192, 0, 2, 254)),
            },
            Subnet {
                network: Ipv4Addr::new(198, 51, 100, 0),
                prefix: 25,
                pool: Some(relayed),
                gateway: Some(Ipv4Addr::new(198, 51, 100, 1)),
            },
        ],
        dns: vec![Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)],
        domain: Some("lab.example".into()),
        lease_time: Duration::from_hours(1),
        quarantine: Duration::from_mins(10),
    }
}

fn server() -> Server {
    Server::new(config(Mode::Full)).unwrap()
}

fn mac(last: u8) -> EthernetAddress {
    [0x52, 0x54, 0, 0, 0, last].into()
}

fn message(kind: MessageType, last: u8) -> Packet {
    let mut packet = Packet::request(0x1234_5600 + u32::from(last), mac(last));
    packet.options.set(code::MESSAGE_TYPE, [kind as u8]);
    packet
}

fn request(last: u8, address: Ipv4Addr) -> Packet {
    let mut packet = message(MessageType::Request, last);
    packet.options.set(code::REQUESTED_ADDRESS, address.octets());
    packet.options.set(code::SERVER_ID, SERVER.octets());
    packet
}

fn serve(grant: &Grant) -> Admission {
    Admission::Serve(grant.clone())
}

fn ask_for(server: &mut Server, now: Duration, packet: &Packet, grant: &Grant) -> Verdict {
    server.handle(now, Port::Dhcp, &packet.encode(), |_| serve(grant)).verdict
}

fn ask(server: &mut Server, now: Duration, packet: &Packet) -> Verdict {
    ask_for(server, now, packet, &Grant::default())
}

fn reply(verdict: Verdict) -> Reply {
    match verdict {
        Verdict::Reply(reply) => reply,
        other => panic!("no reply but {other:?}"),
    }
}

fn read(reply: &Reply) -> Message {
    Message::decode(&mut Decoder::new(&reply.bytes)).unwrap()
}

fn offered(server: &mut Server, now: Duration, last: u8) -> Ipv4Addr {
    let reply = reply(ask(server, now, &message(MessageType::Discover, last)));
    assert_eq!(reply.kind, ReplyKind::Offer);
    reply.address.unwrap()
}

/// Discover and request.
fn lease(server: &mut Server, now: Duration, last: u8) -> Ipv4Addr {
    let address = offered(server, now, last);
    let reply = reply(ask(server, now, &request(last, address)));
    assert_eq!((reply.kind, reply.address), (ReplyKind::Ack, Some(address)));
    address
}

#[test]
fn an_offer_holds_what_a_client_needs() {
    let mut server = server();
    let mut discover = message(MessageType::Discover, 1);
    discover.options.set(code::CLIENT_ID, [1, 0x52, 0x54, 0, 0, 0, 1]);
    let grant = Grant { host_name: Some("node-1".into()), ..Grant::default() };
    let offer = reply(ask_for(&mut server, T0, &discover, &grant));
    assert_eq!(offer.destination, Destination::Broadcast);
    assert!(offer.bytes.len() >= 300);
    let message = read(&offer);
    assert_eq!((message.xid(), message.chaddr()), (0x1234_5601, &[0x52, 0x54, 0, 0, 0, 1][..]));
    assert_eq!(Some(message.yiaddr()), offer.address);
    let expected = [
        DhcpOption::MessageType(dhcproto::v4::MessageType::Offer),
        DhcpOption::ServerIdentifier(SERVER),
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::BroadcastAddr(Ipv4Addr::new(192, 0, 2, 255)),
        DhcpOption::Router(vec![Ipv4Addr::new(192, 0, 2, 254)]),
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)]),
        DhcpOption::DomainName("lab.example".into()),
        DhcpOption::Hostname("node-1".into()),
        DhcpOption::AddressLeaseTime(3600),
        DhcpOption::Renewal(1800),
        DhcpOption::Rebinding(3150),
        DhcpOption::ClientIdentifier(vec![1, 0x52, 0x54, 0, 0, 0, 1]),
    ];
    assert_eq!(message.opts().iter().count(), expected.len());
    for option in expected {
        assert_eq!(message.opts().get(OptionCode::from(&option)), Some(&option));
    }
    assert_eq!((message.fname(), message.siaddr()), (None, Ipv4Addr::UNSPECIFIED), "nothing to boot");
}

#[test]
fn a_lease_sticks_and_survives_a_restart() {
    let mut server = server();
    let address = lease(&mut server, T0, 1);
    assert_eq!(
        offered(&mut server, T0 + Duration::from_hours(30), 1),
        address,
        "expired, but nobody else wanted it"
    );
    let mut restarted = self::server();
    assert_eq!(offered(&mut restarted, T0, 1), address, "the first choice depends on the machine alone");
    // A client that remembers an address of the pool keeps it although the server has forgotten.
    let other = Ipv4Addr::new(192, 0, 2, 100 + (address.octets()[3] - 100 + 1) % 4);
    let mut reboot = message(MessageType::Request, 1);
    reboot.options.set(code::REQUESTED_ADDRESS, other.octets());
    assert_eq!(reply(ask(&mut self::server(), T0, &reboot)).kind, ReplyKind::Ack);
}

#[test]
fn no_address_is_given_twice() {
    let mut server = server();
    let mut seen: Vec<_> = (1..=4).map(|last| lease(&mut server, T0, last)).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
    assert_eq!(
        ask(&mut server, T0, &message(MessageType::Discover, 5)),
        Verdict::Ignored(Ignored::NoAddress)
    );
    let refused = reply(ask(&mut server, T0, &request(5, seen[0])));
    assert_eq!((refused.kind, refused.destination), (ReplyKind::Nak, Destination::Broadcast));
    assert_eq!(
        read(&refused).opts().get(OptionCode::Message),
        Some(&DhcpOption::Message("address not available".into()))
    );
    // When the leases have run out, the fifth machine gets one of them.
    let later = T0 + Duration::from_hours(1);
    assert!(seen.contains(&lease(&mut server, later, 5)));
    assert_eq!(server.leases(later).count(), 1);
}

#[test]
fn an_unused_offer_is_free_after_a_minute() {
    let mut server = server();
    for last in 1..=4 {
        offered(&mut server, T0, last);
    }
    let nearly = T0 + Duration::from_secs(59);
    assert_eq!(
        ask(&mut server, nearly, &message(MessageType::Discover, 5)),
        Verdict::Ignored(Ignored::NoAddress)
    );
    offered(&mut server, T0 + Duration::from_mins(1), 5);
}

#[test]
fn reservations_come_first() {
    let mut server = server();
    let own = Ipv4Addr::new(192, 0, 2, 7);
    let grant = Grant { reserved: Some(own), ..Grant::default() };
    assert_eq!(
        reply(ask_for(&mut server, T0, &message(MessageType::Discover, 1), &grant)).address,
        Some(own)
    );
    assert_eq!(reply(ask_for(&mut server, T0, &request(1, own), &grant)).kind, ReplyKind::Ack);
    // A machine that had a pool address is moved to its reservation.
    let old = lease(&mut server, T0, 2);
    let moved = Grant { reserved: Some(Ipv4Addr::new(192, 0, 2, 8)), ..Grant::default() };
    assert_eq!(reply(ask_for(&mut server, T0, &request(2, old), &moved)).kind, ReplyKind::Nak);
    assert_eq!(
        reply(ask_for(&mut server, T0, &message(MessageType::Discover, 2), &moved)).address,
        moved.reserved
    );
    // Somebody else has it, or it is not of this network: the pool helps out.
    for reserved in [own, Ipv4Addr::new(10, 0, 0, 1), SERVER] {
        let grant = Grant { reserved: Some(reserved), ..Grant::default() };
        let address =
            reply(ask_for(&mut server, T0, &message(MessageType::Discover, 3), &grant)).address.unwrap();
        assert!(address.octets()[3] >= 100, "{address}");
    }
}

#[test]
fn a_declined_address_rests() {
    let mut server = server();
    let address = lease(&mut server, T0, 1);
    let mut decline = message(MessageType::Decline, 2);
    decline.options.set(code::REQUESTED_ADDRESS, address.octets());
    assert_eq!(
        ask(&mut server, T0, &decline),
        Verdict::Ignored(Ignored::NotItsAddress),
        "it is not machine 2's"
    );
    decline = message(MessageType::Decline, 1);
    decline.options.set(code::REQUESTED_ADDRESS, address.octets());
    assert_eq!(ask(&mut server, T0, &decline), Verdict::Declined(address));
    assert_ne!(lease(&mut server, T0, 1), address);
    let nearly = T0 + Duration::from_secs(599);
    assert_eq!(reply(ask(&mut server, nearly, &request(2, address))).kind, ReplyKind::Nak);
    assert_eq!(
        reply(ask(&mut server, T0 + Duration::from_mins(10), &request(2, address))).kind,
        ReplyKind::Ack
    );
}

#[test]
fn release_frees_at_once() {
    let mut server = server();
    let held: Vec<_> = (1..=4).map(|last| lease(&mut server, T0, last)).collect();
    let mut release = message(MessageType::Release, 1);
    release.ciaddr = held[1];
    assert_eq!(ask(&mut server, T0, &release), Verdict::Ignored(Ignored::NotItsAddress));
    release.ciaddr = held[0];
    assert_eq!(ask(&mut server, T0, &release), Verdict::Released(held[0]));
    assert_eq!(lease(&mut server, T0, 5), held[0]);
    assert_eq!(server.holder(T0, held[0]), Some(mac(5)));
}

#[test]
fn renewing_extends_by_unicast() {
    let mut server = server();
    let address = lease(&mut server, T0, 1);
    let mut renew = message(MessageType::Request, 1);
    renew.ciaddr = address;
    let half = T0 + Duration::from_mins(30);
    let ack = reply(ask(&mut server, half, &renew));
    assert_eq!((ack.kind, ack.destination), (ReplyKind::Ack, Destination::Client(address)));
    assert_eq!(read(&ack).ciaddr(), address);
    assert_eq!(server.lease_of(mac(1)).unwrap().expires, half + Duration::from_hours(1));
    renew.ciaddr = Ipv4Addr::new(10, 9, 9, 9);
    assert_eq!(
        reply(ask(&mut server, half, &renew)).kind,
        ReplyKind::Nak,
        "it moved here from another network"
    );
}

#[test]
fn other_servers_clients_are_left_alone() {
    let mut server = server();
    let address = offered(&mut server, T0, 1);
    let mut elsewhere = request(1, Ipv4Addr::new(192, 0, 2, 200));
    elsewhere.options.set(code::SERVER_ID, [192, 0, 2, 2]);
    assert_eq!(ask(&mut server, T0, &elsewhere), Verdict::Ignored(Ignored::OtherServer));
    assert_eq!(server.leases(T0).count(), 0, "the offer is withdrawn");
    let _ = address;
    let outcome = server.handle(T0, Port::Dhcp, &message(MessageType::Discover, 9).encode(), |facts| {
        assert_eq!(facts.mac, mac(9));
        Admission::Ignore
    });
    assert_eq!(outcome.verdict, Verdict::Ignored(Ignored::NotAdmitted));
    assert_eq!(outcome.client.unwrap().mac, mac(9));
}

#[test]
fn inform_gets_everything_but_a_lease() {
    let mut server = server();
    let mut inform = message(MessageType::Inform, 1);
    inform.ciaddr = Ipv4Addr::new(192, 0, 2, 77);
    let ack = reply(ask(&mut server, T0, &inform));
    assert_eq!((ack.kind, ack.destination), (ReplyKind::Ack, Destination::Client(inform.ciaddr)));
    let message = read(&ack);
    assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert!(message.opts().get(OptionCode::AddressLeaseTime).is_none());
    assert!(message.opts().get(OptionCode::Router).is_some());
    assert_eq!(server.leases(T0).count(), 0);
}

#[test]
fn relayed_requests_get_their_own_network_and_go_back() {
    let mut server = server();
    let relay = Ipv4Addr::new(198, 51, 100, 2);
    let mut discover = message(MessageType::Discover, 1);
    discover.giaddr = relay;
    discover.hops = 1;
    discover.options.set(code::RELAY_AGENT, [1, 3, b'e', b't', b'0']);
    let offer = reply(ask(&mut server, T0, &discover));
    assert_eq!(offer.destination, Destination::Relay(relay));
    let message = read(&offer);
    assert_eq!(message.giaddr(), relay);
    assert_eq!(message.yiaddr().octets()[..3], [198, 51, 100]);
    assert_eq!(
        message.opts().get(OptionCode::SubnetMask),
        Some(&DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 128)))
    );
    let end = offer.bytes.iter().rposition(|byte| *byte == 255).unwrap();
    assert_eq!(offer.bytes[end - 7..end], [82, 5, 1, 3, b'e', b't', b'0'], "relay information comes last");
    // Refusals through a relay agent must be broadcast by it.
    let mut wrong = request(1, Ipv4Addr::new(192, 0, 2, 100));
    wrong.giaddr = relay;
    let nak = reply(ask(&mut server, T0, &wrong));
    assert_eq!((nak.kind, nak.destination), (ReplyKind::Nak, Destination::Relay(relay)));
    assert!(read(&nak).flags().broadcast());
    // The agent's address is in a network that is not served, but it names one that is (RFC 3527).
    discover.giaddr = Ipv4Addr::new(10, 0, 0, 1);
    assert_eq!(ask(&mut server, T0, &discover), Verdict::Ignored(Ignored::NoSubnet));
    discover.options.set(code::RELAY_AGENT, [5, 4, 198, 51, 100, 0]);
    let offer = reply(ask(&mut server, T0, &discover));
    assert_eq!(offer.destination, Destination::Relay(discover.giaddr));
    assert_eq!(offer.address.unwrap().octets()[..3], [198, 51, 100]);
}

#[test]
fn boot_files_by_mode() {
    let file = BootAnswer::File { server: SERVER, name: "snponly.efi".into() };
    let url = BootAnswer::Url("http://192.0.2.1/x.efi".into());
    let mut pxe = message(MessageType::Discover, 1);
    pxe.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00007:UNDI:003001");
    pxe.options.set(code::MACHINE_ID, [&[0][..], &[7; 16]].concat());
    let mut http = message(MessageType::Discover, 2);
    http.options.set(code::VENDOR_CLASS, "HTTPClient:Arch:00016:UNDI:003001");
    let class = |reply: &Reply| match read(reply).opts().get(OptionCode::ClassIdentifier) {
        Some(DhcpOption::ClassIdentifier(class)) => Some(class.clone()),
        _ => None,
    };
    let boot = |packet: &Packet, mode, boot: &BootAnswer| {
        let grant = Grant { boot: boot.clone(), ..Grant::default() };
        ask_for(&mut Server::new(config(mode)).unwrap(), T0, packet, &grant)
    };

    let full = reply(boot(&pxe, Mode::Full, &file));
    let message = read(&full);
    assert_eq!((message.fname(), message.siaddr()), (Some(&b"snponly.efi\0"[..]), SERVER));
    assert_eq!(
        message.opts().get(OptionCode::BootfileName),
        Some(&DhcpOption::BootfileName(b"snponly.efi".to_vec()))
    );
    assert_eq!(
        message.opts().get(OptionCode::TFTPServerName),
        Some(&DhcpOption::TFTPServerName(b"192.0.2.1".to_vec()))
    );
    assert_eq!(class(&full), None);

    let full = reply(boot(&http, Mode::Full, &url));
    assert_eq!(class(&full), Some(b"HTTPClient".to_vec()));
    assert_eq!(read(&full).fname(), Some(&b"http://192.0.2.1/x.efi\0"[..]));

    let proxy = reply(boot(&pxe, Mode::Proxy, &file));
    let message = read(&proxy);
    assert_eq!(
        (proxy.kind, proxy.destination, proxy.address),
        (ReplyKind::Offer, Destination::Broadcast, None)
    );
    assert_eq!((message.yiaddr(), message.fname()), (Ipv4Addr::UNSPECIFIED, Some(&b"snponly.efi\0"[..])));
    assert_eq!(class(&proxy), Some(b"PXEClient".to_vec()));
    assert_eq!(
        message.opts().get(OptionCode::VendorExtensions),
        Some(&DhcpOption::VendorExtensions(vec![6, 1, 11, 255]))
    );
    assert_eq!(
        message.opts().get(OptionCode::ClientMachineIdentifier),
        Some(&DhcpOption::ClientMachineIdentifier([&[0][..], &[7; 16]].concat()))
    );
    for absent in [OptionCode::AddressLeaseTime, OptionCode::SubnetMask, OptionCode::Router] {
        assert_eq!(message.opts().get(absent), None);
    }
    assert_eq!(boot(&pxe, Mode::Proxy, &BootAnswer::None), Verdict::Ignored(Ignored::NothingToBoot));
    assert_eq!(
        boot(&self::message(MessageType::Discover, 3), Mode::Proxy, &file),
        Verdict::Ignored(Ignored::NothingToBoot)
    );
    pxe.options.set(code::MESSAGE_TYPE, [MessageType::Request as u8]);
    assert_eq!(
        boot(&pxe, Mode::Proxy, &file),
        Verdict::Ignored(Ignored::NotApplicable),
        "the other server's business"
    );
}

#[test]
fn a_boot_server_answers_where_it_was_asked() {
    let mut server = Server::new(config(Mode::Proxy)).unwrap();
    let mut ask = message(MessageType::Request, 1);
    ask.ciaddr = Ipv4Addr::new(192, 0, 2, 100);
    ask.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00000:UNDI:002001");
    ask.options.set(code::VENDOR, [71, 4, 0, 0, 0, 0, 255]);
    let boot = BootAnswer::File { server: SERVER, name: "undionly.kpxe".into() };
    let grant = Grant { boot, ..Grant::default() };
    let ack = reply(server.handle(T0, Port::Pxe, &ask.encode(), |_| serve(&grant)).verdict);
    assert_eq!((ack.kind, ack.destination), (ReplyKind::Ack, Destination::Source));
    let message = read(&ack);
    assert_eq!((message.ciaddr(), message.fname()), (ask.ciaddr, Some(&b"undionly.kpxe\0"[..])));
    assert_eq!(
        message.opts().get(OptionCode::VendorExtensions),
        Some(&DhcpOption::VendorExtensions(vec![6, 1, 11, 71, 4, 0, 0, 0, 0, 255]))
    );
    let mut full = self::server();
    let verdict = full.handle(T0, Port::Pxe, &ask.encode(), |_| serve(&grant)).verdict;
    assert_eq!(verdict, Verdict::Ignored(Ignored::NotApplicable));
}

#[test]
fn answers_fit_what_the_client_takes() {
    let mut server = server();
    let mut discover = message(MessageType::Discover, 1);
    discover.options.set(code::RELAY_AGENT, [&[1, 200][..], &[b'x'; 200]].concat());
    discover.giaddr = Ipv4Addr::new(198, 51, 100, 2);
    let long = format!("http://192.0.2.1/{}", "y".repeat(150));
    let grant =
        Grant { boot: BootAnswer::Url(long.clone()), host_name: Some("h".repeat(60)), ..Grant::default() };
    let small = reply(ask_for(&mut server, T0, &discover, &grant));
    discover.options.set(code::MAX_SIZE, 1500_u16.to_be_bytes());
    let large = reply(ask_for(&mut server, T0, &discover, &grant));
    assert!(large.bytes.len() > 700 && small.bytes.len() < large.bytes.len());
    for reply in [&small, &large] {
        let message = read(reply);
        assert_eq!(message.fname(), None, "too long for the header");
        let file = message.opts().get(OptionCode::BootfileName);
        assert_eq!(file, Some(&DhcpOption::BootfileName(long.clone().into_bytes())));
    }
    assert!(read(&small).opts().get(OptionCode::Hostname).is_none());
    assert!(read(&large).opts().get(OptionCode::Hostname).is_some());
}

#[test]
fn configurations_that_contradict_themselves() {
    let address = Ipv4Addr::new;
    assert!(matches!(
        Pool::new(address(10, 0, 0, 2), address(10, 0, 0, 1)),
        Err(ConfigError::PoolRange { .. })
    ));
    assert!(Pool::new(address(10, 0, 0, 0), address(10, 1, 0, 0)).is_err());
    assert!(Pool::new(address(10, 0, 0, 0), address(10, 0, 255, 255)).is_ok());
    let broken = |change: &dyn Fn(&mut Config)| {
        let mut config = config(Mode::Full);
        change(&mut config);
        Server::new(config).unwrap_err()
    };
    assert!(matches!(broken(&|c| c.server = address(10, 0, 0, 1)), ConfigError::ServerOutside(_)));
    assert!(matches!(broken(&|c| c.subnets[0].prefix = 31), ConfigError::Prefix(31)));
    assert!(matches!(broken(&|c| c.subnets[0].prefix = 28), ConfigError::PoolOutside { .. }));
    assert!(matches!(
        broken(&|c| c.subnets[0].gateway = Some(address(10, 0, 0, 1))),
        ConfigError::GatewayOutside(_)
    ));
    assert!(matches!(broken(&|c| c.lease_time = Duration::from_secs(59)), ConfigError::LeaseTime(_)));
}
