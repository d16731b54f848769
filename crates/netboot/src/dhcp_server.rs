//! The DHCP server's sockets and the answers that need the boot decision.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use boot_trace::{Asking, BootEventKind, Unanswered};
use dhcp::{
    Admission, BootAnswer, ClientFacts, Config, Destination, Grant, Ignored, MessageType, Mode, Outcome,
    Port, Reply, ReplyKind, Server, Verdict,
};
use model::MacAddr;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::decide::{BootFile, decide, fitting_loader};
use crate::service::Shared;
use crate::source::{BootTarget, HostBoot};
use crate::{NetbootError, socket};

/// UDP ports; not the standard ones in tests only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DhcpPorts {
    pub(crate) server: u16,
    pub(crate) client: u16,
    pub(crate) pxe: u16,
}

impl DhcpPorts {
    pub(crate) const STANDARD: Self = Self { server: 67, client: 68, pxe: 4011 };
}

/// The server with its sockets open.
pub(crate) struct DhcpServer {
    machine: Server,
    shared: Arc<Shared>,
    ports: DhcpPorts,
    /// Hears broadcasts.
    wide: UdpSocket,
    /// Hears what is sent to our address; sends everything, so that replies come from it.
    own: UdpSocket,
    /// Port 4011, in proxy mode.
    pxe: Option<UdpSocket>,
    /// The origin of the machine's time.
    started: Instant,
}

impl DhcpServer {
    pub(crate) fn open(
        config: Config,
        interface: &str,
        ports: DhcpPorts,
        shared: Arc<Shared>,
    ) -> Result<Self, NetbootError> {
        socket::interface_index(interface)?;
        let (address, proxy) = (config.server, config.mode == Mode::Proxy);
        let machine = Server::new(config)?;
        let at = |port| SocketAddrV4::new(address, port);
        Ok(Self {
            machine,
            shared,
            ports,
            wide: socket::dhcp("DHCP", interface, socket::any(ports.server))?,
            own: socket::dhcp("DHCP", interface, at(ports.server))?,
            pxe: proxy.then(|| socket::dhcp("PXE", interface, at(ports.pxe))).transpose()?,
            started: Instant::now(),
        })
    }

