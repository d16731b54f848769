//! Boots that fail, each in its own way, through the real servers on the loopback: what the recorder is told must lead
//! to the right diagnosis.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boot_trace::{BootEventKind, Entry, Hears, Judgement, Stage, Tail, Told, attempts, judge};
use dhcp::wire::code;
use dhcp::{MessageType, Packet};
use model::{BootIntent, MacAddr, Timestamp};
use provision::ErrorCode;
use tftp::client::{Fetch, FetchOptions};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dhcp_server::DhcpPorts;
use crate::service::{Running, serve_on};
use crate::socket;
use crate::source::{
    Area, BootEvent, BootSource, BootTarget, FileContent, FileSource, HostBoot, RamdiskBoot, ServedFile,
};
use crate::{DhcpMode, Options, PoolRange};

const NODE: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 9]);
const LARGE: usize = 32 << 20;
const HEARS: Hears = Hears { dhcp: true, files: true };

/// One machine, what it boots, and what was seen of it.
struct Lab {
    boot: Mutex<BootTarget>,
    files: Mutex<HashMap<&'static str, FileContent>>,
    seen: Mutex<Vec<BootEvent>>,
}

impl BootSource for Lab {
    fn host(&self, mac: MacAddr) -> Option<HostBoot> {
        let boot = self.boot.lock().unwrap().clone();
        (mac == NODE).then_some(HostBoot { node: Uuid::max(), address: None, boot })
    }

    fn record(&self, event: BootEvent) {
        self.seen.lock().unwrap().push(event);
    }
}

impl FileSource for Lab {
    fn open(&self, _: Area, name: &str, _: IpAddr) -> Option<ServedFile> {
        let content = self.files.lock().unwrap().get(name)?.clone();
        Some(ServedFile { content, etag: None })
    }
}

/// The servers, and a machine that speaks to them through a relay agent's address.
struct Site {
    lab: Arc<Lab>,
    running: Running,
    stop: CancellationToken,
    ports: DhcpPorts,
    relay: UdpSocket,
    client: reqwest::Client,
    address: Option<Ipv4Addr>,
    directory: tempfile::TempDir,
}

fn ramdisk() -> BootTarget {
    BootTarget::Ramdisk(RamdiskBoot {
        kernel_url_path: "/files/vmlinuz".into(),
        initrd_url_paths: vec!["/files/initramfs".into()],
        cmdline: "quiet".parse().unwrap(),
    })
}

async fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

const BIOS: (&str, u16) = ("PXEClient:Arch:00000:UNDI:002001", 0);
const UEFI: (&str, u16) = ("PXEClient:Arch:00007:UNDI:003001", 7);
const RISC_V: (&str, u16) = ("PXEClient:Arch:00027:UNDI:003001", 27);

