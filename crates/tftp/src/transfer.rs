//! The server's side of one transfer: options, windows, acknowledgements, retransmission, end.
//!
//! The caller sends what [`Transfer::poll_transmit`] gives until there is nothing more, feeds [`Transfer::handle`] with
//! what the client sends to the transfer's own port, and calls [`Transfer::handle_timeout`] at [`Transfer::poll_timeout`].

use std::io;
use std::time::Duration;

use crate::request::{Limits, ReadRequest};
use crate::wire::{ErrorCode, Packet};

/// First wait for an acknowledgement, when the client names none; doubled with each retransmission in a row.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// Retransmissions in a row before the client counts as gone: 1+2+4+8+8+8 seconds.
const TRIES: u32 = 6;
/// The block size without an option (RFC 1350).
const PLAIN_BLOCK: u16 = 512;

/// The bytes of a file. Its size must not change while a transfer runs; a read that fails ends the transfer.
pub trait Content {
    /// Size in bytes.
    fn size(&self) -> u64;
    /// Fills all of `buffer` from `offset`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Content for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The client has the whole file.
    Complete,
    /// The client sent an error. Firmware does so after it learnt a file's size.
    Aborted {
        /// Its code.
        code: ErrorCode,
        /// Its text.
        text: String,
    },
    /// The client stopped answering.
    TimedOut,
    /// The file could not be read.
    ReadFailed(io::ErrorKind),
}

/// One transfer. Blocks are counted from 1 without wrapping; the wire has the count modulo 65536.
#[derive(Debug)]
pub struct Transfer {
    size: u64,
    block_size: u64,
    window: u64,
    wait: Duration,
    option_ack: Option<Vec<(String, String)>>,
    /// The oldest block that is not acknowledged; 0 while the option acknowledgement is not.
    base: u64,
    /// The next block to send.
    next: u64,
    /// The window was sent again because of an acknowledgement that asked for it; further ones wait for progress, so that
    /// duplicated packets do not double the traffic (the "sorcerer's apprentice" of RFC 1123 section 4.2.3.1).
    rewound: bool,
    tries: u32,
    deadline: Duration,
    farewell: Option<Vec<u8>>,
    ended: Option<Ended>,
}

impl Transfer {
    /// Starts a transfer of a file of `size` bytes on the terms asked for, within the limits.
    pub fn new(now: Duration, request: &ReadRequest, size: u64, limits: Limits) -> Self {
        let block_size = request.block_size.map(|asked| asked.min(limits.block_size.max(PLAIN_BLOCK)));
        let window = request.window_size.map(|asked| asked.min(limits.window_size.clamp(1, 64)));
        let mut options = Vec::new();
        let mut take = |name: &str, value: Option<u64>| {
            options.extend(value.map(|value| (name.to_owned(), value.to_string())));
        };
        take("blksize", block_size.map(u64::from));
        take("timeout", request.timeout.map(u64::from));
        take("tsize", request.wants_size.then_some(size));
        take("windowsize", window.map(u64::from));
        let option_ack = (!options.is_empty()).then_some(options);
        let first = u64::from(option_ack.is_none());
        let wait = request.timeout().unwrap_or(FIRST_WAIT);
        Self {
            size,
            block_size: block_size.unwrap_or(PLAIN_BLOCK).into(),
            window: window.unwrap_or(1).into(),
            wait,
            option_ack,
            base: first,
            next: first,
            rewound: false,
            tries: 0,
            deadline: now + wait,
            farewell: None,
            ended: None,
        }
    }

    /// The number of the last block: the first one that is not full, so there always is one, be it empty.
    const fn last(&self) -> u64 {
        self.size / self.block_size + 1
    }

