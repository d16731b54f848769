//! ASF presence ping and pong: the example bytes of the ASF 2.0 specification, sections 3.2.4.1 and 3.2.4.3.

#[path = "support/fleet.rs"]
mod fleet;

use fleet::{Machine, seeded, server_config};
use ipmi::server::Server;
use ipmi::wire::rmcp::Rmcp;
use std::time::Duration;

const PING: [u8; 12] = [0x06, 0x00, 0xFF, 0x06, 0x00, 0x00, 0x11, 0xBE, 0x80, 0x07, 0x00, 0x00];
const PONG: [u8; 28] = [
    0x06, 0x00, 0xFF, 0x06, 0x00, 0x00, 0x11, 0xBE, 0x40, 0x07, 0x00, 0x10, 0x00, 0x00, 0x11, 0xBE, 0, 0, 0,
    0, 0x81, 0, 0, 0, 0, 0, 0, 0,
];

#[test]
fn a_ping_is_answered() {
    assert_eq!(Rmcp::Ping { tag: 7 }.encode(), PING);
    let mut server = Server::new(server_config(), Machine::default(), seeded(1));
    let console = "192.0.2.1:4000".parse().unwrap();
    server.handle(Duration::ZERO, console, &PING);
    assert_eq!(server.poll_transmit(), Some((console, PONG.to_vec())));
    assert_eq!(Rmcp::decode(&PONG), Ok(Rmcp::Pong { tag: 7, ipmi: true }));
}
