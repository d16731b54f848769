//! The DHCP server over real sockets on the loopback interface, asked through a relay agent's address.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use dhcp::wire::code;
use dhcp::{Packet, Pool, Subnet};
use uuid::Uuid;

use super::*;
use crate::address_book::AddressBook;
use crate::loader::Loaders;
use crate::source::{Area, BootEvent, BootSource, FileSource, HostBoot, ServedFile};

struct OneHost(Mutex<Vec<BootEvent>>);

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);

impl BootSource for OneHost {
    fn host(&self, mac: MacAddr) -> Option<HostBoot> {
        (mac == MAC).then_some(HostBoot { node: Uuid::max(), address: None, boot: BootTarget::LocalDisk })
    }

    fn record(&self, event: BootEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl FileSource for OneHost {
    fn open(&self, _: Area, _: &str, _: IpAddr) -> Option<ServedFile> {
        None
    }
}

fn config(mode: Mode) -> Config {
    let server = Ipv4Addr::LOCALHOST;
    let pool = Pool::new(Ipv4Addr::new(127, 9, 0, 1), Ipv4Addr::new(127, 9, 0, 9)).unwrap();
    Config {
        mode,
        server,
        subnets: vec![Subnet { network: server, prefix: 8, pool: Some(pool), gateway: None }],
        dns: vec![],
        domain: None,
        lease_time: Duration::from_hours(1),
        quarantine: Duration::from_hours(1),
    }
}

/// A free UDP port: the server's replies to relay agents go to its own port number, so it cannot be port 0.
async fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_relayed_client_gets_its_answer_and_is_recorded() {
    let source = Arc::new(OneHost(Mutex::default()));
    let shared = Arc::new(Shared {
        source: source.clone(),
        files: source.clone(),
        loaders: Loaders::new(None),
        book: AddressBook::default(),
        http: "127.0.0.1:8080".parse().unwrap(),
        server: Ipv4Addr::LOCALHOST,
        answer_unknown: false,
    });
    let ports = DhcpPorts { server: free_port().await, client: free_port().await, pxe: free_port().await };
    let server = DhcpServer::open(config(Mode::Full), "lo", ports, Arc::clone(&shared)).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone()));

    // The relay agent is another address of the loopback network, at the same port.
    let relay = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), ports.server);
    let relay = socket::dhcp("relay", "lo", relay).unwrap();
    let mut discover = Packet::request(7, MAC.octets().into());
    discover.giaddr = Ipv4Addr::new(127, 0, 0, 2);
    discover.options.set(code::MESSAGE_TYPE, [MessageType::Discover as u8]);
    discover.options.set(code::USER_CLASS, "iPXE");
    discover.options.set(code::ARCHITECTURE, [0, 7]);
    relay.send_to(&discover.encode(), ("127.0.0.1", ports.server)).await.unwrap();
    let mut buffer = buffer();
    let (length, from) =
        tokio::time::timeout(Duration::from_secs(10), relay.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(from, (Ipv4Addr::LOCALHOST, ports.server).into());
    let offer = Packet::decode(&buffer[..length]).unwrap();
    assert_eq!(offer.file, b"http://127.0.0.1:8080/boot/52:54:00:00:00:01.ipxe");

    let mut request = discover.clone();
    request.options.set(code::MESSAGE_TYPE, [MessageType::Request as u8]);
    request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    relay.send_to(&request.encode(), ("127.0.0.1", ports.server)).await.unwrap();
    let received = tokio::time::timeout(Duration::from_secs(10), relay.recv_from(&mut buffer)).await;
    let (length, _) = received.unwrap().unwrap();
    assert_eq!(Packet::decode(&buffer[..length]).unwrap().message_type(), Some(MessageType::Ack));
    assert_eq!(shared.book.holder(offer.yiaddr.into()), Some(MAC));

    stop.cancel();
    task.await.unwrap();
    let events = source.0.lock().unwrap();
    let texts: Vec<_> = events.iter().map(|event| event.kind.to_string()).collect();
    let file = "http://127.0.0.1:8080/boot/52:54:00:00:00:01.ipxe";
    assert_eq!(
        texts,
        [
            "DHCP discover by iPXE on x64 UEFI (7)".to_owned(),
            format!("DHCP offer of {}, {file}", offer.yiaddr),
            format!("DHCP request of {}", offer.yiaddr),
            format!("DHCP acknowledgement of {}, {file}", offer.yiaddr),
        ]
    );
    assert!(events.iter().all(|event| event.mac == MAC && event.node == Some(Uuid::max())));
}

#[tokio::test]
async fn a_boot_server_answers_the_port_that_asked() {
    let source = Arc::new(OneHost(Mutex::default()));
    let shared = Arc::new(Shared {
        source: source.clone(),
        files: source,
        loaders: Loaders::new(None),
        book: AddressBook::default(),
        http: "127.0.0.1:8080".parse().unwrap(),
        server: Ipv4Addr::LOCALHOST,
        answer_unknown: false,
    });
    let ports = DhcpPorts { server: free_port().await, client: free_port().await, pxe: free_port().await };
    let server = DhcpServer::open(config(Mode::Proxy), "lo", ports, shared).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone()));

    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut request = Packet::request(7, MAC.octets().into());
    request.ciaddr = Ipv4Addr::LOCALHOST;
    request.options.set(code::MESSAGE_TYPE, [MessageType::Request as u8]);
    request.options.set(code::VENDOR_CLASS, "PXEClient:Arch:00000:UNDI:002001");
    request.options.set(code::IPXE, [1_u8]);
    client.send_to(&request.encode(), ("127.0.0.1", ports.pxe)).await.unwrap();
    let mut buffer = buffer();
    let received = tokio::time::timeout(Duration::from_secs(10), client.recv_from(&mut buffer)).await;
    let (length, from) = received.unwrap().unwrap();
    assert_eq!(from, (Ipv4Addr::LOCALHOST, ports.pxe).into());
    let ack = Packet::decode(&buffer[..length]).unwrap();
    assert_eq!(ack.options.bytes(code::VENDOR_CLASS), Some(&b"PXEClient"[..]));
    assert_eq!(ack.file, b"http://127.0.0.1:8080/boot/52:54:00:00:00:01.ipxe");
    stop.cancel();
    task.await.unwrap();
}
