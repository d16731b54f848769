//! Conversations recorded on a wire, read with the password alone. Suite 3: `ipmitool` 1.8.19 with pyghmi's BMC, so that
//! neither end is ours. Suite 17: `ipmitool` with the BMC of this crate.

use super::Transcript;
use crate::command::app::{CloseSession, GetDeviceId, SetSessionPrivilege};
use crate::command::boot::{BootDevice, BootFlags, BootParameter, SetBootOptions, SetState};
use crate::command::{Command, RawRequest};
use crate::secret::{Password, Username};
use crate::session::Session;
use crate::suite::CipherSuite;
use crate::wire::handshake::{OpenSessionRequest, OpenSessionResponse, Rakp1, Rakp2, Rakp3, Rakp4};
use crate::wire::message::{Request, Response};
use crate::wire::packet::{Packet, PayloadType};
use crate::wire::rmcp::Rmcp;
use crate::{CompletionCode, Privilege};

const SUITE_3: &str = include_str!("../../tests/golden/suite3.txt");
const SUITE_17: &str = include_str!("../../tests/golden/suite17.txt");

/// The datagrams with their direction: true goes to the BMC.
fn datagrams(text: &str) -> Vec<(bool, Vec<u8>)> {
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines()
        .map(|line| (line.starts_with('>'), line.as_bytes()[2..].chunks(2).map(byte).collect()))
        .collect()
}

fn packet(datagram: &[u8]) -> Packet<'_> {
    let Rmcp::Ipmi(rest) = Rmcp::decode(datagram).unwrap() else { panic!("not IPMI") };
    Packet::decode(rest).unwrap()
}

/// The payload of the only handshake message of this kind; encoding the packet again gives the same bytes.
fn payload(datagrams: &[(bool, Vec<u8>)], wanted: PayloadType) -> Vec<u8> {
    for (_, datagram) in datagrams {
        let packet = packet(datagram);
        if let Packet::Plain { kind, payload } = packet
            && kind == wanted
        {
            assert_eq!(packet.encode().as_deref(), Some(datagram.as_slice()));
            return payload.to_vec();
        }
    }
    panic!("no {wanted:?}");
}

/// Checks every message and proof of a handshake; gives both ends' sessions.
fn handshake(all: &[(bool, Vec<u8>)], suite: CipherSuite) -> (Session, Session) {
    let bytes = payload(all, PayloadType::OpenSessionRequest);
    let request = OpenSessionRequest::decode(&bytes).unwrap();
    assert_eq!(request.encode(), bytes);
    assert_eq!(request.algorithms, suite.algorithms());
    let bytes = payload(all, PayloadType::OpenSessionResponse);
    let response = OpenSessionResponse::decode(&bytes).unwrap();
    assert_eq!(response.encode(), bytes);
    let opened = response.outcome.unwrap();
    let bytes = payload(all, PayloadType::Rakp1);
    let rakp1 = Rakp1::decode(&bytes).unwrap();
    assert_eq!(rakp1.encode(), bytes);
    let bytes = payload(all, PayloadType::Rakp2);
    let rakp2 = Rakp2::decode(&bytes).unwrap();
    assert_eq!(rakp2.encode(), bytes);
    let bmc = rakp2.outcome.unwrap();
    let transcript = Transcript {
        suite,
        console_session: request.console_session,
        managed_session: opened.managed_session,
        console_random: rakp1.console_random,
        bmc_random: bmc.bmc_random,
        guid: bmc.guid,
        role: rakp1.role,
        username: Username::new("admin").unwrap(),
    };
    let password = Password::new("secret").unwrap();
    assert_eq!(*transcript.bmc_proof(&password), bmc.code);
    let bytes = payload(all, PayloadType::Rakp3);
    let rakp3 = Rakp3::decode(&bytes).unwrap();
    assert_eq!(rakp3.encode(), bytes);
    assert_eq!(Ok(transcript.console_proof(&password).to_vec()), rakp3.outcome);
    let integrity_key = transcript.integrity_key(&password);
    let bytes = payload(all, PayloadType::Rakp4);
    let rakp4 = Rakp4::decode(&bytes).unwrap();
    assert_eq!(rakp4.encode(), bytes);
    assert_eq!(Ok(transcript.check_value(&integrity_key)), rakp4.outcome);
    let keys = transcript.session_keys(&integrity_key);
    let (console, managed) = (transcript.console_session, transcript.managed_session);
    (Session::new(keys.clone(), console, managed), Session::new(keys, managed, console))
}

