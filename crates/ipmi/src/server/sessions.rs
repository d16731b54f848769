//! The BMC's tables: half-open and established sessions, both bounded, and the state of a change of boot options.

use super::User;
use crate::Privilege;
use crate::command::boot::SetState;
use crate::handshake::Transcript;
use crate::session::Session;
use crate::suite::CipherSuite;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

/// A handshake that has not gone on for so long is forgotten.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many answers a session remembers: as many as packets can be late by (the session's window), and fewer than the 64
/// sequence numbers of messages, so that no new request looks like one of them.
const REMEMBERED: usize = 17;

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) from: SocketAddr,
    pub(super) tag: u8,
    pub(super) console_session: u32,
    pub(super) managed_session: u32,
    pub(super) suite: CipherSuite,
    pub(super) last_heard: Duration,
    /// After RAKP message 1.
    pub(super) login: Option<Login>,
}

/// What RAKP message 1 brought.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) transcript: Transcript,
    pub(super) user: User,
    pub(super) limit: Privilege,
    /// The message and its answer, for when it comes again.
    pub(super) asked: Vec<u8>,
    pub(super) answer: Vec<u8>,
}

/// An established session.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) session: Session,
    pub(super) user: User,
    pub(super) privilege: Privilege,
    pub(super) limit: Privilege,
    pub(super) last_heard: Duration,
    /// RAKP message 3 and the answer to it, for when it comes again.
    pub(super) rakp3: (Vec<u8>, Vec<u8>),
    /// The latest requests and the answers to them, newest last, for when one comes again.
    pub(super) answered: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Active {
    /// The answer that was given to this very message.
    pub(super) fn answer_to(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.answered.iter().find(|(asked, _)| asked == message).map(|(_, answer)| answer.clone())
    }

    pub(super) fn remember(&mut self, message: &[u8], answer: Vec<u8>) {
        if self.answered.len() == REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back((message.to_vec(), answer));
    }
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) pending: Vec<Pending>,
    pub(super) active: Vec<Active>,
}

impl Sessions {
    pub(super) fn find(&self, id: u32) -> Option<usize> {
        self.active.iter().position(|active| active.session.own_id() == id)
    }

    pub(super) fn pending_mut(&mut self, id: u32) -> Option<&mut Pending> {
        self.pending.iter_mut().find(|pending| pending.managed_session == id)
    }

    pub(super) fn is_used(&self, id: u32) -> bool {
        self.find(id).is_some() || self.pending.iter().any(|pending| pending.managed_session == id)
    }

    /// Adds a handshake; the oldest one makes room, so that strangers who never go on cannot lock others out for long.
    pub(super) fn add_pending(&mut self, pending: Pending, limit: usize) {
        while self.pending.len() >= limit.max(1) {
            self.pending.remove(0);
        }
        self.pending.push(pending);
    }

    pub(super) fn next_expiry(&self, timeout: Duration) -> Option<Duration> {
        let active = self.active.iter().map(|active| active.last_heard + timeout);
        let pending = self.pending.iter().map(|pending| pending.last_heard + HANDSHAKE_TIMEOUT);
        active.chain(pending).min()
    }

    /// Removes what is too old; gives the established sessions among it.
    pub(super) fn expire(&mut self, now: Duration, timeout: Duration) -> Vec<Active> {
        self.pending.retain(|pending| now < pending.last_heard + HANDSHAKE_TIMEOUT);
        self.active.extract_if(.., |active| now >= active.last_heard + timeout).collect()
    }
}

/// Boot parameters 0, 3 and 4: of the BMC, not of the machine.
#[derive(Debug, Default)]
pub(super) struct BootState {
    pub(super) set_state: SetState,
    /// The session that is changing parameters.
    owner: Option<u32>,
    pub(super) valid_bit_clearing: u8,
    pub(super) acknowledged: u8,
}

impl BootState {
    /// Changes parameter 0; `false` when another session holds it.
    pub(super) fn set(&mut self, state: SetState, session: u32) -> bool {
        if state == SetState::InProgress {
            if self.set_state == SetState::InProgress && self.owner != Some(session) {
                return false;
            }
            self.owner = Some(session);
        } else {
            self.owner = None;
        }
        // "Commit" is done at once, so that what stays is "complete".
        self.set_state = if state == SetState::Commit { SetState::Complete } else { state };
        true
    }

    /// A change dies with its session.
    pub(super) fn release(&mut self, session: u32) {
        if self.owner == Some(session) {
            self.release_any();
        }
    }

    pub(super) fn release_any(&mut self) {
        self.owner = None;
        self.set_state = SetState::Complete;
    }
}
