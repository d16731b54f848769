//! The way to a session: what to ask next, and what each answer of the BMC means. Sending again and deadlines are the
//! parent's.

use super::{Client, Outgoing, capabilities_request, plain};
use crate::command::app::{
    CIPHER_SUITE_LAST_INDEX, CIPHER_SUITE_PART, GetChannelAuthCapabilities, GetChannelCipherSuites,
    SetSessionPrivilege, THIS_CHANNEL, decode_suite_records,
};
use crate::command::{Command, RawResponse};
use crate::crypto::same_code;
use crate::error::{ClientError, Phase};
use crate::handshake::Transcript;
use crate::session::Session;
use crate::suite::{CipherChoice, CipherSuite};
use crate::wire::handshake::{
    BmcProof, NAME_ONLY_LOOKUP, OpenSessionRequest, OpenSessionResponse, OpenedSession, Rakp1, Rakp2, Rakp3,
    Rakp4, Status,
};
use crate::wire::packet::{Packet, PayloadType};
use crate::{CompletionCode, Privilege};
use core::time::Duration;
use zeroize::Zeroizing;

/// How often the handshake starts over when the BMC has lost the thread.
const MAX_RESTARTS: u8 = 3;

/// Where a client is.
#[derive(Debug)]
pub(super) enum Stage {
    Capabilities,
    CipherSuites { index: u8, records: Vec<u8> },
    Open { console_session: u32 },
    Rakp1 { transcript: Box<Transcript> },
    Rakp3 { transcript: Box<Transcript>, integrity_key: Zeroizing<Vec<u8>> },
    Privilege,
    Ready,
    Closing,
    Over,
}

impl Client {
    pub(super) fn start(&mut self, now: Duration) {
        if let CipherChoice::Only(suite) = self.config.cipher {
            self.candidates = vec![suite];
        }
        let request = capabilities_request(self.config.privilege);
        self.ask(now, Phase::Capabilities, request, self.connect_by);
    }

    /// Answers that come before there is a session.
    pub(super) fn sessionless_answered(&mut self, now: Duration, phase: Phase, answer: &RawResponse) {
        match phase {
            Phase::Capabilities => self.capabilities_answered(now, answer),
            Phase::CipherSuites => self.suites_answered(now, answer),
            _ => {}
        }
    }

    fn capabilities_answered(&mut self, now: Duration, answer: &RawResponse) {
        match GetChannelAuthCapabilities::from_raw(answer) {
            Ok(capabilities) if !capabilities.ipmi20 => self.fail(ClientError::OldProtocol),
            Err(_) if answer.completion != CompletionCode::Ok => {
                let code = answer.completion;
                self.fail(ClientError::Completion { phase: Phase::Capabilities, code });
            }
            // An answer that makes no sense is no reason to stop: the handshake will tell.
            Ok(_) | Err(_) => match self.config.cipher {
                CipherChoice::Only(_) => self.open_session(now),
                CipherChoice::Negotiate => self.ask_suites(now, 0, Vec::new()),
            },
        }
    }

    fn ask_suites(&mut self, now: Duration, index: u8, records: Vec<u8>) {
        self.stage = Stage::CipherSuites { index, records };
        let request = GetChannelCipherSuites { channel: THIS_CHANNEL, payload_type: 0, index }.to_raw();
        // Not every BMC answers this one: one repetition, and then on without.
        let patience = self.first_pause() * 2;
        self.ask(now, Phase::CipherSuites, request, (now + patience).min(self.connect_by));
    }

    fn suites_answered(&mut self, now: Duration, answer: &RawResponse) {
        let Stage::CipherSuites { index, records } = &mut self.stage else { return };
        let Ok(part) = GetChannelCipherSuites::from_raw(answer) else { return self.propose_unasked(now) };
        records.extend_from_slice(&part.records);
        if part.records.len() == CIPHER_SUITE_PART && *index < CIPHER_SUITE_LAST_INDEX {
            let (index, records) = (*index + 1, core::mem::take(records));
            return self.ask_suites(now, index, records);
        }
        self.offered = decode_suite_records(records);
        if self.offered.is_empty() {
            return self.propose_unasked(now);
        }
        let ours = CipherSuite::PREFERENCE.into_iter().filter(|suite| self.offered.contains(&suite.id()));
        self.candidates = ours.collect();
        self.open_session(now);
    }

