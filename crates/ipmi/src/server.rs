//! The BMC's end: answers consoles in front of a [`Chassis`] that the caller gives. Used by simulated fleets and by the
//! tests of the console's end; it keeps the specification's rules on privilege, sessions and retries.
//!
//! Sans-IO: [`Server::handle`] takes a datagram with the sender's address, [`Server::poll_transmit`] gives datagrams with
//! theirs. `now` is the time since any epoch of the caller's.

mod dispatch;
mod login;
mod sessions;

use crate::command::app::DeviceId;
use crate::command::boot::BootFlags;
use crate::command::chassis::{ChassisControl, ChassisIdentify, ChassisStatus};
use crate::command::{Guid, RawRequest};
use crate::secret::{Password, Username};
use crate::suite::CipherSuite;
use crate::wire::message::Request;
use crate::wire::packet::{Packet, PayloadType, SealedPacket};
use crate::wire::rmcp::Rmcp;
use crate::{CompletionCode, Privilege, Random};
use core::net::SocketAddr;
use core::time::Duration;
use sessions::{BootState, Sessions};
use std::collections::VecDeque;

/// Events that nobody fetched are dropped from this many on, oldest first.
const MAX_EVENTS: usize = 64;

/// The machine behind a BMC. Every method is called with the server locked and should only touch memory; an error's
/// completion code is what the console sees.
pub trait Chassis: Send {
    /// What the machine looks like now.
    fn status(&mut self) -> ChassisStatus;
    /// Switches power, resets, interrupts. Success means "begun", as with a real BMC.
    fn control(&mut self, control: ChassisControl) -> Result<(), CompletionCode>;
    /// The boot flags in force.
    fn boot_flags(&mut self) -> BootFlags;
    /// Sets the boot flags. Consuming a one-time override at boot is the machine's business.
    fn set_boot_flags(&mut self, flags: BootFlags) -> Result<(), CompletionCode>;
    /// The machine's GUID; also what sessions are bound to.
    fn guid(&self) -> Guid;
    /// The BMC's identity.
    fn device_id(&self) -> DeviceId;
    /// The identify light; not there unless implemented.
    fn identify(&mut self, _identify: ChassisIdentify) -> Result<(), CompletionCode> {
        Err(CompletionCode::InvalidCommand)
    }
    /// Cold reset of the BMC; not possible unless implemented. Sessions are dropped by the server.
    fn cold_reset(&mut self) -> Result<(), CompletionCode> {
        Err(CompletionCode::InvalidCommand)
    }
    /// Any command that the server does not know (sensors, OEM); called with operator privilege or more.
    fn other(&mut self, _request: &RawRequest) -> Result<Vec<u8>, CompletionCode> {
        Err(CompletionCode::InvalidCommand)
    }
}

/// Someone who may log in.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub name: Username,
    /// The password.
    pub password: Password,
    /// The highest level the user may have.
    pub max_privilege: Privilege,
}

/// How a BMC behaves.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Who may log in.
    pub users: Vec<User>,
    /// The BMC key (Kg), if there is one.
    pub bmc_key: Option<Password>,
    /// Suites it agrees to, in the order it lists them.
    pub suites: Vec<CipherSuite>,
    /// Sessions at a time; half-open ones are bounded by the same number, apart.
    pub max_sessions: usize,
    /// A session idle for so long is forgotten (IPMI section 6.12.15: 60 s, 3 s more or less).
    pub session_timeout: Duration,
}

impl Default for ServerConfig {
    /// Nobody may log in; suites 17 and 3; 16 sessions; 60 s.
    fn default() -> Self {
        Self {
            users: Vec::new(),
            bmc_key: None,
            suites: CipherSuite::PREFERENCE.to_vec(),
            max_sessions: 16,
            session_timeout: Duration::from_mins(1),
        }
    }
}

/// What a BMC might log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A session is up.
    Opened {
        /// Whose.
        user: Username,
        /// From where.
        from: SocketAddr,
        /// With which suite.
        suite: CipherSuite,
    },
    /// Someone could not log in.
    Denied {
        /// From where.
        from: SocketAddr,
        /// The status that was sent.
        status: crate::wire::handshake::Status,
    },
    /// A session was closed by its console.
    Closed {
        /// Whose.
        user: Username,
    },
    /// A session was idle for too long.
    Expired {
        /// Whose.
        user: Username,
    },
}

/// One BMC.
#[derive(Debug)]
pub struct Server<C> {
    config: ServerConfig,
    chassis: C,
    random: Box<dyn Random>,
    sessions: Sessions,
    boot: BootState,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<ServerEvent>,
}

