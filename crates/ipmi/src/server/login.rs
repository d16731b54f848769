//! The BMC's part of the handshake: open session and RAKP messages. Repeated messages get the same answer again, so that
//! a lost or late datagram cannot give the two ends different random numbers.

use super::sessions::{Active, Login, Pending};
use super::{Chassis, Server, ServerEvent, User};
use crate::Privilege;
use crate::crypto::same_code;
use crate::handshake::Transcript;
use crate::secret::Username;
use crate::session::Session;
use crate::suite::CipherSuite;
use crate::wire::handshake::{
    BmcProof, OpenSessionRequest, OpenSessionResponse, OpenedSession, Rakp1, Rakp2, Rakp3, Rakp4, Status,
};
use crate::wire::packet::PayloadType;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

impl<C: Chassis> Server<C> {
    pub(super) fn handle_login(
        &mut self,
        now: Duration,
        from: SocketAddr,
        kind: PayloadType,
        payload: &[u8],
    ) {
        match kind {
            PayloadType::OpenSessionRequest => {
                if let Ok(request) = OpenSessionRequest::decode(payload) {
                    self.open_session(now, from, &request);
                }
            }
            PayloadType::Rakp1 => self.rakp1(now, from, payload),
            PayloadType::Rakp3 => self.rakp3(now, from, payload),
            _ => {}
        }
    }

    fn open_session(&mut self, now: Duration, from: SocketAddr, request: &OpenSessionRequest) {
        let OpenSessionRequest { tag, console_session, .. } = *request;
        let outcome = self.grant(now, from, request);
        if let Err(status) = outcome {
            self.event(ServerEvent::Denied { from, status });
        }
        let response = OpenSessionResponse { tag, console_session, outcome };
        self.send_plain(from, PayloadType::OpenSessionResponse, &response.encode());
    }

    fn grant(
        &mut self,
        now: Duration,
        from: SocketAddr,
        request: &OpenSessionRequest,
    ) -> Result<OpenedSession, Status> {
        let suite = CipherSuite::from_algorithms(request.algorithms)
            .filter(|suite| self.config.suites.contains(suite))
            .ok_or(Status::NO_CIPHER_SUITE)?;
        if request.console_session == 0 {
            return Err(Status::INVALID_SESSION);
        }
        if self.sessions.active.len() >= self.config.max_sessions {
            return Err(Status::NO_RESOURCES);
        }
        let repeated = self.sessions.pending.iter().find(|pending| {
            (pending.from, pending.tag, pending.console_session)
                == (from, request.tag, request.console_session)
                && pending.suite == suite
        });
        let managed_session = if let Some(pending) = repeated {
            pending.managed_session
        } else {
            let managed_session = self.new_id();
            let pending = Pending {
                from,
                tag: request.tag,
                console_session: request.console_session,
                managed_session,
                suite,
                last_heard: now,
                login: None,
            };
            self.sessions.add_pending(pending, self.config.max_sessions);
            managed_session
        };
        let privilege = match request.privilege {
            0 => Privilege::Administrator.to_wire(),
            wanted => wanted,
        };
        Ok(OpenedSession { privilege, managed_session, algorithms: suite.algorithms() })
    }

    fn new_id(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        let mut id = u32::from_le_bytes(bytes);
        // The tables are small, so a free number is near.
        while id == 0 || self.sessions.is_used(id) {
            id = id.wrapping_add(1);
        }
        id
    }

    fn rakp1(&mut self, now: Duration, from: SocketAddr, payload: &[u8]) {
        let Ok(message) = Rakp1::decode(payload) else { return };
        let mut bmc_random = [0; 16];
        self.random.fill(&mut bmc_random);
        let guid = self.chassis.guid().0;
        let Some(pending) = self.sessions.pending_mut(message.managed_session) else {
            return self.deny_rakp1(from, message.tag, 0, Status::INVALID_SESSION);
        };
        pending.last_heard = now;
        if let Some(login) = pending.login.as_ref().filter(|login| login.asked == payload) {
            let answer = login.answer.clone();
            return self.send_plain(from, PayloadType::Rakp2, &answer);
        }
        let (console_session, suite) = (pending.console_session, pending.suite);
        let user = find_user(&self.config.users, &message);
        let (user, limit) = match user {
            Ok(found) => found,
            Err(status) => return self.deny_rakp1(from, message.tag, console_session, status),
        };
        let transcript = Transcript {
            suite,
            console_session,
            managed_session: message.managed_session,
            console_random: message.console_random,
            bmc_random,
            guid,
            role: message.role,
            username: user.name.clone(),
        };
        let code = transcript.bmc_proof(&user.password).to_vec();
        let proof = BmcProof { bmc_random, guid, code };
        let answer = Rakp2 { tag: message.tag, console_session, outcome: Ok(proof) }.encode();
        pending.login =
            Some(Login { transcript, user, limit, asked: payload.to_vec(), answer: answer.clone() });
        self.send_plain(from, PayloadType::Rakp2, &answer);
    }

