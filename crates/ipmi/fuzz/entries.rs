//! What fuzzing calls: each takes any bytes and must neither panic nor break an invariant. Shared by the libFuzzer targets
//! and by tests/codecs.rs.

use core::fmt::Debug;
use core::time::Duration;
use ipmi::command::app::{
    CloseSession, DeviceId, GetChannelAuthCapabilities, GetChannelCipherSuites, GetDeviceId, GetSystemGuid,
    SetSessionPrivilege, decode_suite_records,
};
use ipmi::command::boot::{BootFlags, GetBootOptions, SetBootOptions};
use ipmi::command::chassis::{ChassisControl, ChassisIdentify, ChassisStatus, GetChassisStatus};
use ipmi::command::{Command, Guid};
use ipmi::server::{Chassis, Server, ServerConfig, User};
use ipmi::wire::handshake::{OpenSessionRequest, OpenSessionResponse, Rakp1, Rakp2, Rakp3, Rakp4};
use ipmi::wire::message::{Request, Response};
use ipmi::wire::packet::{Packet, PayloadType};
use ipmi::wire::rmcp::Rmcp;
use ipmi::{CipherChoice, Client, CompletionCode, Config, Password, Privilege, Timing, Username};

/// What decodes, decodes to the same value when encoded again.
fn stable<T: PartialEq + Debug, E>(
    data: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    if let Ok(value) = decode(data) {
        let bytes = encode(&value);
        assert_eq!(decode(&bytes).ok().as_ref(), Some(&value), "{bytes:x?}");
    }
}

fn command<K: Command + PartialEq + Debug>(data: &[u8])
where
    K::Response: PartialEq + Debug,
{
    stable(data, K::decode, K::encode);
    stable(data, K::decode_response, K::encode_response);
}

/// Every decoder on the same bytes.
pub(crate) fn decode(data: &[u8]) {
    if let Ok(Rmcp::Ipmi(rest)) = Rmcp::decode(data) {
        let _decoded = Packet::decode(rest);
    }
    let _decoded = Packet::decode(data);
    if let Ok(request) = Request::decode(data) {
        assert_eq!(request.encode(), data);
    }
    if let Ok(response) = Response::decode(data) {
        assert_eq!(response.encode(), data);
    }
    stable(data, OpenSessionRequest::decode, OpenSessionRequest::encode);
    stable(data, OpenSessionResponse::decode, OpenSessionResponse::encode);
    if let Ok(message) = Rakp1::decode(data) {
        assert_eq!(Rakp1::decode(&message.encode()), Ok(message));
    }
    stable(data, Rakp2::decode, Rakp2::encode);
    if let Ok(message) = Rakp3::decode(data)
        && message.outcome.is_ok()
    {
        stable(data, Rakp3::decode, Rakp3::encode);
    }
    stable(data, Rakp4::decode, Rakp4::encode);
    command::<GetDeviceId>(data);
    command::<GetSystemGuid>(data);
    command::<GetChannelAuthCapabilities>(data);
    command::<GetChannelCipherSuites>(data);
    command::<SetSessionPrivilege>(data);
    command::<CloseSession>(data);
    command::<GetChassisStatus>(data);
    command::<ChassisControl>(data);
    command::<ChassisIdentify>(data);
    command::<SetBootOptions>(data);
    command::<GetBootOptions>(data);
    assert!(decode_suite_records(data).len() <= data.len());
}

/// A machine that nothing reaches unless a login succeeds.
struct Untouchable;

impl Chassis for Untouchable {
    fn status(&mut self) -> ChassisStatus {
        unreachable!("nobody is logged in")
    }

    fn control(&mut self, _: ChassisControl) -> Result<(), CompletionCode> {
        unreachable!("nobody is logged in")
    }

    fn boot_flags(&mut self) -> BootFlags {
        unreachable!("nobody is logged in")
    }

    fn set_boot_flags(&mut self, _: BootFlags) -> Result<(), CompletionCode> {
        unreachable!("nobody is logged in")
    }

    fn guid(&self) -> Guid {
        Guid([7; 16])
    }

    fn device_id(&self) -> DeviceId {
        unreachable!("nobody is logged in")
    }
}

/// The input as datagrams: each one's length comes first.
fn datagrams(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (len, rest) = data.split_first()?;
        let (datagram, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        data = rest;
        Some(datagram)
    })
}

/// Datagrams as they come, behind a valid RMCP header and with the payload types of the handshake, so that the input
/// gets deeper than the first check.
fn dressed(datagram: &[u8]) -> Option<Vec<u8>> {
    const KINDS: [PayloadType; 7] = [
        PayloadType::Ipmi,
        PayloadType::OpenSessionRequest,
        PayloadType::OpenSessionResponse,
        PayloadType::Rakp1,
        PayloadType::Rakp2,
        PayloadType::Rakp3,
        PayloadType::Rakp4,
    ];
    let (first, payload) = datagram.split_first()?;
    Packet::Plain { kind: KINDS[usize::from(*first) % KINDS.len()], payload }.encode()
}

fn counting() -> impl ipmi::Random + 'static {
    let mut next = 0u8;
    move |buffer: &mut [u8]| {
        for byte in buffer {
            next = next.wrapping_mul(5).wrapping_add(3);
            *byte = next;
        }
    }
}

fn name() -> (Username, Password) {
    match (Username::new("admin"), Password::new("a password")) {
        (Ok(name), Ok(password)) => (name, password),
        _ => unreachable!("both are short enough"),
    }
}

/// A BMC that is sent anything: no command is carried out, its tables stay within their bounds.
pub(crate) fn server(data: &[u8]) {
    let (name, password) = name();
    let users = vec![User { name, password, max_privilege: Privilege::Administrator }];
    let config = ServerConfig { users, ..ServerConfig::default() };
    let mut server = Server::new(config, Untouchable, counting());
    let console = ([192, 0, 2, 1], 4000).into();
    let mut now = Duration::ZERO;
    for datagram in datagrams(data) {
        now += Duration::from_millis(100);
        server.handle(now, console, datagram);
        if let Some(dressed) = dressed(datagram) {
            server.handle(now, console, &dressed);
        }
        while server.poll_transmit().is_some() {}
        assert_eq!(server.session_count(), 0);
        while server.poll_event().is_some() {}
    }
}

/// A console that is sent anything: it never believes that it is logged in, and it ends.
pub(crate) fn client(data: &[u8]) {
    let (username, password) = name();
    let config = Config {
        username,
        password,
        bmc_key: None,
        privilege: Privilege::Administrator,
        cipher: CipherChoice::Negotiate,
        timing: Timing::default(),
    };
    let mut client = Client::new(config, Duration::ZERO, counting());
    for datagram in datagrams(data) {
        client.handle(Duration::ZERO, datagram);
        if let Some(dressed) = dressed(datagram) {
            client.handle(Duration::ZERO, &dressed);
        }
        while client.poll_transmit().is_some() {}
        assert!(!client.is_ready());
    }
    for _ in 0..100 {
        let Some(deadline) = client.poll_timeout() else { return };
        client.handle_timeout(deadline);
        assert!(!client.is_ready());
    }
    unreachable!("a console that never ends");
}
