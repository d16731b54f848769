//! Brings up the network of a machine that the agent owns: all Ethernet interfaces with a cable, by DHCP, all at once.
//!
//! Nothing is slept for: carriers, new interfaces and leases are waited for as events.

use crate::{
    clock,
    netlink::{LINK_GROUP, Link, Message, Netlink},
    parameters::Parameters,
};
use dhcp::{
    EthernetAddress,
    client::{Client, ClientConfig, ClientEvent, Grant},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How long the interface that the machine booted from may take before another one will do.
const BOOT_INTERFACE_LIMIT: Duration = Duration::from_secs(20);
/// How long any interface may take before the agent goes on without (there may be IPv6).
const ANY_INTERFACE_LIMIT: Duration = Duration::from_mins(1);

/// Leases by interface name.
pub type Leases = BTreeMap<String, Grant>;

/// What an interface's client reports.
#[derive(Debug)]
struct News {
    index: u32,
    event: ClientEvent,
}

/// A network that is kept up.
#[derive(Debug)]
pub struct Network {
    again: Arc<Notify>,
    // The leases are kept up as long as somebody might look at them.
    _leases: watch::Receiver<Leases>,
}

impl Network {
    /// Asks for addresses anew: the machine may have been moved to another network. An interface keeps the address that it
    /// has until it is granted another.
    pub fn ask_again(&self) {
        self.again.notify_one();
    }
}

/// Brings up the network and keeps it up, in a task of its own. Returns when the interface the machine booted from has an
/// address, or another one has and that one is late, or none has in a minute.
pub async fn bring_up(parameters: &Parameters) -> io::Result<Network> {
    let (leases, mut seen) = watch::channel(Leases::new());
    let again = Arc::new(Notify::new());
    let mut keeper = Keeper::open(parameters, leases, again.clone())?;
    let boot_name = keeper.start().await?;
    tokio::spawn(async move {
        if let Err(error) = keeper.keep().await {
            tracing::error!(%error, "the network is no longer looked after");
        }
    });
    if let Some(name) = boot_name {
        let ours = seen.wait_for(|leases| leases.contains_key(&name));
        if timeout(BOOT_INTERFACE_LIMIT, ours).await.is_ok() {
            return Ok(Network { again, _leases: seen });
        }
        tracing::warn!("network {name}: no lease yet, any other interface will do");
    }
    if timeout(ANY_INTERFACE_LIMIT, seen.wait_for(|leases| !leases.is_empty())).await.is_err() {
        tracing::error!("network: no interface got a lease");
    }
    Ok(Network { again, _leases: seen })
}

#[derive(Debug)]
struct Keeper {
    events: Netlink,
    requests: Netlink,
    boot_mac: Option<[u8; 6]>,
    only: Option<String>,
    links: BTreeMap<u32, Link>,
    clients: BTreeMap<u32, JoinHandle<()>>,
    addresses: BTreeMap<u32, (Ipv4Addr, u8)>,
    leases: watch::Sender<Leases>,
    again: Arc<Notify>,
    news: mpsc::Receiver<News>,
    reporter: mpsc::Sender<News>,
}

impl Keeper {
    fn open(parameters: &Parameters, leases: watch::Sender<Leases>, again: Arc<Notify>) -> io::Result<Self> {
        let (reporter, news) = mpsc::channel(16);
        Ok(Self {
            events: Netlink::open(LINK_GROUP)?,
            requests: Netlink::open(0)?,
            boot_mac: parameters.boot_mac.as_deref().and_then(mac_bytes),
            only: parameters.interface.clone(),
            links: BTreeMap::new(),
            clients: BTreeMap::new(),
            addresses: BTreeMap::new(),
            leases,
            again,
            news,
            reporter,
        })
    }

    /// Turns on all interfaces; returns the name of the one that the machine booted from.
    async fn start(&mut self) -> io::Result<Option<String>> {
        let mut links = self.requests.links().await?;
        links.sort_by_key(|link| !self.is_boot(link));
        let boot = links.first().filter(|link| self.is_boot(link)).map(|link| link.name.clone());
        for link in links {
            self.see(link).await;
        }
        Ok(boot)
    }

    async fn keep(&mut self) -> io::Result<()> {
        loop {
            tokio::select! {
                messages = self.events.receive() => {
                    for message in messages? {
                        match message {
                            Message::Link(link) => self.see(link).await,
                            Message::Gone(index) => self.forget(index),
                            Message::Done | Message::Outcome { .. } => {}
                        }
                    }
                }
                Some(news) = self.news.recv() => self.apply(news).await,
                () = self.again.notified() => self.begin_again(),
            }
        }
    }

    fn is_boot(&self, link: &Link) -> bool {
        self.boot_mac.is_some() && link.mac == self.boot_mac
    }

    /// Whether this is an interface to use: Ethernet, of hardware, and not ruled out.
    fn is_wanted(&self, link: &Link) -> bool {
        let hardware = Path::new("/sys/class/net").join(&link.name).join("device").exists();
        let allowed = self.only.as_ref().is_none_or(|only| *only == link.name);
        !link.loopback && link.mac.is_some() && hardware && allowed
    }

    async fn see(&mut self, link: Link) {
        let known = self.links.insert(link.index, link.clone());
        let wanted = self.is_wanted(&link);
        if (link.loopback || wanted) && !link.up && known.is_none() {
            if let Err(error) = self.requests.set_link(link.index, true).await {
                tracing::warn!(%error, "network {} cannot be turned on", link.name);
            }
            return;
        }
        let index = link.index;
        let carrier = wanted && link.up && link.carrier;
        if carrier && !self.clients.contains_key(&index) {
            let mac = EthernetAddress::from(link.mac.unwrap_or_default());
            tracing::info!("network {} {mac} has carrier", link.name);
            self.ask(link);
        }
    }

    /// Starts the DHCP client of an interface, in the place of the one that it may have.
    fn ask(&mut self, link: Link) {
        let (index, mac) = (link.index, link.mac.unwrap_or_default());
        let reporter = self.reporter.clone();
        let task = tokio::spawn(async move {
            let name = link.name.clone();
            if let Err(error) = lease(link, mac, reporter).await {
                tracing::error!(%error, "network {name}: DHCP gave up");
            }
        });
        if let Some(former) = self.clients.insert(index, task) {
            former.abort();
        }
    }

    /// All clients look for servers anew.
    fn begin_again(&mut self) {
        let asking: Vec<Link> =
            self.clients.keys().filter_map(|index| self.links.get(index)).cloned().collect();
        for link in asking {
            self.ask(link);
        }
    }

    fn forget(&mut self, index: u32) {
        if let Some(task) = self.clients.remove(&index) {
            task.abort();
        }
        self.addresses.remove(&index);
        if let Some(link) = self.links.remove(&index) {
            self.leases.send_modify(|leases| drop(leases.remove(&link.name)));
        }
    }

    async fn apply(&mut self, News { index, event }: News) {
        let Some(link) = self.links.get(&index).cloned() else { return };
        let outcome = match event {
            ClientEvent::Bound(grant) => self.configure(&link, grant).await,
            ClientEvent::Lost => self.clear(&link).await,
            ClientEvent::Renewed => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "network {} cannot be configured", link.name);
        }
    }

    async fn configure(&mut self, link: &Link, grant: Grant) -> io::Result<()> {
        let address = (grant.address, grant.prefix);
        if self.addresses.get(&link.index).is_some_and(|old| *old != address) {
            self.clear(link).await?;
        }
        if let Some(mtu) = grant.mtu {
            self.requests.set_mtu(link.index, mtu).await?;
        }
        self.requests.set_address(link.index, grant.address, grant.prefix, true).await?;
        self.addresses.insert(link.index, address);
        if let Some(gateway) = grant.gateway {
            let metric = if self.is_boot(link) { 10 } else { 100 + link.index };
            self.requests.add_default_route(link.index, gateway, metric).await?;
        }
        tracing::info!("network {} up {}/{} by {}", link.name, grant.address, grant.prefix, grant.server);
        self.leases.send_modify(|leases| drop(leases.insert(link.name.clone(), grant)));
        self.write_resolver()
    }

    async fn clear(&mut self, link: &Link) -> io::Result<()> {
        if let Some((ip, prefix)) = self.addresses.remove(&link.index) {
            tracing::warn!("network {} lost {ip}", link.name);
            self.leases.send_modify(|leases| drop(leases.remove(&link.name)));
            self.requests.set_address(link.index, ip, prefix, false).await?;
        }
        Ok(())
    }

    /// Writes `/etc/resolv.conf`; the servers of the interface that the machine booted from come first.
    fn write_resolver(&self) -> io::Result<()> {
        let boot = self.links.values().find(|link| self.is_boot(link)).map(|link| link.name.clone());
        let leases = self.leases.borrow();
        let mut ordered: Vec<_> = leases.iter().collect();
        ordered.sort_by_key(|(name, _)| Some(*name) != boot.as_ref());
        fs::write("/etc/resolv.conf", resolver(ordered.into_iter().map(|(_, grant)| grant)))
    }
}

