//! A client's side of one transfer: reads a file into memory, within a limit.

use std::time::Duration;

use crate::wire::{ErrorCode, Packet, Request};

const WAIT: Duration = Duration::from_secs(1);
/// Seconds without progress, as each try waits for one: more than the server is patient, which waits longer each time.
const TRIES: u32 = 60;

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// Block size to ask for.
    pub block_size: Option<u16>,
    /// Window to ask for.
    pub window_size: Option<u16>,
    /// Ask for the size.
    pub wants_size: bool,
    /// The most bytes to take.
    pub limit: usize,
}

/// Why a fetch failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server refused.
    #[error("the TFTP server answered error {code:?}: {text}")]
    Server {
        /// Its code.
        code: ErrorCode,
        /// Its text.
        text: String,
    },
    /// No answer.
    #[error("the TFTP server does not answer")]
    TimedOut,
    /// The file is larger than the limit.
    #[error("the file is larger than {0} bytes")]
    TooLarge(usize),
    /// The server took options that were not asked for, or larger ones.
    #[error("the TFTP server acknowledged options that were not asked for")]
    Options,
}

/// One fetch. The first packet goes to port 69; all others to the port that the first answer came from, which is the caller's to
/// remember.
#[derive(Debug)]
pub struct Fetch {
    options: FetchOptions,
    block_size: usize,
    window: u64,
    /// Blocks received in order.
    received: u64,
    in_window: u64,
    data: Vec<u8>,
    size: Option<u64>,
    request: Vec<u8>,
    out: Option<Vec<u8>>,
    last_sent: Vec<u8>,
    tries: u32,
    deadline: Duration,
    /// A gap has been reported; not again before progress.
    reported: bool,
    done: Option<Result<(), FetchError>>,
}

impl Fetch {
    /// Asks for a file.
    pub fn new(now: Duration, name: &str, options: FetchOptions) -> Self {
        let mut pairs = Vec::new();
        pairs.extend(options.block_size.map(|size| ("blksize".to_owned(), size.to_string())));
        pairs.extend(options.window_size.map(|size| ("windowsize".to_owned(), size.to_string())));
        pairs.extend(options.wants_size.then(|| ("tsize".to_owned(), "0".to_owned())));
        let request =
            Packet::Read(Request { name: name.to_owned(), mode: "octet".into(), options: pairs }).encode();
        Self {
            options,
            block_size: 512,
            window: 1,
            received: 0,
            in_window: 0,
            data: Vec::new(),
            size: None,
            out: Some(request.clone()),
            last_sent: request.clone(),
            request,
            tries: 0,
            deadline: now + WAIT,
            reported: false,
            done: None,
        }
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.take()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub const fn poll_timeout(&self) -> Duration {
        self.deadline
    }

    /// The size that the server told.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// The file, or why there is none; none while the fetch goes on.
    pub fn result(&self) -> Option<Result<&[u8], FetchError>> {
        self.done.clone().map(|done| done.map(|()| self.data.as_slice()))
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.done.is_some() || now < self.deadline {
            return;
        }
        self.tries += 1;
        if self.tries > TRIES {
            self.done = Some(Err(FetchError::TimedOut));
            return;
        }
        self.deadline = now + WAIT;
        self.in_window = 0;
        self.out = Some(if self.received > 0 { ack(self.received) } else { self.last_sent.clone() });
    }

    /// Takes in one packet of the server.
    pub fn handle(&mut self, now: Duration, bytes: &[u8]) {
        // After the end, a repeated last block means that the last acknowledgement was lost.
        if let Some(done) = &self.done {
            if done.is_ok() && matches!(Packet::decode(bytes), Ok(Packet::Data { .. })) {
                self.out = Some(ack(self.received));
            }
            return;
        }
        match Packet::decode(bytes) {
            Ok(Packet::OptionAck(options)) if self.received == 0 => {
                if let Err(error) = self.take_options(&options) {
                    let text = error.to_string();
                    self.out = Some(Packet::Error { code: ErrorCode::Options, text }.encode());
                    self.done = Some(Err(error));
                    return;
                }
                self.send(now, ack(0));
            }
            Ok(Packet::Data { block, data }) => self.take_data(now, block, data),
            Ok(Packet::Error { code, text }) => self.done = Some(Err(FetchError::Server { code, text })),
            Ok(_) | Err(_) => {}
        }
    }

    fn take_options(&mut self, options: &[(String, String)]) -> Result<(), FetchError> {
        for (name, value) in options {
            let number: u64 = value.parse().map_err(|_| FetchError::Options)?;
            let within = |asked: Option<u16>| {
                asked.is_some_and(|asked| number >= 1 && number <= u64::from(asked)).then_some(number)
            };
            match name.as_str() {
                "blksize" => {
                    let size = within(self.options.block_size).ok_or(FetchError::Options)?;
                    self.block_size = usize::try_from(size).map_err(|_| FetchError::Options)?;
                }
                "windowsize" => self.window = within(self.options.window_size).ok_or(FetchError::Options)?,
                "tsize" if self.options.wants_size => self.size = Some(number),
                _ => return Err(FetchError::Options),
            }
        }
        Ok(())
    }

    fn take_data(&mut self, now: Duration, block: u16, data: &[u8]) {
        let expected = self.received + 1;
        if block != number(expected) || data.len() > self.block_size {
            // A gap: say once what came last in order, so that the server goes on from there (RFC 7440 section 4).
            if self.window > 1 && !self.reported && self.received > 0 {
                self.reported = true;
                self.in_window = 0;
                self.send(now, ack(self.received));
            }
            return;
        }
        if self.data.len() + data.len() > self.options.limit {
            let error = FetchError::TooLarge(self.options.limit);
            self.out = Some(Packet::Error { code: ErrorCode::DiskFull, text: error.to_string() }.encode());
            self.done = Some(Err(error));
            return;
        }
        self.data.extend_from_slice(data);
        self.received = expected;
        self.in_window += 1;
        self.reported = false;
        self.tries = 0;
        self.deadline = now + WAIT;
        let last = data.len() < self.block_size;
        if last {
            self.done = Some(Ok(()));
        }
        if last || self.in_window >= self.window {
            self.in_window = 0;
            self.send(now, ack(expected));
        }
    }

    fn send(&mut self, now: Duration, packet: Vec<u8>) {
        self.deadline = now + WAIT;
        self.last_sent.clone_from(&packet);
        self.out = Some(packet);
    }

    /// The request's bytes, for a caller that must send it to another server.
    pub fn request(&self) -> &[u8] {
        &self.request
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the modulo is the protocol")]
const fn number(block: u64) -> u16 {
    (block % 65_536) as u16
}

fn ack(block: u64) -> Vec<u8> {
    Packet::Ack { block: number(block) }.encode()
}