    /// The BMC does not say what it has: try ours in order.
    pub(super) fn propose_unasked(&mut self, now: Duration) {
        self.candidates = CipherSuite::PREFERENCE.to_vec();
        self.open_session(now);
    }

    pub(super) fn open_session(&mut self, now: Duration) {
        let Some(suite) = self.candidates.first().copied() else {
            let offered = core::mem::take(&mut self.offered);
            return self.fail(ClientError::NoMatchingCipherSuite { offered });
        };
        let console_session = self.random_id();
        self.tag = self.tag.wrapping_add(1);
        let request = OpenSessionRequest {
            tag: self.tag,
            // The highest that the suite allows; the role of RAKP message 1 says what is wanted.
            privilege: 0,
            console_session,
            algorithms: suite.algorithms(),
        };
        self.stage = Stage::Open { console_session };
        // When the BMC did not list its suites, silence may be its way to refuse this one: keep half of the time for the
        // next. When it did, silence is loss, and loss is no reason to take a weaker suite.
        let patience = if self.offered.is_empty() && self.candidates.len() > 1 {
            now + self.connected_by().saturating_sub(now) / 2
        } else {
            self.connect_by
        };
        self.say(now, Phase::OpenSession, PayloadType::OpenSessionRequest, &request.encode(), patience);
    }

    /// A message of the handshake.
    pub(super) fn handle_login(&mut self, now: Duration, kind: PayloadType, payload: &[u8]) {
        match kind {
            PayloadType::OpenSessionResponse => {
                if let Ok(response) = OpenSessionResponse::decode(payload) {
                    self.opened(now, &response);
                }
            }
            PayloadType::Rakp2 => {
                if let Ok(message) = Rakp2::decode(payload) {
                    self.bmc_proved(now, message);
                }
            }
            PayloadType::Rakp4 => {
                if let Ok(message) = Rakp4::decode(payload) {
                    self.checked(now, message);
                }
            }
            _ => {}
        }
    }

    fn opened(&mut self, now: Duration, response: &OpenSessionResponse) {
        let Stage::Open { console_session } = self.stage else { return };
        if response.tag != self.tag {
            return;
        }
        match response.outcome {
            Ok(opened) if response.console_session == console_session => {
                self.send_rakp1(now, console_session, opened);
            }
            Ok(_) => {}
            Err(status) if status.refuses_algorithms() => {
                self.candidates.remove(0);
                self.open_session(now);
            }
            Err(status) => self.refused(now, Phase::OpenSession, status),
        }
    }

    fn send_rakp1(&mut self, now: Duration, console_session: u32, opened: OpenedSession) {
        // A BMC may answer with other algorithms than those proposed: fine if we would have proposed them next.
        let suite =
            CipherSuite::from_algorithms(opened.algorithms).filter(|suite| self.candidates.contains(suite));
        let Some(suite) = suite else {
            let offered = core::mem::take(&mut self.offered);
            return self.fail(ClientError::NoMatchingCipherSuite { offered });
        };
        let mut console_random = [0; 16];
        self.random.fill(&mut console_random);
        let transcript = Transcript {
            suite,
            console_session,
            managed_session: opened.managed_session,
            console_random,
            bmc_random: [0; 16],
            guid: [0; 16],
            role: NAME_ONLY_LOOKUP | self.config.privilege.to_wire(),
            username: self.config.username.clone(),
        };
        self.tag = self.tag.wrapping_add(1);
        let message = Rakp1 {
            tag: self.tag,
            managed_session: opened.managed_session,
            console_random,
            role: transcript.role,
            username: self.config.username.as_bytes(),
        };
        let payload = message.encode();
        self.stage = Stage::Rakp1 { transcript: Box::new(transcript) };
        self.say(now, Phase::Rakp1, PayloadType::Rakp1, &payload, self.connect_by);
    }

