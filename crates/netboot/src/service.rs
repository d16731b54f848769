//! Starting and stopping: all sockets are open before anything is served, all tasks are joined at the end.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use boot_trace::BootEventKind;
use model::{MacAddr, Timestamp};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::address_book::AddressBook;
use crate::dhcp_server::{DhcpPorts, DhcpServer};
use crate::loader::Loaders;
use crate::source::{BootEvent, BootSource, FileSource, HostBoot};
use crate::{NetbootError, Options, http, measure, router_advertisement, socket, tftp_server};

/// What all servers share.
pub(crate) struct Shared {
    pub(crate) source: Arc<dyn BootSource>,
    pub(crate) files: Arc<dyn FileSource>,
    pub(crate) loaders: Loaders,
    pub(crate) book: AddressBook,
    /// Where machines reach the HTTP server.
    pub(crate) http: SocketAddrV4,
    pub(crate) server: std::net::Ipv4Addr,
    pub(crate) answer_unknown: bool,
}

impl Shared {
    /// Reports what an interface did; `host` is the machine that has it, if there is one.
    pub(crate) fn record(&self, mac: MacAddr, host: Option<&HostBoot>, kind: BootEventKind) {
        let node = host.map(|host| host.node).filter(|node| !node.is_nil());
        tracing::debug!(%mac, ?node, event = %kind, "boot");
        measure::count(&kind);
        self.source.record(BootEvent { mac, node, at: Timestamp::now(), kind });
    }

    /// Reports what an address did, if it is known whose it is. `kind` is made of the machine that has the address.
    pub(crate) fn record_from(&self, address: IpAddr, kind: impl FnOnce(Option<&HostBoot>) -> BootEventKind) {
        if let Some(mac) = self.book.holder(address) {
            let host = self.source.host(mac);
            self.record(mac, host.as_ref(), kind(host.as_ref()));
        } else {
            tracing::debug!(%address, event = %kind(None), "boot");
        }
    }
}

/// Where the servers listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// HTTP.
    pub http: SocketAddr,
    /// TFTP, where it is served.
    pub tftp: Option<SocketAddr>,
    /// DHCP answers (full or proxy).
    pub dhcp: bool,
    /// Router solicitations are answered. False also where this host has no IPv6.
    pub router_advertisements: bool,
}

/// The running service.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub bound: Bound,
    tasks: JoinSet<()>,
}

impl Running {
    /// Waits until all tasks have ended: after the token given to [`serve`] was cancelled, within the ten seconds that HTTP
    /// transfers have to end.
    pub async fn join(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a network boot task failed");
            }
        }
    }
}

/// Opens all sockets, then serves until `shutdown` is cancelled.
pub async fn serve(
    options: Options,
    source: Arc<dyn BootSource>,
    files: Arc<dyn FileSource>,
    shutdown: CancellationToken,
) -> Result<Running, NetbootError> {
    serve_on(options, DhcpPorts::STANDARD, (source, files), shutdown).await
}

/// Serves files by HTTP alone: beside a conductor whose machines are booted from another host.
pub async fn serve_http(
    options: Options,
    source: Arc<dyn BootSource>,
    files: Arc<dyn FileSource>,
    shutdown: CancellationToken,
) -> Result<Running, NetbootError> {
    let http = HttpListener::open(&options).await?;
    let bound = Bound { http: http.bound, tftp: None, dhcp: false, router_advertisements: false };
    let mut tasks = JoinSet::new();
    tasks.spawn(http::run(http.socket, Arc::new(shared(&options, http.bound, source, files)), shutdown));
    tracing::info!(?bound, "images are served");
    Ok(Running { bound, tasks })
}

struct HttpListener {
    socket: TcpListener,
    bound: SocketAddr,
}

impl HttpListener {
    async fn open(options: &Options) -> Result<Self, NetbootError> {
        let address = listen(options, options.http_listen, 8080);
        let socket = TcpListener::bind(address).await.map_err(failed("HTTP", address))?;
        let bound = socket.local_addr().map_err(failed("HTTP", address))?;
        Ok(Self { socket, bound })
    }
}

fn listen(options: &Options, address: Option<SocketAddr>, port: u16) -> SocketAddr {
    address.unwrap_or_else(|| SocketAddrV4::new(options.server_address, port).into())
}

fn failed(service: &'static str, address: SocketAddr) -> impl FnOnce(std::io::Error) -> NetbootError + Copy {
    move |source| NetbootError::Listen { service, address, source }
}

fn shared(
    options: &Options,
    http: SocketAddr,
    source: Arc<dyn BootSource>,
    files: Arc<dyn FileSource>,
) -> Shared {
    Shared {
        source,
        files,
        loaders: Loaders::new(options.ipxe_dir.as_deref()),
        book: AddressBook::default(),
        http: SocketAddrV4::new(options.server_address, http.port()),
        server: options.server_address,
        answer_unknown: options.answer_unknown,
    }
}

/// As [`serve`], with DHCP on other ports in tests.
pub(crate) async fn serve_on(
    options: Options,
    ports: DhcpPorts,
    (source, files): (Arc<dyn BootSource>, Arc<dyn FileSource>),
    shutdown: CancellationToken,
) -> Result<Running, NetbootError> {
    let http = HttpListener::open(&options).await?;
    let address = listen(&options, options.tftp_listen, 69);
    let tftp_socket = UdpSocket::bind(address).await.map_err(failed("TFTP", address))?;
    let tftp_bound = tftp_socket.local_addr().map_err(failed("TFTP", address))?;

    let shared = Arc::new(shared(&options, http.bound, source, files));
    let dhcp = match options.dhcp_config()? {
        None => None,
        Some(config) => {
            let interface = options.interface.as_deref().ok_or(NetbootError::InterfaceNeeded)?;
            Some(DhcpServer::open(config, interface, ports, Arc::clone(&shared))?)
        }
    };
    let advertiser = match options.interface.as_deref().filter(|_| options.advertises()) {
        None => None,
        Some(interface) => advertiser(interface)?,
    };

    let bound = Bound {
        http: http.bound,
        tftp: Some(tftp_bound),
        dhcp: dhcp.is_some(),
        router_advertisements: advertiser.is_some(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(http::run(http.socket, Arc::clone(&shared), shutdown.clone()));
    tasks.spawn(tftp_server::run(tftp_socket, shared, shutdown.clone()));
    if let Some(dhcp) = dhcp {
        tasks.spawn(dhcp.run(shutdown.clone()));
    }
    if let Some((socket, index)) = advertiser {
        tasks.spawn(router_advertisement::run(socket, index, shutdown));
    }
    tracing::info!(?bound, "network boot is served");
    Ok(Running { bound, tasks })
}

/// Without IPv6 on this host, machines boot all the same, only more slowly: worth a warning, not a failure.
fn advertiser(interface: &str) -> Result<Option<(UdpSocket, u32)>, NetbootError> {
    let index = socket::interface_index(interface)?;
    match socket::icmpv6(interface, index) {
        Ok(socket) => Ok(Some((socket, index))),
        Err(error) => {
            tracing::warn!(interface, %error, "router solicitations stay unanswered: iPXE will wait 16 s at each boot");
            Ok(None)
        }
    }
}