/// The text of `/etc/resolv.conf`; glibc reads three servers at most.
fn resolver<'a>(grants: impl Iterator<Item = &'a Grant>) -> String {
    let mut servers: Vec<Ipv4Addr> = Vec::new();
    for server in grants.flat_map(|grant| &grant.dns) {
        if !servers.contains(server) && servers.len() < 3 {
            servers.push(*server);
        }
    }
    let lines: Vec<String> = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    // Name servers of boot networks are often not there at all: do not wait 30 seconds for each name.
    lines.concat() + "options timeout:2 attempts:2\n"
}

/// Runs the DHCP client of one interface for ever.
async fn lease(link: Link, mac: [u8; 6], reporter: mpsc::Sender<News>) -> io::Result<()> {
    let socket = client_socket(&link.name)?;
    let config =
        ClientConfig { mac: mac.into(), vendor_class: Some("wrought-agent".to_owned()), host_name: None };
    let mut client = Client::new(clock::uptime(), config, rand::random());
    let mut buffer = [0; 2048];
    loop {
        while let Some(message) = client.poll_transmit() {
            let server = message.server.unwrap_or(Ipv4Addr::BROADCAST);
            // A full queue or a carrier that flaps is like a lost packet: the machine sends again.
            if let Err(error) = socket.send_to(&message.bytes, SocketAddrV4::new(server, 67)).await {
                tracing::debug!(%error, "network {}: DHCP message not sent", link.name);
            }
        }
        let wait = client.poll_timeout().saturating_sub(clock::uptime());
        let event = tokio::select! {
            received = socket.recv(&mut buffer) => match received {
                Ok(length) => client.handle(clock::uptime(), &buffer[..length]),
                Err(error) => {
                    // The link went down for a moment: the socket says so once for each packet.
                    tracing::debug!(%error, "network {}: nothing received", link.name);
                    sleep(Duration::from_millis(200)).await;
                    None
                }
            },
            () = sleep(wait) => client.handle_timeout(clock::uptime()),
        };
        if let Some(event) = event
            && reporter.send(News { index: link.index, event }).await.is_err()
        {
            return Ok(());
        }
    }
}

