//! The running service, asked by clients that are not ours: reqwest for HTTP, `tftp-hpa` and busybox for TFTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::MacAddr;
use netboot::{
    Area, BootEvent, BootEventKind, BootSource, BootTarget, Directory, FileContent, FileSource, HostBoot,
    Options, RamdiskBoot, Running, ServedFile,
};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const RAMDISK: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const DISK: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 2]);
const BROKEN: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 3]);

#[derive(Default)]
struct Source {
    hosts: HashMap<MacAddr, BootTarget>,
    events: Mutex<Vec<BootEvent>>,
}

impl BootSource for Source {
    fn host(&self, mac: MacAddr) -> Option<HostBoot> {
        Some(HostBoot { node: Uuid::max(), address: None, boot: self.hosts.get(&mac)?.clone() })
    }

    fn record(&self, event: BootEvent) {
        self.events.lock().unwrap().push(event);
    }
}

/// A directory, and one image in memory with a tag of its own.
struct Files(Directory);

impl FileSource for Files {
    fn open(&self, area: Area, name: &str, client: IpAddr) -> Option<ServedFile> {
        if (area, name) == (Area::Images, "in-memory") {
            let content = FileContent::Bytes(Bytes::from_static(b"0123456789"));
            return Some(ServedFile { content, etag: Some("tag".into()) });
        }
        self.0.open(area, name, client)
    }
}

struct Fixture {
    running: Running,
    source: Arc<Source>,
    stop: CancellationToken,
    directory: TempDir,
    client: reqwest::Client,
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("files/vmlinuz", pattern(3_000_001)),
            ("files/sub/a b.txt", b"spaces".to_vec()),
            ("files/empty", vec![]),
            ("secret", b"secret".to_vec()),
            ("ipxe/snponly.efi", b"MZ loader".to_vec()),
        ] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::os::unix::fs::symlink("../secret", directory.path().join("files/out")).unwrap();
        std::os::unix::fs::symlink("vmlinuz", directory.path().join("files/in")).unwrap();
        let ramdisk = |kernel: &str| {
            BootTarget::Ramdisk(RamdiskBoot {
                kernel_url_path: kernel.into(),
                initrd_url_paths: vec!["/files/initrd".into(), "http://192.0.2.9/extra".into()],
                cmdline: "quiet token=abc".parse().unwrap(),
            })
        };
        let hosts =
            [(RAMDISK, ramdisk("/files/vmlinuz")), (DISK, BootTarget::LocalDisk), (BROKEN, ramdisk("/a b"))];
        let source = Arc::new(Source { hosts: hosts.into(), ..Source::default() });
        let files = Files(Directory::open(Some(&directory.path().join("files")), None).unwrap());
        let options = Options {
            http_listen: Some("127.0.0.1:0".parse().unwrap()),
            tftp_listen: Some("127.0.0.1:0".parse().unwrap()),
            ipxe_dir: Some(directory.path().join("ipxe")),
            ..Options::new(Ipv4Addr::LOCALHOST)
        };
        let stop = CancellationToken::new();
        let running = netboot::serve(options, source.clone(), Arc::new(files), stop.clone()).await.unwrap();
        // An error means that another test was first. No test here uses TLS, but the client wants a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, source, stop, directory, client }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Bytes) {
        let mut request = self.client.request(method, format!("http://{}{path}", self.running.bound.http));
        for (name, value) in headers {
            request = request.header(name.parse::<HeaderName>().unwrap(), *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, response.bytes().await.unwrap())
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Bytes) {
        self.ask(Method::GET, path, headers).await
    }

    /// Stops the service and gives what it recorded.
    async fn finish(self) -> Vec<BootEvent> {
        self.stop.cancel();
        drop(self.client);
        tokio::time::timeout(Duration::from_secs(30), self.running.join()).await.unwrap();
        std::mem::take(&mut *self.source.events.lock().unwrap())
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().unwrap())
}