    fn bmc_proved(&mut self, now: Duration, message: Rakp2) {
        let Stage::Rakp1 { transcript } = &self.stage else { return };
        if message.tag != self.tag {
            return;
        }
        let mut transcript = transcript.clone();
        let BmcProof { bmc_random, guid, code } = match message.outcome {
            Ok(proof) if message.console_session == transcript.console_session => proof,
            Ok(_) => return,
            Err(status) => return self.refused(now, Phase::Rakp1, status),
        };
        transcript.bmc_random = bmc_random;
        transcript.guid = guid;
        let right = same_code(&transcript.bmc_proof(&self.config.password), &code);
        self.tag = self.tag.wrapping_add(1);
        let outcome = if right {
            Ok(transcript.console_proof(&self.config.password).to_vec())
        } else {
            Err(Status::INVALID_CHECK_VALUE)
        };
        let message = Rakp3 { tag: self.tag, managed_session: transcript.managed_session, outcome };
        if !right {
            // The BMC may free the session at once; no answer is awaited.
            let packet = Packet::Plain { kind: PayloadType::Rakp3, payload: &message.encode() };
            self.out.extend(packet.encode());
            return self.fail(ClientError::WrongPassword);
        }
        let key = self.config.bmc_key.as_ref().unwrap_or(&self.config.password);
        let integrity_key = transcript.integrity_key(key);
        self.stage = Stage::Rakp3 { transcript, integrity_key };
        self.say(now, Phase::Rakp3, PayloadType::Rakp3, &message.encode(), self.connect_by);
    }

    fn checked(&mut self, now: Duration, message: Rakp4) {
        let Stage::Rakp3 { transcript, integrity_key } = &self.stage else { return };
        if message.tag != self.tag {
            return;
        }
        let value = match message.outcome {
            Ok(value) if message.console_session == transcript.console_session => value,
            Ok(_) => return,
            Err(status) => return self.refused(now, Phase::Rakp3, status),
        };
        if !same_code(&transcript.check_value(integrity_key), &value) {
            return self.fail(ClientError::WrongBmcKey);
        }
        let keys = transcript.session_keys(integrity_key);
        self.session = Some(Session::new(keys, transcript.console_session, transcript.managed_session));
        self.exchange = None;
        if self.config.privilege <= Privilege::User {
            return self.establish();
        }
        self.stage = Stage::Privilege;
        let request = SetSessionPrivilege { privilege: Some(self.config.privilege) }.to_raw();
        self.ask(now, Phase::Privilege, request, self.connect_by);
    }

    /// A status code other than those about algorithms.
    fn refused(&mut self, now: Duration, phase: Phase, status: Status) {
        let error = match status {
            Status::NO_RESOURCES => ClientError::NoFreeSession,
            Status::UNAUTHORIZED_NAME | Status::INVALID_NAME_LENGTH => ClientError::UnknownUser,
            Status::UNAUTHORIZED_ROLE | Status::INVALID_ROLE | Status::NO_RESOURCES_FOR_ROLE => {
                ClientError::PrivilegeTooHigh { requested: self.config.privilege }
            }
            Status::INVALID_CHECK_VALUE if phase == Phase::Rakp1 => ClientError::WrongPassword,
            Status::INVALID_CHECK_VALUE | Status::INVALID_SESSION | Status::INACTIVE_SESSION
                if self.restarts < MAX_RESTARTS =>
            {
                // In phase RAKP 3 the BMC has already proved that it knows our password, so that is not what is wrong: it
                // made a new random number for a repeated RAKP message 1, or forgot the session. Start over.
                self.restarts += 1;
                return self.open_session(now);
            }
            status => ClientError::Refused { phase, status },
        };
        self.fail(error);
    }

    /// Sends a message of the handshake.
    fn say(&mut self, now: Duration, phase: Phase, kind: PayloadType, payload: &[u8], give_up_at: Duration) {
        let outgoing: Outgoing = plain(&Packet::Plain { kind, payload });
        self.begin(now, phase, outgoing, None, give_up_at);
    }

    /// A session identifier: not 0, which means "outside a session".
    fn random_id(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        u32::from_le_bytes(bytes).max(1)
    }
}