/// A socket on port 68 of one interface, which works before the interface has an address.
fn client_socket(interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)).into())?;
    UdpSocket::from_std(socket.into())
}

fn mac_bytes(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(dns: &[[u8; 4]]) -> Grant {
        Grant {
            address: Ipv4Addr::new(172, 22, 0, 100),
            prefix: 24,
            gateway: None,
            dns: dns.iter().map(|octets| Ipv4Addr::from(*octets)).collect(),
            domain: None,
            host_name: None,
            mtu: None,
            server: Ipv4Addr::new(172, 22, 0, 1),
            lifetime: Duration::from_hours(1),
        }
    }

    #[test]
    fn three_name_servers_and_each_once() {
        let grants =
            [grant(&[[1, 1, 1, 1], [2, 2, 2, 2]]), grant(&[[1, 1, 1, 1], [3, 3, 3, 3], [4, 4, 4, 4]])];
        let text = resolver(grants.iter());
        let servers: Vec<_> = text.lines().filter(|line| line.starts_with("nameserver")).collect();
        assert_eq!(servers, ["nameserver 1.1.1.1", "nameserver 2.2.2.2", "nameserver 3.3.3.3"]);
    }

    #[test]
    fn macs() {
        assert_eq!(mac_bytes("52:54:00:12:34:56"), Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        assert_eq!(mac_bytes("52:54"), None);
    }
}