    fn deny_rakp1(&mut self, from: SocketAddr, tag: u8, console_session: u32, status: Status) {
        self.event(ServerEvent::Denied { from, status });
        let answer = Rakp2 { tag, console_session, outcome: Err(status) };
        self.send_plain(from, PayloadType::Rakp2, &answer.encode());
    }

    fn rakp3(&mut self, now: Duration, from: SocketAddr, payload: &[u8]) {
        let Ok(message) = Rakp3::decode(payload) else { return };
        if let Some(active) =
            self.sessions.find(message.managed_session).map(|index| &self.sessions.active[index])
        {
            // Message 4 was lost: once more.
            if active.rakp3.0 == payload {
                let answer = active.rakp3.1.clone();
                self.send_plain(from, PayloadType::Rakp4, &answer);
            }
            return;
        }
        let position = self.sessions.pending.iter().position(|pending| {
            pending.managed_session == message.managed_session && pending.login.is_some()
        });
        let Some(position) = position else {
            return self.deny_rakp3(from, message.tag, 0, Status::INVALID_SESSION);
        };
        // Whatever comes of it, this handshake is over.
        let pending = self.sessions.pending.remove(position);
        let Some(login) = pending.login else { return };
        let Ok(code) = message.outcome else { return };
        let expected = login.transcript.console_proof(&login.user.password);
        if !same_code(&expected, &code) {
            return self.deny_rakp3(from, message.tag, pending.console_session, Status::INVALID_CHECK_VALUE);
        }
        if self.sessions.active.len() >= self.config.max_sessions {
            return self.deny_rakp3(from, message.tag, pending.console_session, Status::NO_RESOURCES);
        }
        let key = self.config.bmc_key.as_ref().unwrap_or(&login.user.password);
        let integrity_key = login.transcript.integrity_key(key);
        let check = login.transcript.check_value(&integrity_key);
        let answer =
            Rakp4 { tag: message.tag, console_session: pending.console_session, outcome: Ok(check) }.encode();
        let keys = login.transcript.session_keys(&integrity_key);
        let user = login.user.name.clone();
        self.sessions.active.push(Active {
            session: Session::new(keys, pending.managed_session, pending.console_session),
            user: login.user,
            privilege: Privilege::User.min(login.limit),
            limit: login.limit,
            last_heard: now,
            rakp3: (payload.to_vec(), answer.clone()),
            answered: VecDeque::new(),
        });
        self.event(ServerEvent::Opened { user, from, suite: pending.suite });
        self.send_plain(from, PayloadType::Rakp4, &answer);
    }

    fn deny_rakp3(&mut self, from: SocketAddr, tag: u8, console_session: u32, status: Status) {
        self.event(ServerEvent::Denied { from, status });
        let answer = Rakp4 { tag, console_session, outcome: Err(status) };
        self.send_plain(from, PayloadType::Rakp4, &answer.encode());
    }
}

/// The user and the highest level that the session may be raised to.
fn find_user(users: &[User], message: &Rakp1<'_>) -> Result<(User, Privilege), Status> {
    let name = core::str::from_utf8(message.username).ok().and_then(|name| Username::new(name).ok());
    let name = name.ok_or(Status::UNAUTHORIZED_NAME)?;
    let user = users.iter().find(|user| user.name == name).ok_or(Status::UNAUTHORIZED_NAME)?;
    let wanted = match message.role & 0x0F {
        // "Highest possible".
        0 => user.max_privilege,
        level => Privilege::from_wire(level).ok_or(Status::INVALID_ROLE)?,
    };
    if wanted > user.max_privilege {
        return Err(Status::UNAUTHORIZED_ROLE);
    }
    Ok((user.clone(), wanted))
}
