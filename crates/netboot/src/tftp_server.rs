//! The TFTP server's sockets: one to listen, one for each transfer.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use boot_trace::{BootEventKind, FileRole, TftpFailure};
use bytes::Bytes;
use tftp::{Content, Ended, ErrorCode, Limits, Packet, ReadRequest, Transfer};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::loader::Loaders;
use crate::service::Shared;
use crate::source::{Area, FileContent, HostBoot};

/// Transfers at once, in all and from one address.
const MOST_TRANSFERS: usize = 512;
const MOST_PER_CLIENT: usize = 8;
/// No transfer takes longer, however alive its client is.
const LONGEST_TRANSFER: Duration = Duration::from_mins(30);

/// Serves until told to stop; transfers that run then are cut off.
pub(crate) async fn run(socket: UdpSocket, shared: Arc<Shared>, stop: CancellationToken) {
    let mut transfers: JoinSet<SocketAddr> = JoinSet::new();
    let mut clients: HashSet<SocketAddr> = HashSet::new();
    let mut buffer = vec![0; 2048];
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = transfers.join_next() => match ended {
                Ok(client) => {
                    clients.remove(&client);
                }
                Err(error) => {
                    // Whose it was is not known any more: forget all, at worst a repeated request starts a second transfer.
                    tracing::error!(%error, "a TFTP transfer failed");
                    clients.clear();
                }
            },
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, client)) => {
                    let request = match ReadRequest::decode(&buffer[..length]) {
                        Ok(request) => request,
                        Err(refusal) => {
                            tracing::debug!(%client, %refusal, "no TFTP transfer");
                            if let Some(answer) = refusal.answer() {
                                send(&socket, &answer, client).await;
                            }
                            continue;
                        }
                    };
                    // A request again, because our first packet is late.
                    if clients.contains(&client) {
                        continue;
                    }
                    if let Some(reason) = too_many(&clients, client.ip()) {
                        tracing::warn!(%client, reason, "no TFTP transfer");
                        let text = reason.to_owned();
                        send(&socket, &Packet::Error { code: ErrorCode::Undefined, text }.encode(), client).await;
                        continue;
                    }
                    clients.insert(client);
                    let local = socket.local_addr().map_or(IpAddr::V4(shared.server), |address| address.ip());
                    let shared = Arc::clone(&shared);
                    transfers.spawn(async move {
                        serve_one(&shared, local, client, &request).await;
                        client
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "receiving TFTP requests failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    transfers.shutdown().await;
}

async fn send(socket: &UdpSocket, bytes: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(bytes, client).await {
        tracing::debug!(%client, %error, "sending a TFTP error failed");
    }
}

fn too_many(clients: &HashSet<SocketAddr>, address: IpAddr) -> Option<&'static str> {
    if clients.len() >= MOST_TRANSFERS {
        Some("too many transfers")
    } else if clients.iter().filter(|client| client.ip() == address).count() >= MOST_PER_CLIENT {
        Some("too many transfers of this client")
    } else {
        None
    }
}

/// A file that is open for reading.
enum Opened {
    File(File, u64),
    Bytes(Bytes),
}

impl Content for Opened {
    fn size(&self) -> u64 {
        match self {
            Self::File(_, size) => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Reads a block inline: it comes from the page cache, but for the first one that the kernel reads ahead from.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.read_exact_at(buffer, offset),
            Self::Bytes(bytes) => bytes[..].read_at(offset, buffer),
        }
    }
}

/// What a client asks for, open, and what it is if that does not depend on the client.
fn open(shared: &Shared, name: &str, client: IpAddr) -> Option<(Opened, Option<FileRole>)> {
    let regular = |file: File| {
        let metadata = file.metadata().ok()?;
        metadata.is_file().then(|| Opened::File(file, metadata.len()))
    };
    if let Some(loader) = shared.loaders.open(name) {
        return Some((regular(loader)?, Some(FileRole::Loader)));
    }
    let opened = match shared.files.open(Area::Files, name, client)?.content {
        FileContent::Path(path) => regular(File::open(path).ok()?),
        FileContent::File(file) => regular(file.try_clone().ok()?),
        FileContent::Bytes(bytes) => Some(Opened::Bytes(bytes)),
    };
    Some((opened?, None))
}

async fn serve_one(shared: &Arc<Shared>, local: IpAddr, client: SocketAddr, request: &ReadRequest) {
    let began = Instant::now();
    let millis = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let file = request.name.as_str().to_owned();
    let role_of = |known: Option<FileRole>, host: Option<&HostBoot>| {
        let by_host = || host.map_or(FileRole::Other, |host| host.role_of(&format!("/files/{file}")));
        known.unwrap_or_else(by_host)
    };
    let failed = |known: Option<FileRole>, bytes: u64, (failure, error): (TftpFailure, String)| {
        shared.record_from(client.ip(), |host| {
            let role = role_of(known, host);
            BootEventKind::TftpError { file: file.clone(), role, bytes, millis: millis(), failure, error }
        });
    };
    let socket = match connect(local, client).await {
        Ok(socket) => socket,
        Err(error) => return failed(None, 0, (TftpFailure::Broken, error.to_string())),
    };
    let (opener, wanted) = (Arc::clone(shared), file.clone());
    let opened = tokio::task::spawn_blocking(move || open(&opener, &wanted, client.ip())).await;
    let Some((content, known)) = opened.ok().flatten() else {
        let text = "file not found".to_owned();
        let _ = socket.send(&Packet::Error { code: ErrorCode::NotFound, text: text.clone() }.encode()).await;
        let known = Loaders::knows(&file).then_some(FileRole::Loader);
        return failed(known, 0, (TftpFailure::NotFound, text));
    };
    let of = content.size();
    shared.record_from(client.ip(), |host| BootEventKind::TftpStart {
        file: file.clone(),
        role: role_of(known, host),
        of,
    });
    let mut sent = 0;
    let ended = tokio::time::timeout(LONGEST_TRANSFER, transfer(&socket, &content, request, &mut sent)).await;
    let failure = match ended {
        Ok(Ok(Ended::Complete)) => {
            return shared.record_from(client.ip(), |host| {
                let role = role_of(known, host);
                BootEventKind::TftpDone { file: file.clone(), role, bytes: of, millis: millis() }
            });
        }
        Ok(Ok(Ended::Aborted { code, text })) => {
            (TftpFailure::Aborted, format!("the client ended it: {code:?} {text}"))
        }
        Ok(Ok(Ended::TimedOut)) => (TftpFailure::TimedOut, "the client stopped answering".into()),
        Ok(Ok(Ended::ReadFailed(kind))) => (TftpFailure::Broken, format!("the file cannot be read: {kind}")),
        Ok(Err(error)) => (TftpFailure::Broken, error.to_string()),
        Err(_) => (TftpFailure::TimedOut, "it took more than half an hour".into()),
    };
    failed(known, sent, failure);
}

/// The transfer's own port, deaf to all but its client.
async fn connect(local: IpAddr, client: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(client).await?;
    Ok(socket)
}

/// Carries a transfer out; `sent` is kept at the bytes that the client has acknowledged.
async fn transfer(
    socket: &UdpSocket,
    content: &Opened,
    request: &ReadRequest,
    sent: &mut u64,
) -> io::Result<Ended> {
    let started = Instant::now();
    let mut transfer = Transfer::new(Duration::ZERO, request, content.size(), Limits::default());
    let mut buffer = [0; 1024];
    loop {
        while let Some(packet) = transfer.poll_transmit(content) {
            socket.send(&packet).await?;
        }
        if let Some(ended) = transfer.ended() {
            return Ok(ended.clone());
        }
        let Some(deadline) = transfer.poll_timeout() else { return Ok(Ended::TimedOut) };
        match tokio::time::timeout_at(started + deadline, socket.recv(&mut buffer)).await {
            Ok(length) => transfer.handle(started.elapsed(), &buffer[..length?]),
            Err(_) => transfer.handle_timeout(started.elapsed()),
        }
        *sent = transfer.acknowledged_bytes();
    }
}