    /// Answers until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut wide, mut own, mut pxe) = (buffer(), buffer(), buffer());
        loop {
            let (port, received) = tokio::select! {
                () = stop.cancelled() => return,
                received = self.wide.recv_from(&mut wide) => (Port::Dhcp, received.map(|(n, from)| (&wide[..n], from))),
                received = self.own.recv_from(&mut own) => (Port::Dhcp, received.map(|(n, from)| (&own[..n], from))),
                received = receive(self.pxe.as_ref(), &mut pxe) =>
                    (Port::Pxe, received.map(|(n, from)| (&pxe[..n], from))),
            };
            match received {
                Ok((bytes, from)) => self.packet(port, bytes, from).await,
                Err(error) => {
                    tracing::warn!(%error, "receiving DHCP requests failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn packet(&mut self, port: Port, bytes: &[u8], from: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let mut asked = Asked::No;
        let outcome = self.machine.handle(self.started.elapsed(), port, bytes, |facts| {
            let host = shared.source.host(MacAddr::new(facts.mac.octets()));
            let admission = admit(&shared, facts, host.as_ref());
            asked = Asked::For(host);
            admission
        });
        report(&self.shared, &outcome, asked);
        let Verdict::Reply(reply) = outcome.verdict else { return };
        let to = self.address(&reply, from);
        let socket = match (port, &self.pxe) {
            (Port::Pxe, Some(pxe)) => pxe,
            _ => &self.own,
        };
        if let Err(error) = socket.send_to(&reply.bytes, to).await {
            tracing::warn!(%to, %error, "sending a DHCP reply failed");
        }
    }

    fn address(&self, reply: &Reply, from: SocketAddr) -> SocketAddr {
        match reply.destination {
            Destination::Relay(relay) => SocketAddrV4::new(relay, self.ports.server).into(),
            Destination::Client(client) => SocketAddrV4::new(client, self.ports.client).into(),
            Destination::Broadcast => SocketAddrV4::new(Ipv4Addr::BROADCAST, self.ports.client).into(),
            Destination::Source => from,
        }
    }
}

fn buffer() -> Vec<u8> {
    // One byte more than the longest message, so that a longer one is seen to be.
    vec![0; dhcp::wire::MAX_MESSAGE + 1]
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

fn admit(shared: &Shared, facts: &ClientFacts, host: Option<&HostBoot>) -> Admission {
    let Some(host) = host else {
        return if shared.answer_unknown { Admission::Serve(Grant::default()) } else { Admission::Ignore };
    };
    let boot = match decide(facts, &host.boot, shared.http) {
        BootFile::None => BootAnswer::None,
        BootFile::Tftp(name) => BootAnswer::File { server: shared.server, name: name.to_owned() },
        BootFile::Url(url) => BootAnswer::Url(url),
    };
    Admission::Serve(Grant { reserved: host.address, host_name: None, boot })
}

/// Whether the machine was looked up to decide about its request, and what was found.
enum Asked {
    No,
    For(Option<HostBoot>),
}

/// Tells the recorder and the address book what a request came to.
fn report(shared: &Shared, outcome: &Outcome, asked: Asked) {
    let Some(facts) = &outcome.client else {
        if let Verdict::Ignored(reason) = &outcome.verdict {
            tracing::trace!(%reason, "a packet on the DHCP port");
        }
        return;
    };
    let mac = MacAddr::new(facts.mac.octets());
    let host = match asked {
        Asked::For(host) => host,
        Asked::No => shared.source.host(mac),
    };
    let host = host.as_ref();
    match facts.message {
        MessageType::Discover => shared.record(mac, host, BootEventKind::Discover(asking(facts))),
        MessageType::Request => {
            let other_server = facts.server.filter(|server| *server != shared.server);
            let (asking, address) = (asking(facts), facts.address);
            shared.record(mac, host, BootEventKind::Request { asking, address, other_server });
        }
        _ => {}
    }
    match &outcome.verdict {
        Verdict::Reply(reply) => {
            if let (ReplyKind::Ack, Some(address)) = (reply.kind, reply.address) {
                shared.book.leased(address, mac);
            }
            let (address, file) = (reply.address, boot_file(shared, facts, host));
            shared.record(
                mac,
                host,
                match reply.kind {
                    ReplyKind::Offer => BootEventKind::Offer { address, file },
                    ReplyKind::Ack => BootEventKind::Ack { address, file },
                    ReplyKind::Nak => BootEventKind::Nak,
                },
            );
        }
        Verdict::Released(address) => {
            shared.book.freed(*address);
            shared.record(mac, host, BootEventKind::Release { address: *address });
        }
        Verdict::Declined(address) => {
            shared.book.freed(*address);
            shared.record(mac, host, BootEventKind::Decline { address: *address });
        }
        Verdict::Ignored(reason) => {
            if let Some(reason) = unanswered(*reason) {
                shared.record(mac, host, BootEventKind::Unanswered { reason });
            }
        }
    }
}

/// What is worth telling an operator about a request without an answer; what is as it should be is not.
const fn unanswered(reason: Ignored) -> Option<Unanswered> {
    match reason {
        Ignored::NotAdmitted => Some(Unanswered::NotServed),
        Ignored::NoSubnet => Some(Unanswered::NoNetwork),
        Ignored::NoAddress => Some(Unanswered::NoAddress),
        Ignored::NothingToBoot => Some(Unanswered::NothingToBoot),
        Ignored::Malformed(_)
        | Ignored::NotARequest
        | Ignored::OtherServer
        | Ignored::NotItsAddress
        | Ignored::NotApplicable => None,
    }
}

fn boot_file(shared: &Shared, facts: &ClientFacts, host: Option<&HostBoot>) -> Option<String> {
    match decide(facts, host.map_or(&BootTarget::Nothing, |host| &host.boot), shared.http) {
        BootFile::None => None,
        BootFile::Tftp(name) => Some(name.to_owned()),
        BootFile::Url(url) => Some(url),
    }
}

/// Who asks, for the recorder.
fn asking(facts: &ClientFacts) -> Asking {
    let hex = |id: [u8; 16]| format!("{:032x}", u128::from_be_bytes(id));
    Asking {
        client: describe(facts),
        firmware: facts.boots(),
        ipxe: facts.ipxe,
        architecture: facts.architecture.map(u16::from),
        loader: fitting_loader(facts).map(str::to_owned),
        user_class: facts.user_class.clone(),
        relay: facts.relay,
        machine_id: facts.machine_id.map(hex),
    }
}

fn describe(facts: &ClientFacts) -> String {
    let ipxe = if facts.ipxe { "iPXE on " } else { "" };
    match (facts.architecture, &facts.vendor_class) {
        (Some(architecture), _) => format!("{ipxe}{architecture}"),
        (None, Some(class)) => format!("{ipxe}{class}"),
        (None, None) => format!("{ipxe}an unnamed client"),
    }
}

#[cfg(test)]
mod tests;
