//! The remote console's end: opens one session and runs one request at a time through it. The caller moves datagrams and
//! the time; `now` is the time since any epoch of the caller's that never goes back.
//!
//! ```text
//! capabilities -> cipher suites -> open session -> RAKP 1/2 -> RAKP 3/4 -> privilege -> ready <-> command
//! ```
//!
//! Datagrams that are malformed, late, duplicated or from a stranger are ignored: only a deadline or an answer that
//! fits ends an exchange.

mod login;

use crate::command::app::{self, CloseSession, SetSessionPrivilege};
use crate::command::{Command, RawRequest, RawResponse};
use crate::error::{ClientError, Phase, RequestError};
use crate::secret::{Password, Username};
use crate::session::Session;
use crate::suite::{CipherChoice, CipherSuite};
use crate::wire::message::{MAX_DATA, Request, Response};
use crate::wire::packet::{Packet, PayloadType};
use crate::wire::rmcp::Rmcp;
use crate::{CompletionCode, Privilege, Random};
use core::time::Duration;
use login::Stage;
use std::collections::VecDeque;

/// When datagrams are sent again and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Until a request is sent a second time; doubles each time after. More for a BMC that took its time over the last one.
    pub first_retry: Duration,
    /// The longest pause between two sendings.
    pub longest_retry: Duration,
    /// How long a BMC may say nothing at all while a session is opened. This, not `connect`, is what a dead one costs.
    pub silence: Duration,
    /// From [`Client::new`] to the established session, for a BMC that answers, however slowly.
    pub connect: Duration,
    /// For one request in a session, unless [`Client::request_within`] says otherwise.
    pub request: Duration,
    /// For the answer to Close Session.
    pub close: Duration,
}

impl Default for Timing {
    /// 1 s doubling to 4 s; 7 s of silence, which is three sendings and the pauses after them; 40 s to connect; 15 s a
    /// request; 1 s to close.
    fn default() -> Self {
        Self {
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(4),
            silence: Duration::from_secs(7),
            connect: Duration::from_secs(40),
            request: Duration::from_secs(15),
            close: Duration::from_secs(1),
        }
    }
}

/// Who logs in and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The user's name.
    pub username: Username,
    /// The user's password.
    pub password: Password,
    /// The BMC key (Kg) for two-key login; most BMCs have none.
    pub bmc_key: Option<Password>,
    /// The privilege to raise the session to.
    pub privilege: Privilege,
    /// Which cipher suites to propose.
    pub cipher: CipherChoice,
    /// Deadlines.
    pub timing: Timing,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session is up: requests can be made.
    Established {
        /// The suite that was agreed upon.
        suite: CipherSuite,
    },
    /// The answer to the request in flight.
    Response(RawResponse),
    /// The request in flight was not answered in time. It may have been carried out. The session may still live.
    RequestTimedOut {
        /// Datagrams sent.
        sent: u32,
    },
    /// The session could not be opened or cannot go on; the client is of no more use.
    Failed(ClientError),
    /// The session is closed, or the BMC did not answer to the closing in time.
    Closed,
}

/// What is sent until an answer comes.
#[derive(Debug)]
enum Outgoing {
    /// Before the session: the same bytes each time.
    Plain(Vec<u8>),
    /// In the session: an IPMI message, under a new sequence number of the session each time.
    Sealed(Vec<u8>),
}

/// One question and its deadlines.
#[derive(Debug)]
struct Exchange {
    phase: Phase,
    outgoing: Outgoing,
    /// The request that the answer must fit, for IPMI messages.
    request: Option<(RawRequest, u8)>,
    sent: u32,
    interval: Duration,
    retry_at: Duration,
    began_at: Duration,
    give_up_at: Duration,
}

