//! One session over one connected UDP socket. A socket of its own lets the kernel drop strangers' datagrams and report
//! "port unreachable", and gives each session a fresh port: there are BMCs that mix up two sessions from one port.

use core::net::SocketAddr;
use core::time::Duration;
use ipmi::command::{RawRequest, RawResponse};
use ipmi::wire::MAX_DATAGRAM;
use ipmi::{CipherSuite, Client, ClientError, Config, Event, RequestError};
use rand::Rng;
use std::io;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

/// Why a link did not do what it should.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The host's own network failed, or the other host refused ("connection refused").
    Io(io::Error),
    /// The session failed or was not reached.
    Session(ClientError),
    /// The request was not answered.
    NoAnswer { sent: u32 },
    /// The request does not fit into a message.
    TooLong { bytes: usize },
    /// The session ended; nothing was sent.
    Lost,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open session.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UdpSocket,
    client: Client,
    epoch: Instant,
    suite: CipherSuite,
    /// When the BMC was last heard: its own idle clock cannot be behind this one.
    pub(crate) last_used: Instant,
    /// The pool's permission for one more session.
    _permit: OwnedSemaphorePermit,
}

impl Link {
    /// Opens a session.
    pub(crate) async fn open(
        address: SocketAddr,
        config: Config,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, LinkError> {
        let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        let epoch = Instant::now();
        let random = |buffer: &mut [u8]| rand::rng().fill_bytes(buffer);
        let client = Client::new(config, Duration::ZERO, random);
        let suite = CipherSuite::Sha256;
        let mut link = Self { socket, client, epoch, suite, last_used: epoch, _permit: permit };
        match link.run().await? {
            Event::Established { suite } => {
                link.suite = suite;
                link.last_used = Instant::now();
                Ok(link)
            }
            Event::Failed(error) => Err(LinkError::Session(error)),
            // No request was made, so nothing else can happen.
            Event::Response(_) | Event::RequestTimedOut { .. } | Event::Closed => Err(LinkError::Lost),
        }
    }

    /// The suite of the session.
    pub(crate) const fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Sends a request and waits so long for its answer. Dropping the future leaves the link usable.
    pub(crate) async fn request(
        &mut self,
        request: RawRequest,
        limit: Duration,
    ) -> Result<RawResponse, LinkError> {
        // A caller before may have gone away in the middle.
        self.client.abandon();
        let now = self.epoch.elapsed();
        self.client.request_within(now, request, limit).map_err(|error| match error {
            RequestError::TooLong { have } => LinkError::TooLong { bytes: have },
            RequestError::NoSession | RequestError::Busy => LinkError::Lost,
        })?;
        match self.run().await? {
            Event::Response(response) => {
                self.last_used = Instant::now();
                Ok(response)
            }
            Event::RequestTimedOut { sent } => Err(LinkError::NoAnswer { sent }),
            Event::Failed(error) => Err(LinkError::Session(error)),
            Event::Established { .. } | Event::Closed => Err(LinkError::Lost),
        }
    }

    /// Closes the session; errors do not matter, since the BMC forgets it in a minute anyway.
    pub(crate) async fn close(mut self) {
        self.client.close(self.epoch.elapsed());
        if let Err(error) = self.run().await {
            tracing::debug!(?error, "session was not closed in order");
        }
    }

    /// Moves datagrams and the time until something happens.
    async fn run(&mut self) -> Result<Event, LinkError> {
        let mut buffer = [0; MAX_DATAGRAM + 1];
        loop {
            while let Some(datagram) = self.client.poll_transmit() {
                self.socket.send(&datagram).await?;
            }
            if let Some(event) = self.client.poll_event() {
                return Ok(event);
            }
            let Some(deadline) = self.client.poll_timeout() else {
                return Err(LinkError::Lost);
            };
            match timeout_at(self.epoch + deadline, self.socket.recv(&mut buffer)).await {
                Ok(received) => {
                    let len = received?;
                    self.client.handle(self.epoch.elapsed(), &buffer[..len]);
                }
                Err(_) => self.client.handle_timeout(self.epoch.elapsed()),
            }
        }
    }
}

/// The first address of a name; addresses need no name service.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Option<SocketAddr>> {
    Ok(lookup_host((host, port)).await?.next())
}