    /// The next packet to send, if one is due. A file that cannot be read ends the transfer with an error packet.
    pub fn poll_transmit(&mut self, content: &(impl Content + ?Sized)) -> Option<Vec<u8>> {
        if self.ended.is_some() {
            return self.farewell.take();
        }
        if self.next == 0 {
            self.next = 1;
            return self.option_ack.clone().map(|options| Packet::OptionAck(options).encode());
        }
        // Behind an option acknowledgement that is not acknowledged, no data goes out.
        if self.base == 0 || self.next > self.last() || self.next >= self.base + self.window {
            return None;
        }
        let block = self.next;
        self.next += 1;
        match self.data(block, content) {
            Ok(packet) => Some(packet),
            Err(error) => {
                self.ended = Some(Ended::ReadFailed(error.kind()));
                Some(
                    Packet::Error { code: ErrorCode::Undefined, text: "the file cannot be read".into() }
                        .encode(),
                )
            }
        }
    }

    fn data(&self, block: u64, content: &(impl Content + ?Sized)) -> io::Result<Vec<u8>> {
        let offset = (block - 1) * self.block_size;
        let length = self.block_size.min(self.size - offset);
        let mut packet = vec![0; 4 + usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?];
        packet[1] = 3;
        packet[2..4].copy_from_slice(&wire_number(block).to_be_bytes());
        content.read_at(offset, &mut packet[4..])?;
        Ok(packet)
    }

    /// Takes in one packet of the client.
    pub fn handle(&mut self, now: Duration, bytes: &[u8]) {
        if self.ended.is_some() {
            return;
        }
        match Packet::decode(bytes) {
            Ok(Packet::Ack { block }) => self.acknowledged(now, block),
            Ok(Packet::Error { code, text }) => self.ended = Some(Ended::Aborted { code, text }),
            // A retransmitted request arrives at the well-known port; here nothing else means anything.
            Ok(_) | Err(_) => {}
        }
    }

    fn acknowledged(&mut self, now: Duration, block: u16) {
        // What is in flight are less than 65536 blocks, so the wire's number names one of them or the one before.
        let before = self.base.saturating_sub(1);
        let ahead = block.wrapping_sub(wire_number(before));
        let acknowledged = before + u64::from(ahead);
        if acknowledged >= self.next {
            return;
        }
        if acknowledged < self.base {
            // The last acknowledgement again: in a window, a request for what followed; in lock-step, a duplicate.
            if self.window > 1 && self.base > 0 && !self.rewound {
                self.rewound = true;
                self.next = self.base;
            }
            return;
        }
        self.base = acknowledged + 1;
        // Less than was sent: what followed is lost, and the client has dropped the rest (RFC 7440 section 4).
        self.next = self.base;
        self.rewound = false;
        self.tries = 0;
        self.deadline = now + self.wait;
        if self.base > self.last() {
            self.ended = Some(Ended::Complete);
        }
    }

    /// When [`Self::handle_timeout`] is to be called; none once the transfer has ended.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.ended.is_none().then_some(self.deadline)
    }

    /// A deadline has come: sends the window again, or gives the client up.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.ended.is_some() || now < self.deadline {
            return;
        }
        self.tries += 1;
        if self.tries > TRIES {
            self.farewell = Some(
                Packet::Error { code: ErrorCode::Undefined, text: "no acknowledgement".into() }.encode(),
            );
            self.ended = Some(Ended::TimedOut);
            return;
        }
        self.next = self.base;
        self.rewound = false;
        self.deadline = now + self.wait.saturating_mul(1 << self.tries).min(LONGEST_WAIT.max(self.wait));
    }

    /// How the transfer ended, once it has. What [`Self::poll_transmit`] still gives is to be sent.
    pub const fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Bytes that the client has acknowledged.
    pub fn acknowledged_bytes(&self) -> u64 {
        (self.base.saturating_sub(1) * self.block_size).min(self.size)
    }
}

/// A block's number on the wire: 0 follows 65535.
#[expect(clippy::cast_possible_truncation, reason = "the modulo is the protocol")]
const fn wire_number(block: u64) -> u16 {
    (block % 65_536) as u16
}