impl<C: Chassis> Server<C> {
    /// A BMC in front of `chassis`.
    pub fn new(config: ServerConfig, chassis: C, random: impl Random + 'static) -> Self {
        Self {
            config,
            chassis,
            random: Box::new(random),
            sessions: Sessions::default(),
            boot: BootState::default(),
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The machine.
    pub const fn chassis(&self) -> &C {
        &self.chassis
    }

    /// The machine, to change it.
    pub const fn chassis_mut(&mut self) -> &mut C {
        &mut self.chassis
    }

    /// How many sessions are up.
    pub fn session_count(&self) -> usize {
        self.sessions.active.len()
    }

    /// Replaces the users, as when an operator changes a password; sessions that are up go on.
    pub fn set_users(&mut self, users: Vec<User>) {
        self.config.users = users;
    }

    /// Forgets every session without a word, as a BMC does that starts anew.
    pub fn forget_sessions(&mut self) {
        self.sessions = Sessions::default();
        self.boot.release_any();
    }

    /// Takes a datagram.
    pub fn handle(&mut self, now: Duration, from: SocketAddr, datagram: &[u8]) {
        self.handle_timeout(now);
        match Rmcp::decode(datagram) {
            Ok(Rmcp::Ping { tag }) => self.out.push_back((from, Rmcp::Pong { tag, ipmi: true }.encode())),
            Ok(Rmcp::Ipmi(rest)) => match Packet::decode(rest) {
                Ok(Packet::Sessionless15 { payload }) => {
                    if let Some(answer) = self.sessionless(payload) {
                        self.out.extend(
                            Packet::Sessionless15 { payload: &answer }.encode().map(|out| (from, out)),
                        );
                    }
                }
                Ok(Packet::Plain { kind: PayloadType::Ipmi, payload }) => {
                    if let Some(answer) = self.sessionless(payload) {
                        self.send_plain(from, PayloadType::Ipmi, &answer);
                    }
                }
                Ok(Packet::Plain { kind, payload }) => self.handle_login(now, from, kind, payload),
                Ok(Packet::Sealed(packet)) => self.handle_sealed(now, from, &packet),
                Err(_) => {}
            },
            Ok(Rmcp::Pong { .. }) | Err(_) => {}
        }
    }

    /// The next datagram and where to send it.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// When the next session expires.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.sessions.next_expiry(self.config.session_timeout)
    }

    /// Forgets sessions that were idle for too long.
    pub fn handle_timeout(&mut self, now: Duration) {
        for session in self.sessions.expire(now, self.config.session_timeout) {
            self.boot.release(session.session.own_id());
            self.event(ServerEvent::Expired { user: session.user.name });
        }
    }

    /// What happened since the last call; at most the last 64 events.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    fn event(&mut self, event: ServerEvent) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn send_plain(&mut self, to: SocketAddr, kind: PayloadType, payload: &[u8]) {
        self.out.extend(Packet::Plain { kind, payload }.encode().map(|datagram| (to, datagram)));
    }

    fn handle_sealed(&mut self, now: Duration, from: SocketAddr, packet: &SealedPacket<'_>) {
        let Some(index) = self.sessions.find(packet.session_id) else { return };
        // Out of the table while it is being served: a command may close it or change others.
        let mut active = self.sessions.active.swap_remove(index);
        let keep = match active.session.open(packet) {
            Ok(payload) if packet.kind == PayloadType::Ipmi => {
                active.last_heard = now;
                self.serve(&mut active, from, &payload)
            }
            Ok(_) | Err(_) => true,
        };
        if keep {
            self.sessions.active.push(active);
        } else {
            self.boot.release(active.session.own_id());
            self.event(ServerEvent::Closed { user: active.user.name });
        }
    }

    /// Answers a request in a session; `false` when the session ends with it.
    fn serve(&mut self, active: &mut sessions::Active, from: SocketAddr, payload: &[u8]) -> bool {
        let Ok(request) = Request::decode(payload) else { return true };
        let mut keep = true;
        // The same message again is a retry, maybe a late one: the answer is repeated, the work is not.
        let answer = if let Some(answer) = active.answer_to(payload) {
            answer
        } else {
            let outcome = self.execute(active, &request);
            keep = !outcome.ends_session;
            let answer = request.response(outcome.code, &outcome.data).encode();
            active.remember(payload, answer.clone());
            answer
        };
        let mut iv = [0; 16];
        self.random.fill(&mut iv);
        if let Some(datagram) = active.session.seal(PayloadType::Ipmi, &answer, iv) {
            self.out.push_back((from, datagram));
        }
        keep
    }
}
