//! An established session, the same for both ends: sealing packets, opening them, and the window that drops
//! duplicates and replays (IPMI sections 6.12.13, 13.28). It knows no handshake and no commands.

use crate::crypto::{SessionKeys, same_code};
use crate::error::DecodeError;
use crate::wire::packet::{PayloadType, SealedPacket, sealed_header};
use crate::wire::rmcp;

/// IPMI's value of the next header field: there is none (IPMI table 13-8).
const NEXT_HEADER: u8 = 7;

/// Keys, identifiers and sequence numbers of one session.
#[derive(Debug)]
pub struct Session {
    keys: SessionKeys,
    own_id: u32,
    peer_id: u32,
    last_sent: u32,
    window: Window,
}

impl Session {
    /// A session just established. `own_id` is on packets that come, `peer_id` on packets that go.
    pub fn new(keys: SessionKeys, own_id: u32, peer_id: u32) -> Self {
        Self { keys, own_id, peer_id, last_sent: 0, window: Window::default() }
    }

    /// The identifier on packets that come.
    pub const fn own_id(&self) -> u32 {
        self.own_id
    }

    /// The identifier on packets that go.
    pub const fn peer_id(&self) -> u32 {
        self.peer_id
    }

    /// The keys.
    pub const fn keys(&self) -> &SessionKeys {
        &self.keys
    }

    /// Encrypts and authenticates a payload under the next sequence number; gives the whole datagram. `None` when all
    /// sequence numbers are used up or the payload is longer than a length field can say.
    pub fn seal(&mut self, kind: PayloadType, payload: &[u8], iv: [u8; 16]) -> Option<Vec<u8>> {
        let sequence = self.last_sent.checked_add(1)?;
        let encrypted = self.keys.encrypt(iv, payload);
        let header = sealed_header(kind, self.peer_id, sequence, encrypted.len())?;
        let mut out = rmcp::ipmi_header();
        let start = out.len();
        out.extend_from_slice(&header);
        out.extend_from_slice(&encrypted);
        // The covered range, with pad length and next header, is a multiple of four bytes.
        let pad = (4 - (out.len() - start + 2) % 4) % 4;
        out.resize(out.len() + pad, 0xFF);
        out.push(u8::try_from(pad).ok()?);
        out.push(NEXT_HEADER);
        let code = self.keys.code(&out[start..]);
        out.extend_from_slice(&code);
        self.last_sent = sequence;
        Some(out)
    }

    /// Verifies and decrypts a packet and marks its sequence number as seen. Nothing changes when it fails.
    pub fn open(&mut self, packet: &SealedPacket<'_>) -> Result<Vec<u8>, DecodeError> {
        const WHAT: &str = "session packet";
        if packet.session_id != self.own_id {
            return Err(DecodeError::Invalid { what: "session identifier", value: packet.session_id });
        }
        let check_len = self.keys.suite().check_len();
        let need = check_len + 2;
        let have = packet.trailer.len();
        if have < need {
            return Err(DecodeError::Truncated { what: WHAT, need, have });
        }
        let (covered, code) = packet.whole.split_at(packet.whole.len() - check_len);
        if !same_code(&self.keys.code(covered), code) {
            return Err(DecodeError::Check { what: "authentication code of a packet" });
        }
        if !self.window.is_new(packet.sequence) {
            return Err(DecodeError::Invalid {
                what: "sequence number (seen before)",
                value: packet.sequence,
            });
        }
        let payload = self.keys.decrypt(packet.payload)?;
        self.window.mark(packet.sequence);
        Ok(payload)
    }
}

/// How many numbers below the highest seen are still taken once.
const BEHIND: u32 = 16;

/// Which sequence numbers have been seen. The specification also limits how far ahead a number may be; here any higher
/// number is taken, since it is authenticated: a jump means lost packets, and refusing it would strand the session.
#[derive(Debug, Default)]
struct Window {
    highest: u32,
    /// Bit n: `highest - n` has been seen.
    seen: u32,
}

impl Window {
    const fn is_new(&self, sequence: u32) -> bool {
        if sequence > self.highest {
            return true;
        }
        let behind = self.highest - sequence;
        // Number 0 is reserved for packets outside a session.
        sequence != 0 && behind <= BEHIND && self.seen & (1 << behind) == 0
    }

    const fn mark(&mut self, sequence: u32) {
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            self.seen = if ahead < u32::BITS { self.seen << ahead | 1 } else { 1 };
            self.highest = sequence;
        } else {
            self.seen |= 1 << (self.highest - sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::CipherSuite;
    use crate::wire::packet::Packet;
    use crate::wire::rmcp::Rmcp;

    fn pair(suite: CipherSuite) -> (Session, Session) {
        let keys = SessionKeys::derive(suite, &[3; 20]);
        (Session::new(keys.clone(), 1, 2), Session::new(keys, 2, 1))
    }

    fn open(session: &mut Session, datagram: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let Rmcp::Ipmi(rest) = Rmcp::decode(datagram)? else { panic!("not IPMI") };
        let Packet::Sealed(packet) = Packet::decode(rest)? else { panic!("not sealed") };
        session.open(&packet)
    }

    #[test]
    fn what_is_sealed_opens_once() {
        for suite in CipherSuite::PREFERENCE {
            let (mut a, mut b) = pair(suite);
            for len in 0..40 {
                let payload = vec![len; usize::from(len)];
                let datagram = a.seal(PayloadType::Ipmi, &payload, [len; 16]).unwrap();
                assert_eq!((datagram.len() - 4 - suite.check_len()) % 4, 0, "covered range is padded");
                assert_eq!(open(&mut b, &datagram).unwrap(), payload);
                assert!(open(&mut b, &datagram).is_err(), "a replay is refused");
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let (mut a, mut b) = pair(CipherSuite::Sha256);
        let datagram = a.seal(PayloadType::Ipmi, b"hello", [0; 16]).unwrap();
        for bit in 32..datagram.len() * 8 {
            let mut broken = datagram.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let Ok(Rmcp::Ipmi(rest)) = Rmcp::decode(&broken) else { continue };
            if let Ok(Packet::Sealed(packet)) = Packet::decode(rest) {
                assert!(b.open(&packet).is_err(), "bit {bit}");
            }
        }
        assert!(open(&mut b, &datagram).is_ok(), "failed attempts changed nothing");
    }

    #[test]
    fn the_window_takes_reordered_packets_once() {
        let mut window = Window::default();
        for sequence in [1, 5, 3, 4, 2, 40, 30] {
            assert!(window.is_new(sequence), "{sequence}");
            window.mark(sequence);
            assert!(!window.is_new(sequence), "{sequence}");
        }
        assert!(!window.is_new(0));
        assert!(window.is_new(24) && !window.is_new(23), "16 below the highest, no more");
        window.mark(u32::MAX);
        assert!(!window.is_new(40));
    }

    #[test]
    fn sequence_numbers_end() {
        let (mut a, _) = pair(CipherSuite::Sha1);
        a.last_sent = u32::MAX;
        assert_eq!(a.seal(PayloadType::Ipmi, b"", [0; 16]), None);
    }
}
