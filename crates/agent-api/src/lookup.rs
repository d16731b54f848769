//! `GET /v1/lookup`: the agent asks which node it runs on, and how it shall behave.

use crate::token::AgentToken;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The answer to a lookup (and, from API 1.84, to `continue_inspection`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookupReply {
    /// The node, with secrets masked by the server.
    pub node: LookupNode,
    /// How the agent shall behave. Very old servers leave it out.
    #[serde(default)]
    pub config: LookupConfig,
    /// Where very old servers put the heartbeat timeout, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<u64>,
}

impl LookupReply {
    /// Seconds after which the server takes the agent for dead; 300 when it does not say.
    pub fn timeout_seconds(&self) -> u64 {
        self.config.heartbeat_timeout.or(self.heartbeat_timeout).unwrap_or(DEFAULT_HEARTBEAT_TIMEOUT)
    }
}

/// `[api]ramdisk_heartbeat_timeout` of a server that does not say, in seconds.
pub const DEFAULT_HEARTBEAT_TIMEOUT: u64 = 300;

/// What lookup tells of the node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LookupNode {
    /// The node's UUID.
    pub uuid: String,
    /// The node's `properties`; `root_device` in it chooses the disk.
    #[serde(default, deserialize_with = "object_or_nothing")]
    pub properties: Map<String, Value>,
    /// Masked.
    #[serde(default, deserialize_with = "object_or_nothing")]
    pub instance_info: Map<String, Value>,
    /// Masked, or `{"content": …}` when policy hides it.
    #[serde(default, deserialize_with = "object_or_nothing")]
    pub driver_internal_info: Map<String, Value>,
    /// `[{href, rel}]`.
    #[serde(default)]
    pub links: Value,
}

/// The `config` object of a lookup. Keys that the agent does not use are kept as the JSON they were.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LookupConfig {
    /// Seconds after which the server takes the agent for dead.
    #[serde(default)]
    pub heartbeat_timeout: Option<u64>,
    /// The token, its mask, or nothing below API 1.62.
    #[serde(default)]
    pub agent_token: Option<AgentToken>,
    /// Always true on any server of today.
    #[serde(default)]
    pub agent_token_required: bool,
    /// `{backend, prepend_host, prepend_uuid, prepend_host_reverse, global_prefix}`.
    #[serde(default)]
    pub metrics: Value,
    /// `{statsd_host, statsd_port}`.
    #[serde(default)]
    pub metrics_statsd: Value,
    /// Container settings of the agent.
    #[serde(default)]
    pub agent_containers: Value,
    /// Whether an MD5 checksum of an image may be trusted. A server that does not say means no.
    #[serde(default)]
    pub agent_md5_checksum_enable: bool,
    /// Whether the format of an image is taken on trust.
    #[serde(default)]
    pub disable_deep_image_inspection: bool,
    /// Formats that may be written; empty when the server does not say.
    #[serde(default, deserialize_with = "list_or_text")]
    pub permitted_image_formats: Vec<String>,
    /// True when the conductor knows the BMC's address already.
    #[serde(default)]
    pub agent_skip_bmc_detect: bool,
    /// Whether a boot loader may be installed on BIOS machines.
    #[serde(default)]
    pub enable_bios_bootloader_install: bool,
    /// Lowest TLS version of the agent's server.
    #[serde(default)]
    pub tls_min_version: Option<String>,
    /// Cipher suites of the agent's server.
    #[serde(default)]
    pub tls_cipher_suites: Option<String>,
    /// Wrought's own addition: only a Wrought server sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrought: Option<WroughtConfig>,
}

/// What a Wrought server tells its own agent beyond the common protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WroughtConfig {
    /// Path, below the API's base URL, that takes [`crate::Progress`] reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_path: Option<String>,
}

fn object_or_nothing<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Map<String, Value>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}

fn list_or_text<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    let split = |text: &str| text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
    Ok(match Value::deserialize(source)? {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => split(&text),
        _ => Vec::new(),
    })
}