#[tokio::test]
async fn files_whole_and_in_parts() {
    let fixture = Fixture::new().await;
    let content = pattern(3_000_001);
    let (status, headers, body) = fixture.get("/files/vmlinuz", &[]).await;
    assert_eq!((status, header(&headers, "content-length")), (StatusCode::OK, Some("3000001")));
    assert_eq!(header(&headers, "accept-ranges"), Some("bytes"));
    assert!(body == content);
    let etag = header(&headers, "etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "strong: {etag}");

    let (status, headers, body) =
        fixture.ask(Method::HEAD, "/files/vmlinuz", &[("range", "bytes=0-1")]).await;
    assert_eq!(
        (status, header(&headers, "content-length"), body.len()),
        (StatusCode::OK, Some("3000001"), 0)
    );

    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=1048570-2097160", 1_048_570..2_097_161),
        ("bytes=-5", 2_999_996..3_000_001),
    ] {
        let (status, headers, body) =
            fixture.get("/files/vmlinuz", &[("range", range), ("if-range", &etag)]).await;
        let text = format!("bytes {}-{}/3000001", expected.start, expected.end - 1);
        assert_eq!(
            (status, header(&headers, "content-range")),
            (StatusCode::PARTIAL_CONTENT, Some(text.as_str()))
        );
        assert!(body == content[expected]);
    }
    for range in ["bytes=3000001-", "bytes=0-1,5-6"] {
        let (status, headers, _) = fixture.get("/files/vmlinuz", &[("range", range)]).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(header(&headers, "content-range"), Some("bytes */3000001"));
    }
    let (status, _, body) =
        fixture.get("/files/vmlinuz", &[("range", "bytes=0-0"), ("if-range", "\"old\"")]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 3_000_001));
    let (status, _, body) = fixture.get("/files/vmlinuz", &[("if-none-match", &etag)]).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));

    // Another version of the file has another tag.
    std::fs::write(fixture.directory.path().join("files/vmlinuz"), b"other").unwrap();
    let (_, headers, _) = fixture.get("/files/vmlinuz", &[]).await;
    assert_ne!(header(&headers, "etag"), Some(etag.as_str()));
    let (status, headers, body) = fixture.get("/files/empty", &[]).await;
    assert_eq!((status, header(&headers, "content-length"), body.len()), (StatusCode::OK, Some("0"), 0));
    assert_eq!(fixture.get("/files/sub/a%20b.txt", &[]).await.2, "spaces");
    assert!(fixture.get("/files/in", &[]).await.0 == StatusCode::OK, "a link within the directory");
    fixture.finish().await;
}

#[tokio::test]
async fn a_source_gives_bytes_and_tags() {
    let fixture = Fixture::new().await;
    let (status, headers, body) = fixture.get("/images/in-memory", &[("range", "bytes=2-4")]).await;
    assert_eq!(
        (status, header(&headers, "etag"), &body[..]),
        (StatusCode::PARTIAL_CONTENT, Some("\"tag\""), &b"234"[..])
    );
    assert_eq!(fixture.get("/images/other", &[]).await.0, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get("/ipxe/snponly.efi", &[]).await.2, "MZ loader");
    assert_eq!(fixture.get("/ipxe/other.efi", &[]).await.0, StatusCode::NOT_FOUND);
    let (status, headers, _) = fixture.ask(Method::POST, "/files/vmlinuz", &[]).await;
    assert_eq!((status, header(&headers, "allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD")));
    fixture.finish().await;
}