/// Everything said inside the session: requests in order, each answered with "completed normally" unless optional.
fn requests(text: &str, suite: CipherSuite) -> Vec<RawRequest> {
    let all = datagrams(text);
    let (mut console, mut bmc) = handshake(&all, suite);
    let mut requests = Vec::new();
    for (to_bmc, datagram) in &all {
        let Packet::Sealed(packet) = packet(datagram) else { continue };
        if *to_bmc {
            let plain = bmc.open(&packet).unwrap();
            let request = Request::decode(&plain).unwrap();
            assert_eq!(request.encode(), plain);
            let Request { net_fn, command, data, .. } = request;
            requests.push(RawRequest { net_fn, command, data: data.to_vec() });
        } else {
            let plain = console.open(&packet).unwrap();
            let response = Response::decode(&plain).unwrap();
            assert_eq!(response.encode(), plain);
            let known = [CompletionCode::Ok, CompletionCode::InvalidCommand, CompletionCode::Other(0x80)];
            assert!(known.contains(&response.completion), "{response:?}");
        }
    }
    requests
}

/// `ipmitool chassis bootdev pxe options=persistent,efiboot` is this, among questions about vendor extensions.
fn expect_boot_device(requests: &[RawRequest]) {
    let raise = SetSessionPrivilege { privilege: Some(Privilege::Administrator) }.to_raw();
    assert_eq!(requests.first(), Some(&raise));
    let flags = BootFlags::new(BootDevice::Pxe, true, true);
    let sets: Vec<_> = requests
        .iter()
        .filter(|raw| (raw.net_fn, raw.command) == (SetBootOptions::NET_FN, SetBootOptions::CODE))
        .map(|raw| SetBootOptions::decode(&raw.data).unwrap().parameter.unwrap())
        .collect();
    assert!(sets.contains(&BootParameter::Flags(flags)), "{sets:?}");
    assert!(sets.contains(&BootParameter::SetState(SetState::InProgress)), "{sets:?}");
    assert!(sets.contains(&BootParameter::InfoAcknowledge { mask: 1, data: 1 }), "{sets:?}");
    let last = requests.last().unwrap();
    assert_eq!((last.net_fn, last.command), (CloseSession::NET_FN, CloseSession::CODE));
    assert!(requests.contains(&GetDeviceId.to_raw()));
}

#[test]
fn suite_3_as_others_speak_it() {
    expect_boot_device(&requests(SUITE_3, CipherSuite::Sha1));
}

#[test]
fn suite_17_as_ipmitool_speaks_it() {
    expect_boot_device(&requests(SUITE_17, CipherSuite::Sha256));
}

#[test]
fn the_first_question_and_its_answer() {
    use crate::command::app::{ChannelAuthCapabilities, GetChannelAuthCapabilities};
    let all = datagrams(SUITE_3);
    let Packet::Sessionless15 { payload } = packet(&all[0].1) else { panic!("not IPMI 1.5") };
    let request = Request::decode(payload).unwrap();
    let get = GetChannelAuthCapabilities::decode(request.data).unwrap();
    assert_eq!(get, GetChannelAuthCapabilities { ipmi20: true, channel: 14, privilege: 4 });
    assert_eq!(get.encode(), request.data);
    let Packet::Sessionless15 { payload } = packet(&all[1].1) else { panic!("not IPMI 1.5") };
    let response = Response::decode(payload).unwrap();
    assert!(response.answers(&request));
    let capabilities = GetChannelAuthCapabilities::decode_response(response.data).unwrap();
    assert!(matches!(capabilities, ChannelAuthCapabilities { channel: 1, ipmi20: true, ipmi15: false, .. }));
    assert_eq!(GetChannelAuthCapabilities::encode_response(&capabilities), response.data);
}