/// The console's end of one session.
#[derive(Debug)]
pub struct Client {
    config: Config,
    random: Box<dyn Random>,
    stage: Stage,
    session: Option<Session>,
    /// Suites still to be proposed, best first.
    candidates: Vec<CipherSuite>,
    /// Suites that the BMC listed; empty when it did not say.
    offered: Vec<u8>,
    exchange: Option<Exchange>,
    /// When the BMC was last heard, be it with the answer to an older copy of something.
    heard_at: Duration,
    /// How long it took over the latest exchange.
    took: Duration,
    connect_by: Duration,
    restarts: u8,
    rq_seq: u8,
    tag: u8,
    out: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// Starts to open a session: [`Client::poll_transmit`] has the first datagram.
    pub fn new(config: Config, now: Duration, random: impl Random + 'static) -> Self {
        let connect_by = now + config.timing.connect;
        let mut client = Self {
            config,
            random: Box::new(random),
            stage: Stage::Capabilities,
            session: None,
            candidates: Vec::new(),
            offered: Vec::new(),
            exchange: None,
            heard_at: now,
            took: Duration::ZERO,
            connect_by,
            restarts: 0,
            rq_seq: 0,
            tag: 0,
            out: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.start(now);
        client
    }

    /// Whether a request can be made now.
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready) && self.exchange.is_none()
    }

    /// The suite of the session, once keys are agreed upon.
    pub fn suite(&self) -> Option<CipherSuite> {
        self.session.as_ref().map(|session| session.keys().suite())
    }

    /// Takes a datagram that came from the BMC's address.
    pub fn handle(&mut self, now: Duration, datagram: &[u8]) {
        let Ok(Rmcp::Ipmi(rest)) = Rmcp::decode(datagram) else { return };
        match Packet::decode(rest) {
            Ok(Packet::Sessionless15 { payload } | Packet::Plain { kind: PayloadType::Ipmi, payload }) => {
                if self.session.is_none() {
                    self.heard(now);
                    self.handle_message(now, payload);
                }
            }
            Ok(Packet::Plain { kind, payload }) => {
                if self.session.is_none() {
                    self.heard(now);
                    self.handle_login(now, kind, payload);
                }
            }
            Ok(Packet::Sealed(packet)) if packet.kind == PayloadType::Ipmi => {
                let Some(session) = &mut self.session else { return };
                if let Ok(payload) = session.open(&packet) {
                    self.heard(now);
                    self.handle_message(now, &payload);
                }
            }
            Ok(Packet::Sealed(_)) | Err(_) => {}
        }
    }

    /// The next datagram to send to the BMC.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// When [`Client::handle_timeout`] wants to be called, on the caller's epoch.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.exchange.as_ref().map(|exchange| exchange.retry_at.min(self.give_up_at(exchange)))
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends again or gives up, as the time says. Calling it early does nothing.
    pub fn handle_timeout(&mut self, now: Duration) {
        let is_over = self.exchange.as_ref().is_some_and(|exchange| now >= self.give_up_at(exchange));
        let Some(exchange) = &mut self.exchange else { return };
        if is_over {
            let (phase, sent) = (exchange.phase, exchange.sent);
            self.exchange = None;
            self.give_up(now, phase, sent);
        } else if now >= exchange.retry_at {
            exchange.interval = (exchange.interval * 2).min(self.config.timing.longest_retry);
            exchange.retry_at = now + exchange.interval;
            self.transmit();
        }
    }

    /// Sends a request. Its answer is [`Event::Response`] or [`Event::RequestTimedOut`].
    pub fn request(&mut self, now: Duration, request: RawRequest) -> Result<(), RequestError> {
        self.request_within(now, request, self.config.timing.request)
    }

    /// Sends a request that is given so much time, whatever [`Timing::request`] says.
    pub fn request_within(
        &mut self,
        now: Duration,
        request: RawRequest,
        limit: Duration,
    ) -> Result<(), RequestError> {
        if !matches!(self.stage, Stage::Ready) {
            return Err(RequestError::NoSession);
        }
        if self.exchange.is_some() {
            return Err(RequestError::Busy);
        }
        if request.data.len() > MAX_DATA {
            return Err(RequestError::TooLong { have: request.data.len() });
        }
        self.ask(now, Phase::Command, request, now + limit);
        Ok(())
    }

    /// Forgets the request in flight, if there is one: its answer will be ignored.
    pub fn abandon(&mut self) {
        if matches!(self.stage, Stage::Ready) {
            self.exchange = None;
        }
    }

    /// Closes the session; a request in flight is forgotten. [`Event::Closed`] follows, at once if there is no session.
    pub fn close(&mut self, now: Duration) {
        let session_id = match (&self.stage, &self.session) {
            (Stage::Ready | Stage::Privilege, Some(session)) => session.peer_id(),
            (Stage::Closing | Stage::Over, _) => return,
            _ => {
                self.finish(Event::Closed);
                return;
            }
        };
        self.stage = Stage::Closing;
        let request = CloseSession { session_id }.to_raw();
        self.ask(now, Phase::Close, request, now + self.config.timing.close);
    }

    /// The BMC is alive, and may still be busy with older copies of what it was asked: it is given time for the last one.
    fn heard(&mut self, now: Duration) {
        let Some(exchange) = &mut self.exchange else { return };
        self.took = now.saturating_sub(exchange.began_at);
        self.heard_at = now;
        exchange.retry_at = exchange.retry_at.max(now + exchange.interval);
    }

    /// When nobody waits for the exchange any more.
    fn give_up_at(&self, exchange: &Exchange) -> Duration {
        match exchange.phase {
            // What is ordered in a session may take its time, without a word until it is done.
            Phase::Command | Phase::Close => exchange.give_up_at,
            _ => exchange.give_up_at.min(self.connected_by()),
        }
    }

    /// When the session must be open, or the BMC must have been heard again.
    fn connected_by(&self) -> Duration {
        self.connect_by.min(self.heard_at + self.config.timing.silence)
    }

    /// The first pause: what is sent again before the BMC can have answered is one more thing for it to work on.
    fn first_pause(&self) -> Duration {
        let Timing { first_retry, longest_retry, silence, .. } = self.config.timing;
        first_retry.max((self.took * 2).min(longest_retry).min(silence / 2))
    }

    /// An IPMI message, from outside or inside the session.
    fn handle_message(&mut self, now: Duration, payload: &[u8]) {
        let Ok(response) = Response::decode(payload) else { return };
        let Some(Exchange { phase, request: Some((raw, sequence)), .. }) = &self.exchange else { return };
        let request = Request::to_bmc(raw.net_fn, raw.command, &raw.data, *sequence);
        if !response.answers(&request) {
            return;
        }
        let phase = *phase;
        let answer = RawResponse { completion: response.completion, data: response.data.to_vec() };
        self.exchange = None;
        match phase {
            Phase::Command => self.events.push_back(Event::Response(answer)),
            Phase::Privilege => self.privilege_answered(&answer),
            Phase::Close => self.finish(Event::Closed),
            _ => self.sessionless_answered(now, phase, &answer),
        }
    }

    fn privilege_answered(&mut self, answer: &RawResponse) {
        let requested = self.config.privilege;
        let granted = match SetSessionPrivilege::from_raw(answer) {
            Ok(level) => level >= requested.to_wire(),
            // 0x80: not for this user; 0x81: not on this channel (IPMI section 22.18).
            Err(_) if matches!(answer.completion, CompletionCode::Other(0x80..=0x82)) => false,
            Err(_) if answer.completion == CompletionCode::InsufficientPrivilege => false,
            // No level in the answer: believe the completion code.
            Err(_) if answer.completion == CompletionCode::Ok => true,
            Err(_) => {
                let code = answer.completion;
                return self.fail(ClientError::Completion { phase: Phase::Privilege, code });
            }
        };
        if granted { self.establish() } else { self.fail(ClientError::PrivilegeTooHigh { requested }) }
    }

    fn establish(&mut self) {
        if let Some(suite) = self.suite() {
            self.stage = Stage::Ready;
            self.events.push_back(Event::Established { suite });
        }
    }

    fn give_up(&mut self, now: Duration, phase: Phase, sent: u32) {
        match phase {
            Phase::Command => self.events.push_back(Event::RequestTimedOut { sent }),
            Phase::Close => self.finish(Event::Closed),
            Phase::CipherSuites => {
                // Not to know this question is no sign of death.
                self.heard_at = now;
                self.propose_unasked(now);
            }
            Phase::OpenSession if now < self.connected_by() && self.candidates.len() > 1 => {
                // Silence may be this BMC's way to refuse algorithms that it does not know.
                self.candidates.remove(0);
                self.open_session(now);
            }
            _ => self.fail(ClientError::Timeout { phase, sent }),
        }
    }

    fn fail(&mut self, error: ClientError) {
        self.finish(Event::Failed(error));
    }

    fn finish(&mut self, event: Event) {
        self.stage = Stage::Over;
        self.session = None;
        self.exchange = None;
        self.events.push_back(event);
    }

    /// Asks an IPMI question, in the session if there is one.
    fn ask(&mut self, now: Duration, phase: Phase, raw: RawRequest, give_up_at: Duration) {
        self.rq_seq = (self.rq_seq + 1) & 0x3F;
        let message = Request::to_bmc(raw.net_fn, raw.command, &raw.data, self.rq_seq).encode();
        let outgoing = match phase {
            // What every tool does: this one question in the old header, so that old BMCs answer it too.
            Phase::Capabilities => plain(&Packet::Sessionless15 { payload: &message }),
            Phase::CipherSuites => plain(&Packet::Plain { kind: PayloadType::Ipmi, payload: &message }),
            _ => Outgoing::Sealed(message),
        };
        let request = Some((raw, self.rq_seq));
        self.begin(now, phase, outgoing, request, give_up_at);
    }

    /// Sends the first datagram of an exchange.
    fn begin(
        &mut self,
        now: Duration,
        phase: Phase,
        outgoing: Outgoing,
        request: Option<(RawRequest, u8)>,
        give_up_at: Duration,
    ) {
        let interval = self.first_pause();
        let (sent, retry_at, began_at) = (0, now + interval, now);
        self.exchange =
            Some(Exchange { phase, outgoing, request, sent, interval, retry_at, began_at, give_up_at });
        self.transmit();
    }

    fn transmit(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        let datagram = match (&exchange.outgoing, &mut self.session) {
            (Outgoing::Plain(bytes), _) => Some(bytes.clone()),
            (Outgoing::Sealed(message), Some(session)) => {
                let mut iv = [0; 16];
                self.random.fill(&mut iv);
                session.seal(PayloadType::Ipmi, message, iv)
            }
            (Outgoing::Sealed(_), None) => None,
        };
        match datagram {
            Some(datagram) => {
                exchange.sent += 1;
                self.out.push_back(datagram);
            }
            None => self.fail(ClientError::SequenceExhausted),
        }
    }
}

/// An unprotected packet as the outgoing bytes. Only sealed packets have no encoding, and none comes here.
fn plain(packet: &Packet<'_>) -> Outgoing {
    Outgoing::Plain(packet.encode().unwrap_or_default())
}

/// The question that opens every conversation.
fn capabilities_request(privilege: Privilege) -> RawRequest {
    let request = app::GetChannelAuthCapabilities {
        ipmi20: true,
        channel: app::THIS_CHANNEL,
        privilege: privilege.to_wire(),
    };
    request.to_raw()
}
