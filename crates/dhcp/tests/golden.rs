//! Requests of real firmware, byte for byte, and the answers they get.
//!
//! Captured from QEMU 10: the BIOS iPXE ROM of a virtio card, OVMF's PXE and HTTP boot, and Debian 12's snponly.efi on OVMF.
//! The answers are those with which these machines booted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::{
    Admission, Architecture, BootAnswer, ClientFacts, Config, Grant, MessageType, Mode, Packet, Pool, Port,
    Server, Subnet, VendorClass, Verdict,
};
use dhcproto::v4::Message;
use dhcproto::{Decodable, Decoder};

const SERVER: Ipv4Addr = Ipv4Addr::new(172, 22, 0, 1);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(48) {
        text.extend(
            line.iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
        text.push('\n');
    }
    text
}

struct Case {
    who: &'static str,
    discover: &'static str,
    request: &'static str,
    offer: &'static str,
    ack: &'static str,
    class: VendorClass,
    architecture: Architecture,
    ipxe: bool,
    boot: BootAnswer,
}

macro_rules! case {
    ($who:literal, $class:ident, $architecture:ident, $ipxe:literal, $boot:expr) => {
        Case {
            who: $who,
            discover: include_str!(concat!("golden/", $who, "-discover.hex")),
            request: include_str!(concat!("golden/", $who, "-request.hex")),
            offer: include_str!(concat!("golden/", $who, "-offer.hex")),
            ack: include_str!(concat!("golden/", $who, "-ack.hex")),
            class: VendorClass::$class,
            architecture: Architecture::$architecture,
            ipxe: $ipxe,
            boot: $boot,
        }
    };
}

fn cases() -> [Case; 4] {
    let script =
        |last: u8| BootAnswer::Url(format!("http://172.22.0.1:8080/boot/52:54:00:00:00:{last:02x}.ipxe"));
    let file = BootAnswer::File { server: SERVER, name: "snponly.efi".into() };
    [
        case!("bios-ipxe", Pxe, X86Bios, true, script(1)),
        case!("uefi", Pxe, X64Uefi, false, file),
        case!("uefi-ipxe", Pxe, X64Uefi, true, script(2)),
        case!(
            "http",
            Http,
            X64UefiHttp,
            false,
            BootAnswer::Url("http://172.22.0.1:8080/ipxe/snponly.efi".into())
        ),
    ]
}

fn server() -> Server {
    let pool = Pool::new(Ipv4Addr::new(172, 22, 0, 100), Ipv4Addr::new(172, 22, 0, 200)).unwrap();
    Server::new(Config {
        mode: Mode::Full,
        server: SERVER,
        subnets: vec![Subnet { network: SERVER, prefix: 24, pool: Some(pool), gateway: None }],
        dns: vec![],
        domain: None,
        lease_time: Duration::from_hours(1),
        quarantine: Duration::from_hours(1),
    })
    .unwrap()
}

#[test]
fn real_requests_are_understood() {
    for case in cases() {
        for (text, message) in [(case.discover, MessageType::Discover), (case.request, MessageType::Request)]
        {
            let wire = bytes(text);
            let packet = Packet::decode(&wire).unwrap();
            let facts = ClientFacts::of(&packet).unwrap();
            assert_eq!(
                (facts.message, facts.class, facts.architecture, facts.ipxe),
                (message, case.class, Some(case.architecture), case.ipxe),
                "{}",
                case.who
            );
            assert_eq!(facts.mac.octets()[..5], [0x52, 0x54, 0, 0, 0]);
            assert!(facts.machine_id.is_some());
            // The other codec sees the same options.
            let message = Message::decode(&mut Decoder::new(&wire)).unwrap();
            let codes: Vec<u8> = message.opts().iter().map(|(code, _)| u8::from(*code)).collect();
            assert_eq!(packet.options.codes().collect::<Vec<_>>(), codes, "{}", case.who);
            assert_eq!(Packet::decode(&packet.encode()).unwrap(), packet);
        }
    }
}

#[test]
fn answers_are_these_bytes() {
    for case in cases() {
        let mut server = server();
        for (question, answer, name) in
            [(case.discover, case.offer, "offer"), (case.request, case.ack, "ack")]
        {
            let outcome = server.handle(Duration::ZERO, Port::Dhcp, &bytes(question), |_| {
                Admission::Serve(Grant { boot: case.boot.clone(), ..Grant::default() })
            });
            let Verdict::Reply(reply) = outcome.verdict else {
                panic!("{}: {:?}", case.who, outcome.verdict)
            };
            assert!(reply.bytes == bytes(answer), "{}-{name}.hex is now\n{}", case.who, hex(&reply.bytes));
            Message::decode(&mut Decoder::new(&reply.bytes)).unwrap();
        }
    }
}
