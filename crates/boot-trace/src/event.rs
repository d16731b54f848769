//! One thing that was seen of a booting machine. Names, paths and texts are the machine's words, checked to be printable
//! and bounded by whoever read them off the wire.

use std::fmt;
use std::net::Ipv4Addr;

use model::{BootIntent, MacAddr};
use serde::{Deserialize, Serialize};

/// Who asks for an address, by its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// In words: the firmware's architecture, `iPXE on …`, or its vendor class.
    pub client: String,
    /// Boot firmware or a boot loader, which wants a boot file; not an operating system.
    pub firmware: bool,
    /// It is iPXE.
    pub ipxe: bool,
    /// Option 93.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<u16>,
    /// The boot loader that fits it; none: there is none for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<String>,
    /// Option 77.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_class: Option<String>,
    /// The relay agent between it and us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
    /// Option 97, the firmware's UUID of the machine, as 32 hexadecimal digits in the order of the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
}

/// Why a request for an address got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// Nobody has enrolled the address.
    NotServed,
    /// It comes from a network that is not configured.
    NoNetwork,
    /// No address is free.
    NoAddress,
    /// A proxy has nothing to tell: no boot file, or no firmware that wants one.
    NothingToBoot,
}

/// What a file is to the machine that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// iPXE itself.
    Loader,
    /// iPXE's script.
    Script,
    /// The kernel of what it is to boot.
    Kernel,
    /// A ramdisk of what it is to boot.
    Ramdisk,
    /// An image to write to its disk.
    Image,
    /// Something else.
    Other,
}

/// How a transfer by TFTP failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TftpFailure {
    /// There is no such file.
    NotFound,
    /// The machine ended it. Firmware does so after it learnt a file's size.
    Aborted,
    /// The machine stopped answering.
    TimedOut,
    /// A fault of ours: the file cannot be read, the socket failed.
    Broken,
}

/// What a boot script says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptTarget {
    /// Load kernel and ramdisks.
    Ramdisk,
    /// Boot the disk.
    LocalDisk,
    /// Leave.
    Nothing,
}

/// Something fetched by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Path.
    pub path: String,
    /// What it is.
    pub role: FileRole,
    /// Status code.
    pub status: u16,
    /// Where the range began that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Bytes of the body that were handed to the network.
    pub bytes: u64,
    /// Bytes that the body has.
    pub of: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

impl Fetch {
    /// Whether all of it was sent, and it was what was asked for.
    pub const fn is_whole(&self) -> bool {
        self.status < 400 && self.bytes >= self.of
    }
}

/// Why an agent's lookup was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupRefusal {
    /// The node is in a state in which no agent is expected.
    State,
    /// The addresses belong to several nodes.
    Ambiguous,
    /// None of the addresses is enrolled; it was recognised by its neighbourhood.
    Unknown,
}

/// Why an agent's heartbeat was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatRefusal {
    /// Its token is missing or is not the one of this boot.
    Token,
    /// It does not serve HTTPS.
    Tls,
    /// Its address or certificate changed in the middle of a boot.
    Changed,
    /// It asks for a version of the API that lacks what it sends.
    Version,
    /// It cannot be read.
    Malformed,
}

/// How a machine of an unknown address is known to be a node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Its firmware tells the same UUID of the machine.
    MachineId,
    /// Its address is next to that of a port: another socket of the same card, as a rule.
    Neighbour,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum BootEventKind {
    /// The service is about to switch it on.
    PowerOn {
        /// What it is meant to boot.
        intent: BootIntent,
    },
    /// It looks for DHCP servers.
    Discover(Asking),
    /// It was offered an address (none by a proxy) and a boot file.
    Offer {
        /// The address.
        address: Option<Ipv4Addr>,
        /// File name or URL.
        file: Option<String>,
    },
    /// It asks for an address.
    Request {
        /// Who asks.
        #[serde(flatten)]
        asking: Asking,
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
    Release {
        /// The address.
        address: Ipv4Addr,
    },
    /// It found its address in use by somebody else.
    Decline {
        /// The address.
        address: Ipv4Addr,
    },
    /// It got no answer.
    Unanswered {
        /// Why.
        reason: Unanswered,
    },
    /// A machine of an unknown address asks, and it seems to be this node.
    OtherPort {
        /// How that is known.
        relation: Relation,
        /// Who it says it is.
        client: String,
    },
    /// It asks for a file by TFTP.
    TftpStart {
        /// Name.
        file: String,
        /// What it is.
        role: FileRole,
        /// Size.
        of: u64,
    },
    /// It has the whole file.
    TftpDone {
        /// Name.
        file: String,
        /// What it is.
        role: FileRole,
        /// Size.
        bytes: u64,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// It does not have the file.
    TftpError {
        /// Name.
        file: String,
        /// What it is.
        role: FileRole,
        /// Bytes that it acknowledged.
        bytes: u64,
        /// How long it took, in milliseconds.
        millis: u64,
        /// How.
        failure: TftpFailure,
        /// In words.
        error: String,
    },
    /// It fetched its script.
    Script {
        /// What it says.
        target: ScriptTarget,
    },
    /// A script could not be made.
    ScriptError {
        /// Why.
        error: String,
    },
    /// It fetched something by HTTP: when the last byte was handed to the network, or it went away.
    HttpGet(Fetch),
    /// Its agent asked who it is, and was told.
    Lookup,
    /// Its agent asked who it is, and was not told.
    LookupRefused {
        /// Why.
        reason: LookupRefusal,
        /// In words.
        error: String,
    },
    /// Its agent called.
    Heartbeat {
        /// The agent's version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Its agent called, and was refused.
    HeartbeatRefused {
        /// Why.
        reason: HeartbeatRefusal,
        /// In words.
        error: String,
    },
}

impl BootEventKind {
    /// Its name, as on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PowerOn { .. } => "power_on",
            Self::Discover(_) => "discover",
            Self::Offer { .. } => "offer",
            Self::Request { .. } => "request",
            Self::Ack { .. } => "ack",
            Self::Nak => "nak",
            Self::Release { .. } => "release",
            Self::Decline { .. } => "decline",
            Self::Unanswered { .. } => "unanswered",
            Self::OtherPort { .. } => "other_port",
            Self::TftpStart { .. } => "tftp_start",
            Self::TftpDone { .. } => "tftp_done",
            Self::TftpError { .. } => "tftp_error",
            Self::Script { .. } => "script",
            Self::ScriptError { .. } => "script_error",
            Self::HttpGet(_) => "http_get",
            Self::Lookup => "lookup",
            Self::LookupRefused { .. } => "lookup_refused",
            Self::Heartbeat { .. } => "heartbeat",
            Self::HeartbeatRefused { .. } => "heartbeat_refused",
        }
    }
}

/// What was seen, and of which interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The interface, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "mac_text")]
    pub mac: Option<MacAddr>,
    /// What.
    #[serde(flatten)]
    pub kind: BootEventKind,
}

