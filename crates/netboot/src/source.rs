//! What network boot asks of the rest of the system, and what it tells it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ipxe::KernelCmdline;
use model::{MacAddr, Timestamp};
use uuid::Uuid;

/// Who may boot what. Asked for every packet, so both calls must be cheap and never block: a map in memory, a channel.
pub trait BootSource: Send + Sync + 'static {
    /// The machine that has this interface; none: it is not served (see [`crate::Options::answer_unknown`]).
    fn host(&self, mac: MacAddr) -> Option<HostBoot>;

    /// Something that a machine did. Called in order for one machine's packets of one protocol.
    fn record(&self, event: BootEvent);
}

/// A machine, as far as booting goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBoot {
    /// The node; nil for a machine that is none yet and boots a ramdisk to become one.
    pub node: Uuid,
    /// The address reserved for the interface that asks. None: one of the pool.
    pub address: Option<Ipv4Addr>,
    /// What it boots now.
    pub boot: BootTarget,
}

/// What a machine boots when it asks the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootTarget {
    /// A kernel with ramdisks.
    Ramdisk(RamdiskBoot),
    /// Its local disk: boot loaders are told to leave, firmware is offered no file.
    LocalDisk,
    /// An address, but nothing to boot.
    Nothing,
}

/// A kernel and its ramdisks. Paths are those of this service's HTTP server (`/files/…`, `/images/…`), or whole URLs
/// (`http://…`) of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RamdiskBoot {
    /// The kernel.
    pub kernel_url_path: String,
    /// Ramdisks, in order.
    pub initrd_url_paths: Vec<String>,
    /// Kernel parameters; `initrd=` and `BOOTIF=` are added.
    pub cmdline: KernelCmdline,
}

/// One thing that a machine did while it booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEvent {
    /// The interface.
    pub mac: MacAddr,
    /// Its node, if it has one.
    pub node: Option<Uuid>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: BootEventKind,
}

/// What a machine did. Names and paths are the client's words, checked to be printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootEventKind {
    /// It looks for DHCP servers.
    Discover {
        /// Who it says it is: firmware architecture, `iPXE`, or its vendor class.
        client: String,
    },
    /// It was offered an address (none by a proxy) and a boot file.
    Offer {
        /// The address.
        address: Option<Ipv4Addr>,
        /// File name or URL.
        file: Option<String>,
    },
    /// It asks for an address.
    Request {
        /// The address.
        address: Option<Ipv4Addr>,
        /// Another DHCP server's address, when it took that one's offer.
        other_server: Option<Ipv4Addr>,
    },
    /// It was granted.
    Ack {
        /// The address.
        address: Option<Ipv4Addr>,
        /// File name or URL.
        file: Option<String>,
    },
    /// It was refused an address.
    Nak,
    /// It gave its address back.
    Release(Ipv4Addr),
    /// It found its address in use by somebody else.
    Decline(Ipv4Addr),
    /// It got no answer, for this reason.
    Unanswered(&'static str),
    /// It asks for a file by TFTP.
    TftpStart {
        /// Name.
        file: String,
        /// Size.
        bytes: u64,
    },
    /// It has the whole file.
    TftpDone {
        /// Name.
        file: String,
        /// Size.
        bytes: u64,
    },
    /// It does not have the file.
    TftpError {
        /// Name.
        file: String,
        /// Why.
        error: String,
    },
    /// It fetched its script.
    Script {
        /// What it says: `ramdisk`, `local disk`, `nothing`.
        target: &'static str,
    },
    /// A script could not be made.
    ScriptError(String),
    /// It fetched something by HTTP: when the last byte was handed to the network, or it went away.
    HttpGet {
        /// Path.
        path: String,
        /// Status code.
        status: u16,
        /// Bytes of the body that were sent.
        bytes: u64,
    },
}

impl fmt::Display for BootEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address =
            |address: &Option<Ipv4Addr>| address.map_or_else(|| "no address".into(), |a| a.to_string());
        let file = |file: &Option<String>| file.clone().unwrap_or_else(|| "no boot file".into());
        match self {
            Self::Discover { client } => write!(f, "DHCP discover by {client}"),
            Self::Offer { address: a, file: b } => write!(f, "DHCP offer of {}, {}", address(a), file(b)),
            Self::Request { address: a, other_server: None } => write!(f, "DHCP request of {}", address(a)),
            Self::Request { address: a, other_server: Some(server) } => {
                write!(f, "DHCP request of {} from the other server {server}", address(a))
            }
            Self::Ack { address: a, file: b } => {
                write!(f, "DHCP acknowledgement of {}, {}", address(a), file(b))
            }
            Self::Nak => f.write_str("DHCP refusal"),
            Self::Release(address) => write!(f, "DHCP release of {address}"),
            Self::Decline(address) => write!(f, "{address} is in use by another machine"),
            Self::Unanswered(reason) => write!(f, "no answer: the request {reason}"),
            Self::TftpStart { file, bytes } => write!(f, "TFTP {file} begins, {bytes} bytes"),
            Self::TftpDone { file, bytes } => write!(f, "TFTP {file} done, {bytes} bytes"),
            Self::TftpError { file, error } => write!(f, "TFTP {file} failed: {error}"),
            Self::Script { target } => write!(f, "boot script: {target}"),
            Self::ScriptError(error) => write!(f, "no boot script: {error}"),
            Self::HttpGet { path, status, bytes } => write!(f, "HTTP {path} {status}, {bytes} bytes"),
        }
    }
}

/// Which part of the HTTP server's names a file is sought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Area {
    /// `/files/…` and TFTP: kernels and ramdisks.
    Files,
    /// `/images/…`: images to write to disks.
    Images,
}

/// Where files come from. May touch the disk: called off the reactor.
pub trait FileSource: Send + Sync + 'static {
    /// The file of this name: relative, plain components, no `..`, nothing hidden. `client` is who asks.
    fn open(&self, area: Area, name: &str, client: IpAddr) -> Option<ServedFile>;
}

/// A file to serve.
#[derive(Debug, Clone)]
pub struct ServedFile {
    /// Its bytes.
    pub content: FileContent,
    /// Strong entity tag without quotes: a hash, say. None: made of inode, size and time of change.
    pub etag: Option<String>,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum FileContent {
    /// In this file, which must not shrink while it is served.
    Path(PathBuf),
    /// In this open file, likewise.
    File(Arc<std::fs::File>),
    /// Here.
    Bytes(Bytes),
}