impl Site {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for loader in ["snponly.efi", "undionly.kpxe"] {
            std::fs::write(directory.path().join(loader), vec![7; 40_000]).unwrap();
        }
        let files = [("vmlinuz", vec![1; 5000]), ("initramfs", vec![2; 9000])]
            .map(|(name, bytes)| (name, FileContent::Bytes(bytes.into())));
        let lab = Arc::new(Lab {
            boot: Mutex::new(ramdisk()),
            files: Mutex::new(files.into()),
            seen: Mutex::default(),
        });
        let pool = PoolRange { first: Ipv4Addr::new(127, 9, 0, 1), last: Ipv4Addr::new(127, 9, 0, 9) };
        let mut options = Options {
            interface: Some("lo".to_owned()),
            dhcp: DhcpMode::Full,
            netmask: Ipv4Addr::new(255, 0, 0, 0),
            pool: Some(pool),
            router_advertisements: Some(false),
            http_listen: Some("0.0.0.0:0".parse().unwrap()),
            tftp_listen: Some("127.0.0.1:0".parse().unwrap()),
            ipxe_dir: Some(directory.path().to_owned()),
            ..Options::new(Ipv4Addr::LOCALHOST)
        };
        change(&mut options);
        let ports =
            DhcpPorts { server: free_port().await, client: free_port().await, pxe: free_port().await };
        let stop = CancellationToken::new();
        let parts = (lab.clone() as Arc<dyn BootSource>, lab.clone() as Arc<dyn FileSource>);
        let running = serve_on(options, ports, parts, stop.clone()).await.unwrap();
        let relay = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), ports.server);
        let relay = socket::dhcp("relay", "lo", relay).unwrap();
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { lab, running, stop, ports, relay, client, address: None, directory }
    }

    fn packet(kind: MessageType, mac: MacAddr, (class, architecture): (&str, u16)) -> Packet {
        let mut packet = Packet::request(7, mac.octets().into());
        packet.giaddr = Ipv4Addr::new(127, 0, 0, 2);
        packet.options.set(code::MESSAGE_TYPE, [kind as u8]);
        packet.options.set(code::VENDOR_CLASS, class);
        // Operating systems do not say it.
        if class.contains("Client") {
            packet.options.set(code::ARCHITECTURE, architecture.to_be_bytes());
        }
        packet
    }

    async fn send(&self, packet: &Packet) {
        self.relay.send_to(&packet.encode(), ("127.0.0.1", self.ports.server)).await.unwrap();
    }

    async fn answer(&self) -> Packet {
        let mut buffer = vec![0; 2048];
        let received = tokio::time::timeout(Duration::from_secs(20), self.relay.recv_from(&mut buffer)).await;
        let (length, _) = received.unwrap().unwrap();
        Packet::decode(&buffer[..length]).unwrap()
    }

    async fn discover(&self, who: (&str, u16), ipxe: bool) -> Packet {
        let mut discover = Self::packet(MessageType::Discover, NODE, who);
        if ipxe {
            discover.options.set(code::USER_CLASS, "iPXE");
        }
        self.send(&discover).await;
        self.answer().await
    }

    /// DISCOVER to ACK; from then on the machine's packets come from its address.
    async fn lease(&mut self, who: (&str, u16), ipxe: bool) -> Packet {
        let offer = self.discover(who, ipxe).await;
        let mut request = Self::packet(MessageType::Request, NODE, who);
        if ipxe {
            request.options.set(code::USER_CLASS, "iPXE");
        }
        request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
        self.send(&request).await;
        let ack = self.answer().await;
        assert_eq!(ack.message_type(), Some(MessageType::Ack));
        self.address = Some(ack.yiaddr);
        let source = IpAddr::V4(ack.yiaddr);
        self.client = reqwest::Client::builder().no_proxy().local_address(source).build().unwrap();
        ack
    }

    async fn socket(&self) -> UdpSocket {
        UdpSocket::bind((self.address.unwrap(), 0)).await.unwrap()
    }

    /// Fetches a file by TFTP to its end, whatever that is.
    async fn tftp(&self, name: &str) -> bool {
        let (socket, started) = (self.socket().await, tokio::time::Instant::now());
        let options =
            FetchOptions { block_size: Some(1432), window_size: None, wants_size: true, limit: 1 << 20 };
        let mut fetch = Fetch::new(Duration::ZERO, name, options);
        let (mut peer, mut buffer) = (self.running.bound.tftp.unwrap(), vec![0; 2048]);
        loop {
            while let Some(packet) = fetch.poll_transmit() {
                socket.send_to(&packet, peer).await.unwrap();
            }
            if let Some(result) = fetch.result() {
                // The server sees the last acknowledgement a little later.
                self.until(|kind| match kind {
                    BootEventKind::TftpDone { file, .. } | BootEventKind::TftpError { file, .. } => {
                        file == name
                    }
                    _ => false,
                })
                .await;
                return result.is_ok();
            }
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            peer = from;
            fetch.handle(started.elapsed(), &buffer[..length]);
        }
    }

    /// Asks for a file by TFTP and takes the first answer.
    async fn tftp_begin(&self, request: &[u8]) -> (UdpSocket, SocketAddr) {
        let socket = self.socket().await;
        socket.send_to(request, self.running.bound.tftp.unwrap()).await.unwrap();
        let mut buffer = vec![0; 2048];
        let (_, peer) = socket.recv_from(&mut buffer).await.unwrap();
        (socket, peer)
    }

    async fn get(&self, path: &str) -> u16 {
        let port = self.running.bound.http.port();
        let response = self.client.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
        let status = response.status().as_u16();
        response.bytes().await.unwrap();
        status
    }

    /// Fetches the beginning of a file and goes away.
    async fn get_part(&self, path: &str) {
        let port = self.running.bound.http.port();
        let mut response = self.client.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
    }

    async fn script(&self) -> u16 {
        self.get(&format!("/boot/{NODE}.ipxe")).await
    }

    /// From BIOS to iPXE with a script.
    async fn up_to_script(&mut self) {
        self.lease(BIOS, false).await;
        assert!(self.tftp("undionly.kpxe").await);
        self.lease(BIOS, true).await;
        assert_eq!(self.script().await, 200);
    }

    /// Waits until something was seen.
    async fn until(&self, seen: impl Fn(&BootEventKind) -> bool) {
        let wait = async {
            while !self.lab.seen.lock().unwrap().iter().any(|event| seen(&event.kind)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap();
    }

    /// Stops the servers and judges what they saw since the machine was switched on.
    async fn judge(self) -> Judgement {
        self.stop.cancel();
        drop(self.client);
        tokio::time::timeout(Duration::from_secs(30), self.running.join()).await.unwrap();
        drop(self.directory);
        let seen = std::mem::take(&mut *self.lab.seen.lock().unwrap());
        let first = seen.first().map_or_else(Timestamp::now, |event| event.at);
        let power_on = Told::machine(BootEventKind::PowerOn { intent: BootIntent::Ramdisk });
        let mut rest = vec![(Timestamp::from_micros(first.as_micros() - 1), power_on)];
        rest.extend(
            seen.into_iter()
                .filter(|event| event.node == Some(Uuid::max()))
                .map(|event| (event.at, Told { mac: Some(event.mac), kind: event.kind })),
        );
        verdict(rest)
    }

    async fn fails_with(self, code: ErrorCode, words: &str) {
        let judgement = self.judge().await;
        let diagnosis = judgement.diagnosis.unwrap_or_else(|| panic!("{}", judgement.summary));
        assert_eq!(diagnosis.code, code, "{}", diagnosis.sentence);
        assert!(diagnosis.sentence.contains(words), "{}", diagnosis.sentence);
        assert!(!diagnosis.next_step.is_empty());
    }
}

/// As the recorder keeps it, and read again.
fn verdict(told: Vec<(Timestamp, Told)>) -> Judgement {
    let mut tail = Tail::default();
    let mut kept: Vec<Entry> = Vec::new();
    for (at, told) in told {
        let text = serde_json::to_string(&told).unwrap();
        let entry = tail.take(serde_json::from_str(&text).unwrap(), at);
        match kept.iter_mut().find(|known| known.at == entry.at) {
            Some(known) => *known = entry,
            None => kept.push(entry),
        }
    }
    judge(attempts(&kept).last().unwrap(), HEARS)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_heard() {
    Site::new().await.fails_with(ErrorCode::BootSilent, "nothing was heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_nobody_knows_is_seen_without_a_node() {
    let site = Site::new().await;
    let mut discover = Site::packet(MessageType::Discover, OTHER, UEFI);
    discover.options.set(code::MACHINE_ID, [&[0][..], &[0xab; 16]].concat());
    site.send(&discover).await;
    site.until(|kind| matches!(kind, BootEventKind::Unanswered { .. })).await;
    let seen = site.lab.seen.lock().unwrap();
    assert!(seen.iter().all(|event| event.node.is_none() && event.mac == OTHER));
    let BootEventKind::Discover(asking) = &seen[0].kind else { panic!("{:?}", seen[0]) };
    assert_eq!(asking.machine_id.as_deref(), Some("ab".repeat(16).as_str()));
    assert_eq!((asking.architecture, asking.loader.as_deref()), (Some(7), Some("snponly.efi")));
    assert_eq!(asking.relay, Some(Ipv4Addr::new(127, 0, 0, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offer_is_never_asked_for() {
    let site = Site::new().await;
    site.discover(UEFI, false).await;
    site.discover(UEFI, false).await;
    site.fails_with(ErrorCode::BootOtherDhcp, "never asked for it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_faster() {
    let site = Site::new().await;
    let offer = site.discover(UEFI, false).await;
    let mut request = Site::packet(MessageType::Request, NODE, UEFI);
    request.options.set(code::REQUESTED_ADDRESS, offer.yiaddr.octets());
    request.options.set(code::SERVER_ID, [192, 0, 2, 66]);
    site.send(&request).await;
    site.until(|kind| matches!(kind, BootEventKind::Request { .. })).await;
    site.fails_with(ErrorCode::BootOtherDhcp, "192.0.2.66").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_is_free() {
    let site = Site::with(|options| options.pool = None).await;
    site.send(&Site::packet(MessageType::Discover, NODE, UEFI)).await;
    site.until(|kind| matches!(kind, BootEventKind::Unanswered { .. })).await;
    site.fails_with(ErrorCode::BootNoAddress, "none is free").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relays_network_is_not_configured() {
    let site = Site::new().await;
    let mut discover = Site::packet(MessageType::Discover, NODE, UEFI);
    discover.giaddr = Ipv4Addr::new(192, 0, 2, 1);
    site.send(&discover).await;
    site.until(|kind| matches!(kind, BootEventKind::Unanswered { .. })).await;
    site.fails_with(ErrorCode::BootNoAddress, "relay agent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_used_by_another() {
    let mut site = Site::new().await;
    let ack = site.lease(UEFI, false).await;
    let mut decline = Site::packet(MessageType::Decline, NODE, UEFI);
    decline.options.set(code::REQUESTED_ADDRESS, ack.yiaddr.octets());
    decline.options.set(code::SERVER_ID, [127, 0, 0, 1]);
    site.send(&decline).await;
    site.until(|kind| matches!(kind, BootEventKind::Decline { .. })).await;
    site.fails_with(ErrorCode::BootNoAddress, "is used by another").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_loader_fits_the_firmware() {
    let mut site = Site::new().await;
    site.lease(RISC_V, false).await;
    site.fails_with(ErrorCode::BootFirmware, "RISC-V").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_port_may_not_boot() {
    let mut site = Site::new().await;
    *site.lab.boot.lock().unwrap() = BootTarget::Nothing;
    site.lease(UEFI, false).await;
    site.fails_with(ErrorCode::BootNothing, "nothing to boot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_asked_for() {
    let mut site = Site::new().await;
    site.lease(UEFI, false).await;
    site.fails_with(ErrorCode::BootFileNotAsked, "snponly.efi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tftp_is_aborted_in_the_middle() {
    let mut site = Site::new().await;
    site.lease(UEFI, false).await;
    let (socket, peer) = site.tftp_begin(b"\0\x01snponly.efi\0octet\0").await;
    socket.send_to(b"\0\x04\0\x01", peer).await.unwrap();
    socket.recv_from(&mut [0; 2048]).await.unwrap();
    socket.send_to(b"\0\x05\0\0too slow\0", peer).await.unwrap();
    site.until(|kind| matches!(kind, BootEventKind::TftpError { .. })).await;
    site.fails_with(ErrorCode::BootTransfer, "ended the transfer after 512 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_size_is_asked_for() {
    let mut site = Site::new().await;
    site.lease(UEFI, false).await;
    let (socket, peer) = site.tftp_begin(b"\0\x01snponly.efi\0octet\0tsize\x000\0").await;
    socket.send_to(b"\0\x05\0\x08\0", peer).await.unwrap();
    site.until(|kind| matches!(kind, BootEventKind::TftpError { .. })).await;
    site.fails_with(ErrorCode::BootTransfer, "before its first block").await;
}

/// A firewall lets the request through and drops the data: the server gives up after some thirty seconds.
#[tokio::test(flavor = "multi_thread")]
async fn tftp_times_out() {
    let mut site = Site::new().await;
    site.lease(UEFI, false).await;
    let _silent = site.tftp_begin(b"\0\x01snponly.efi\0octet\0timeout\x001\0").await;
    site.until(|kind| matches!(kind, BootEventKind::TftpError { .. })).await;
    site.fails_with(ErrorCode::BootTransfer, "stopped answering after 0 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_is_not_there() {
    let mut site = Site::new().await;
    site.lease((("PXEClient:Arch:00006:UNDI:003001"), 6), false).await;
    if Path::new("/usr/lib/ipxe/snponly-ia32.efi").exists() {
        return;
    }
    assert!(!site.tftp("snponly-ia32.efi").await);
    site.fails_with(ErrorCode::BootLoaderMissing, "there is no such file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_is_of_another_architecture() {
    let mut site = Site::new().await;
    site.lease(UEFI, false).await;
    assert!(site.tftp("undionly.kpxe").await);
    site.fails_with(ErrorCode::BootWrongLoader, "snponly.efi is what fits").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_never_comes_to_life() {
    let mut site = Site::new().await;
    site.lease(UEFI, false).await;
    assert!(site.tftp("snponly.efi").await);
    site.fails_with(ErrorCode::BootNoScript, "snponly.efi was loaded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_is_never_asked_for() {
    let mut site = Site::new().await;
    site.lease(BIOS, false).await;
    assert!(site.tftp("undionly.kpxe").await);
    site.lease(BIOS, true).await;
    site.fails_with(ErrorCode::BootNoScript, "never asked for the script").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_cannot_be_made() {
    let mut site = Site::new().await;
    site.lease(BIOS, true).await;
    let BootTarget::Ramdisk(mut broken) = ramdisk() else { panic!() };
    broken.kernel_url_path = "/a b".into();
    *site.lab.boot.lock().unwrap() = BootTarget::Ramdisk(broken);
    assert_eq!(site.script().await, 500);
    site.fails_with(ErrorCode::BootScriptRefused, "/a b cannot be fetched").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_is_never_asked_for() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    site.fails_with(ErrorCode::BootKernel, "never asked for the kernel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_is_not_there() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    site.lab.files.lock().unwrap().clear();
    assert_eq!(site.get("/files/vmlinuz").await, 404);
    site.fails_with(ErrorCode::BootKernel, "404").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ramdisk_is_never_asked_for() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    assert_eq!(site.get("/files/vmlinuz").await, 200);
    site.fails_with(ErrorCode::BootRamdisk, "never asked for").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ramdisk_arrives_in_part() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    assert_eq!(site.get("/files/vmlinuz").await, 200);
    // A file: what is in memory is handed to the network in one piece.
    let large = site.directory.path().join("large");
    std::fs::write(&large, vec![3; LARGE]).unwrap();
    site.lab.files.lock().unwrap().insert("initramfs", FileContent::Path(large));
    site.get_part("/files/initramfs").await;
    site.fails_with(ErrorCode::BootRamdisk, &format!("of {LARGE} bytes")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_the_ramdisk() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    assert_eq!((site.get("/files/vmlinuz").await, site.get("/files/initramfs").await), (200, 200));
    site.fails_with(ErrorCode::BootNoLookup, "nothing more was heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ramdisk_has_a_network_but_does_not_call() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    assert_eq!((site.get("/files/vmlinuz").await, site.get("/files/initramfs").await), (200, 200));
    site.lease(("wrought-agent", 0), false).await;
    site.fails_with(ErrorCode::BootNoLookup, "asked for an address").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_over_again_and_again() {
    let mut site = Site::new().await;
    for _ in 0..3 {
        site.up_to_script().await;
        assert_eq!((site.get("/files/vmlinuz").await, site.get("/files/initramfs").await), (200, 200));
    }
    site.lease(BIOS, false).await;
    site.fails_with(ErrorCode::BootLoop, "started over, 3 times").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_boots_its_disk_instead() {
    let mut site = Site::new().await;
    site.lease(("MSFT 5.0", 0), false).await;
    site.fails_with(ErrorCode::BootDisk, "MSFT 5.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_to_boot_its_disk() {
    let mut site = Site::new().await;
    *site.lab.boot.lock().unwrap() = BootTarget::LocalDisk;
    site.lease(UEFI, true).await;
    assert_eq!(site.script().await, 200);
    site.fails_with(ErrorCode::BootDisk, "was told to boot its disk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_under_way_is_told_in_a_sentence() {
    let mut site = Site::new().await;
    site.up_to_script().await;
    site.get("/files/vmlinuz").await;
    let judgement = site.judge().await;
    assert_eq!((judgement.stage, judgement.restarts), (Stage::Kernel, 0));
}