/// A request as it is written, without a client library that would mend the path.
async fn raw(fixture: &Fixture, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(fixture.running.bound.http).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn nothing_outside_is_reachable() {
    let fixture = Fixture::new().await;
    for path in [
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/sub/../../secret",
        "/files//../secret",
        "/files/out",
        "/files/.",
        "/files/sub",
        "/files/sub/",
        "/../secret",
        "//secret",
        "/files/%2Fetc/passwd",
        "/files/in/../out",
        "/ipxe/../files/vmlinuz",
        "/files/vmlinuz%00",
        "/boot/../files/vmlinuz",
    ] {
        let answer =
            raw(&fixture, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(!answer.contains("secret"), "{path}");
    }
    fixture.finish().await;
}

#[tokio::test]
async fn scripts_are_made_when_asked_for() {
    let fixture = Fixture::new().await;
    let http = fixture.running.bound.http;
    let (status, _, body) = fixture.get("/boot/52%3A54%3A00%3A00%3A00%3A01.ipxe", &[]).await;
    let script = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(script.starts_with("#!ipxe\n"));
    for line in [
        &format!(
            "kernel --name kernel http://{http}/files/vmlinuz quiet token=abc initrd=initrd initrd=initrd1 BOOTIF=${{mac}} || goto failed"
        ),
        &format!("initrd --name initrd http://{http}/files/initrd || goto failed"),
        "initrd --name initrd1 http://192.0.2.9/extra || goto failed",
        &format!("chain --replace http://{http}/boot/52:54:00:00:00:01.ipxe ||"),
    ] {
        assert!(script.lines().any(|found| found == line), "{line}\n{script}");
    }
    assert!(
        fixture.get("/boot/52:54:00:00:00:02.ipxe", &[]).await.2.starts_with(b"#!ipxe\niseq ${platform} efi")
    );
    assert_eq!(fixture.get("/boot/52:54:00:00:00:03.ipxe", &[]).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(fixture.get("/boot/52:54:00:00:00:04.ipxe", &[]).await.0, StatusCode::NOT_FOUND);
    let events = fixture.finish().await;
    let texts: Vec<_> = events.iter().map(|event| (event.mac, event.kind.to_string())).collect();
    let length = script.len();
    assert_eq!(texts[0], (RAMDISK, "boot script: ramdisk".into()));
    assert_eq!(
        texts[1],
        (RAMDISK, format!("HTTP /boot/52%3A54%3A00%3A00%3A00%3A01.ipxe 200, {length} bytes"))
    );
    assert_eq!(texts[2], (DISK, "boot script: local disk".into()));
    assert!(
        texts[4].1.contains("/a b cannot be fetched by iPXE: a URL of a boot file cannot hold ' '"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn an_aborted_download_is_seen_as_such() {
    let fixture = Fixture::new().await;
    fixture.get("/boot/52:54:00:00:00:01.ipxe", &[]).await;
    std::fs::write(fixture.directory.path().join("files/large"), vec![7; 64 << 20]).unwrap();
    let mut response = fixture
        .client
        .get(format!("http://{}/files/large", fixture.running.bound.http))
        .send()
        .await
        .unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let events = fixture.finish().await;
    let large = events.iter().find_map(|event| match &event.kind {
        BootEventKind::HttpGet(fetch) if fetch.path == "/files/large" => Some((fetch.status, fetch.bytes)),
        _ => None,
    });
    let (status, bytes) = large.unwrap();
    assert!(status == 200 && bytes > 0 && bytes < 64 << 20, "{bytes}");
}

/// Runs a TFTP client that is not ours.
async fn run(program: &str, arguments: &[&str], directory: &Path) -> std::process::ExitStatus {
    let child = tokio::process::Command::new(program).args(arguments).current_dir(directory).status();
    tokio::time::timeout(Duration::from_mins(1), child).await.unwrap().unwrap()
}

/// Whether a client is installed: the suite must run where it is not.
fn installed(program: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(program).exists())
}

#[tokio::test]
async fn foreign_tftp_clients_get_files() {
    let fixture = Fixture::new().await;
    let port = fixture.running.bound.tftp.unwrap().port().to_string();
    let content = pattern(3_000_001);
    let target = tempfile::tempdir().unwrap();
    fixture.get("/boot/52:54:00:00:00:01.ipxe", &[]).await;
    let mut expected = Vec::new();
    if installed("tftp") {
        let status =
            run("tftp", &["-m", "binary", "127.0.0.1", &port, "-c", "get", "vmlinuz", "hpa"], target.path())
                .await;
        assert!(status.success());
        assert!(std::fs::read(target.path().join("hpa")).unwrap() == content);
        expected.extend(["TFTP vmlinuz begins, 3000001 bytes", "TFTP vmlinuz done, 3000001 bytes"]);
    }
    if installed("busybox") {
        for (index, block) in ["512", "1468", "8192"].iter().enumerate() {
            let local = format!("bb{index}");
            let server = ["127.0.0.1", &port];
            let arguments = ["tftp", "-g", "-b", block, "-r", "/vmlinuz", "-l", &local, server[0], server[1]];
            assert!(run("busybox", &arguments, target.path()).await.success(), "{block}");
            assert!(std::fs::read(target.path().join(local)).unwrap() == content, "{block}");
            expected.extend(["TFTP vmlinuz begins, 3000001 bytes", "TFTP vmlinuz done, 3000001 bytes"]);
        }
        let missing = ["tftp", "-g", "-r", "missing", "-l", "x", "127.0.0.1", &port];
        assert!(!run("busybox", &missing, target.path()).await.success());
        expected.push("TFTP missing failed: file not found");
    }
    let events = fixture.finish().await;
    let texts: Vec<_> = events
        .iter()
        .filter(|event| event.mac == RAMDISK && event.node == Some(Uuid::max()))
        .map(|event| event.kind.to_string())
        .filter(|text| text.starts_with("TFTP"))
        .collect();
    assert_eq!(texts, expected);
}

/// Our own client over real sockets, with windows, through a loader that is no file of the source.
#[tokio::test]
async fn tftp_windows_over_sockets() {
    use tftp::client::{Fetch, FetchOptions};
    let fixture = Fixture::new().await;
    for (name, expected) in [("snponly.efi", b"MZ loader".to_vec()), ("vmlinuz", pattern(3_000_001))] {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let options =
            FetchOptions { block_size: Some(1432), window_size: Some(8), wants_size: true, limit: 4 << 20 };
        let started = tokio::time::Instant::now();
        let mut fetch = Fetch::new(Duration::ZERO, name, options);
        let mut peer = fixture.running.bound.tftp.unwrap();
        let mut buffer = vec![0; 2048];
        let data = loop {
            while let Some(packet) = fetch.poll_transmit() {
                socket.send_to(&packet, peer).await.unwrap();
            }
            if let Some(result) = fetch.result() {
                break result.unwrap().to_vec();
            }
            let deadline = started + fetch.poll_timeout();
            match tokio::time::timeout_at(deadline, socket.recv_from(&mut buffer)).await {
                Ok(received) => {
                    let (length, from) = received.unwrap();
                    peer = from;
                    fetch.handle(started.elapsed(), &buffer[..length]);
                }
                Err(_) => fetch.handle_timeout(started.elapsed()),
            }
        };
        assert!(data == expected, "{name}");
        assert_eq!(fetch.size(), Some(expected.len() as u64));
    }
    fixture.finish().await;
}

#[tokio::test]
async fn dhcp_needs_an_interface_that_exists() {
    let files = Arc::new(Directory::open(None, None).unwrap());
    let ask = |interface: Option<&str>| {
        let options = Options {
            dhcp: netboot::DhcpMode::Proxy,
            interface: interface.map(str::to_owned),
            http_listen: Some("127.0.0.1:0".parse().unwrap()),
            tftp_listen: Some("127.0.0.1:0".parse().unwrap()),
            ..Options::new(Ipv4Addr::LOCALHOST)
        };
        netboot::serve(options, Arc::new(Source::default()), files.clone(), CancellationToken::new())
    };
    assert!(matches!(ask(None).await, Err(netboot::NetbootError::InterfaceNeeded)));
    assert!(matches!(ask(Some("no-such-if0")).await, Err(netboot::NetbootError::Interface { .. })));
}

#[tokio::test]
async fn transfers_of_one_client_are_limited_and_end_with_the_service() {
    let fixture = Fixture::new().await;
    let server = fixture.running.bound.tftp.unwrap();
    let request = b"\0\x01vmlinuz\0octet\0blksize\x001468\0";
    let mut sockets = Vec::new();
    let mut buffer = [0; 2048];
    let wait = Duration::from_secs(20);
    for _ in 0..8 {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // Asked twice at once: one transfer, one answer.
        socket.send_to(request, server).await.unwrap();
        socket.send_to(request, server).await.unwrap();
        let (length, from) =
            tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(&buffer[..length], b"\0\x06blksize\x001468\0");
        assert_ne!(from.port(), server.port());
        sockets.push(socket);
    }
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(request, server).await.unwrap();
    let (length, from) = tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(&buffer[..length], b"\0\x05\0\0too many transfers of this client\0");
    assert_eq!(from, server);
    // The service stops although eight clients would still be waited for.
    fixture.finish().await;
}

#[tokio::test]
async fn a_download_may_end_after_the_service_was_told_to_stop() {
    let fixture = Fixture::new().await;
    std::fs::write(fixture.directory.path().join("files/large"), pattern(32 << 20)).unwrap();
    let mut response = fixture
        .client
        .get(format!("http://{}/files/large", fixture.running.bound.http))
        .send()
        .await
        .unwrap();
    let mut received = response.chunk().await.unwrap().unwrap().to_vec();
    fixture.stop.cancel();
    while let Some(chunk) = response.chunk().await.unwrap() {
        received.extend_from_slice(&chunk);
    }
    assert!(received == pattern(32 << 20));
    let http = fixture.running.bound.http;
    fixture.finish().await;
    assert!(tokio::net::TcpStream::connect(http).await.is_err(), "nobody listens any more");
}