impl Told {
    /// Something that concerns the whole machine.
    pub const fn machine(kind: BootEventKind) -> Self {
        Self { mac: None, kind }
    }
}

/// Addresses as the text that people know.
mod mac_text {
    use model::MacAddr;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(mac: &Option<MacAddr>, to: S) -> Result<S::Ok, S::Error> {
        match mac {
            Some(mac) => to.collect_str(mac),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MacAddr>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotServed => "comes from a machine that is not served here",
            Self::NoNetwork => "comes from a network that is not configured here",
            Self::NoAddress => "finds no free address",
            Self::NothingToBoot => "has nothing to boot",
        })
    }
}

impl fmt::Display for ScriptTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ramdisk => "ramdisk",
            Self::LocalDisk => "local disk",
            Self::Nothing => "nothing",
        })
    }
}

/// For the log.
impl fmt::Display for BootEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address =
            |address: &Option<Ipv4Addr>| address.map_or_else(|| "no address".into(), |a| a.to_string());
        let named = |file: &Option<String>| file.clone().unwrap_or_else(|| "no boot file".into());
        match self {
            Self::PowerOn { intent } => write!(f, "power on to boot {}", intent.as_str()),
            Self::Discover(asking) => write!(f, "DHCP discover by {}", asking.client),
            Self::Offer { address: a, file } => write!(f, "DHCP offer of {}, {}", address(a), named(file)),
            Self::Request { address: a, other_server: None, .. } => {
                write!(f, "DHCP request of {}", address(a))
            }
            Self::Request { address: a, other_server: Some(server), .. } => {
                write!(f, "DHCP request of {} from the other server {server}", address(a))
            }
            Self::Ack { address: a, file } => {
                write!(f, "DHCP acknowledgement of {}, {}", address(a), named(file))
            }
            Self::Nak => f.write_str("DHCP refusal"),
            Self::Release { address } => write!(f, "DHCP release of {address}"),
            Self::Decline { address } => write!(f, "{address} is in use by another machine"),
            Self::Unanswered { reason } => write!(f, "no answer: the request {reason}"),
            Self::OtherPort { client, .. } => write!(f, "{client} asks by a port that is not enrolled"),
            Self::TftpStart { file, of, .. } => write!(f, "TFTP {file} begins, {of} bytes"),
            Self::TftpDone { file, bytes, .. } => write!(f, "TFTP {file} done, {bytes} bytes"),
            Self::TftpError { file, error, .. } => write!(f, "TFTP {file} failed: {error}"),
            Self::Script { target } => write!(f, "boot script: {target}"),
            Self::ScriptError { error } => write!(f, "no boot script: {error}"),
            Self::HttpGet(Fetch { path, status, bytes, of, .. }) if bytes < of => {
                write!(f, "HTTP {path} {status}, {bytes} of {of} bytes")
            }
            Self::HttpGet(Fetch { path, status, bytes, .. }) => {
                write!(f, "HTTP {path} {status}, {bytes} bytes")
            }
            Self::Lookup => f.write_str("agent's lookup"),
            Self::LookupRefused { error, .. } => write!(f, "agent's lookup refused: {error}"),
            Self::Heartbeat { .. } => f.write_str("agent's heartbeat"),
            Self::HeartbeatRefused { error, .. } => write!(f, "agent's heartbeat refused: {error}"),
        }
    }
}
