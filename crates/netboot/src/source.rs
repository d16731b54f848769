//! What network boot asks of the rest of the system, and what it tells it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use boot_trace::{BootEventKind, FileRole};
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

impl HostBoot {
    /// What the file at `path` of the HTTP server is to this machine, as far as what it boots says.
    pub(crate) fn role_of(&self, path: &str) -> FileRole {
        match &self.boot {
            BootTarget::Ramdisk(ramdisk) if ramdisk.kernel_url_path == path => FileRole::Kernel,
            BootTarget::Ramdisk(ramdisk) if ramdisk.initrd_url_paths.iter().any(|known| known == path) => {
                FileRole::Ramdisk
            }
            _ => FileRole::Other,
        }
    }
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
