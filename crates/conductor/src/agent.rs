//! What agents say of themselves: lookup, heartbeat, progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boot_trace::{BootEventKind, HeartbeatRefusal, LookupRefusal, Told};
use conductor_api::{AgentProgress, Heartbeat, Lookup, LookupReply, RequestError};
use db::{NodeKey, PortFilter, PortQuery, Scope};
use model::{JsonObject, MacAddr, Node, NodeUuid, Secret, Timestamp};
use provision::{AGENT_TOKEN, Decision, expects_heartbeat, expects_lookup, give_token, take_heartbeat};
use rand::Rng;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use crate::engine::{Engine, TurnError};
use crate::measure;

/// What stands for a token that is not told a second time.
const MASK: &str = "******";

/// Addresses of an unknown agent that are looked at for the node that it may be.
const STRANGERS: usize = 8;

/// The latest progress of each node at work. In memory only: the next report comes within a second.
#[derive(Debug, Default)]
pub(crate) struct ProgressBoard {
    latest: Mutex<HashMap<NodeUuid, AgentProgress>>,
}

impl ProgressBoard {
    pub(crate) fn put(&self, node: NodeUuid, progress: AgentProgress) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(node, progress);
    }

    pub(crate) fn get(&self, node: NodeUuid) -> Option<AgentProgress> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    pub(crate) fn forget(&self, node: NodeUuid) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }
}

/// Whether `token` is the one that the node's agent was given.
fn token_fits(node: &Node, token: Option<&Secret>) -> Result<(), RequestError> {
    let Some(token) = token else {
        return Err(RequestError::BadToken(
            "The agent token is required for heartbeat processing.".to_owned(),
        ));
    };
    let known = node.driver_internal_info.get_str(AGENT_TOKEN).unwrap_or_default();
    let fits = !known.is_empty() && bool::from(known.as_bytes().ct_eq(token.expose().as_bytes()));
    if fits {
        Ok(())
    } else {
        Err(RequestError::BadToken(
            "The agent token does not match the one given to this node's agent at lookup.".to_owned(),
        ))
    }
}

fn new_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Engine {
    pub(crate) async fn take_heartbeat(
        self: &Arc<Self>,
        uuid: NodeUuid,
        heartbeat: Heartbeat,
    ) -> Result<(), RequestError> {
        let refusal = OnceLock::new();
        let turn = self
            .turn_on(uuid, None, |node, flow, world| {
                token_fits(&node, heartbeat.agent_token.as_ref())
                    .inspect_err(|_| _ = refusal.set(HeartbeatRefusal::Token))?;
                if !expects_heartbeat(node.provision_state, world.policy.fast_track.is_some()) {
                    return Ok(Decision::rest(node, flow));
                }
                let members = self.members_of(&node, &heartbeat, world.now).map_err(|(why, text)| {
                    _ = refusal.set(why);
                    RequestError::Invalid(text)
                })?;
                Ok(take_heartbeat(node, flow, members, world))
            })
            .await;
        let turn = turn.map_err(|error| request_error(uuid, error));
        measure::heard(turn.is_ok());
        match (&turn, refusal.get()) {
            (Ok(_), _) => self.see(uuid, BootEventKind::Heartbeat { version: heartbeat.agent_version }),
            (Err(error), Some(reason)) => {
                let (reason, error) = (*reason, error.to_string());
                self.see(uuid, BootEventKind::HeartbeatRefused { reason, error });
            }
            (Err(_), None) => {}
        }
        let (standing, effect) = turn?;
        self.follow(standing, effect);
        Ok(())
    }

    /// Takes note of what an agent did, for the node's boot trace.
    fn see(&self, node: NodeUuid, kind: BootEventKind) {
        self.db.see_boot(Some(node), Timestamp::now(), Told::machine(kind));
    }

    /// The members of `driver_internal_info` that a heartbeat sets, after the checks against an agent that changes its
    /// identity in the middle of a boot.
    fn members_of(
        &self,
        node: &Node,
        heartbeat: &Heartbeat,
        now: Timestamp,
    ) -> Result<Map<String, Value>, (HeartbeatRefusal, String)> {
        let url = &heartbeat.callback_url;
        if self.options.require_agent_tls && !url.is_empty() && !url.starts_with("https://") {
            let text = format!(
                "Heartbeat operation requires a callback_url with TLS; '{url}' has none. Let the agent serve HTTPS, or switch require_agent_tls off."
            );
            return Err((HeartbeatRefusal::Tls, text));
        }
        let known = node.driver_internal_info.to_map();
        let differs = |key: &str, new: Option<&str>| {
            known.get(key).and_then(Value::as_str).is_some_and(|old| new.is_some_and(|new| new != old))
        };
        if differs("agent_url", Some(url)) {
            let text = "Detected change in ramdisk provided \"callback_url\".".to_owned();
            return Err((HeartbeatRefusal::Changed, text));
        }
        if differs("agent_verify_ca", heartbeat.agent_verify_ca.as_deref()) {
            let text = "Detected change in ramdisk provided \"agent_verify_ca\".".to_owned();
            return Err((HeartbeatRefusal::Changed, text));
        }
        let mut members = Map::new();
        members.insert("agent_url".to_owned(), json!(url));
        members.insert("agent_last_heartbeat".to_owned(), json!(now.to_string()));
        let optional = [
            ("agent_version", &heartbeat.agent_version),
            ("agent_verify_ca", &heartbeat.agent_verify_ca),
            ("agent_status", &heartbeat.agent_status),
            ("agent_status_message", &heartbeat.agent_status_message),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                members.insert(key.to_owned(), json!(value));
            }
        }
        Ok(members)
    }

    pub(crate) async fn take_progress(
        &self,
        uuid: NodeUuid,
        token: &Secret,
        progress: AgentProgress,
    ) -> Result<(), RequestError> {
        let (node, flow) = self.load(uuid).await.map_err(|error| request_error(uuid, error))?;
        token_fits(&node, Some(token))?;
        if flow.is_some() {
            self.progress.put(uuid, progress);
        }
        Ok(())
    }

    pub(crate) async fn look_up(&self, lookup: Lookup) -> Result<LookupReply, RequestError> {
        let node = self.find_node(&lookup).await?.ok_or(RequestError::LookupNotFound)?;
        if !expects_lookup(node.provision_state, self.options.policy.fast_track.is_some()) {
            let error = format!("no agent is expected while the node is {}.", node.provision_state);
            self.see(node.uuid, BootEventKind::LookupRefused { reason: LookupRefusal::State, error });
            return Err(RequestError::LookupNotFound);
        }
        self.see(node.uuid, BootEventKind::Lookup);
        let (node, token) = self.token_for(node, lookup.wants_token).await?;
        let config = self.lookup_config(&node, &token);
        Ok(LookupReply { node: Arc::new(node), config })
    }

    async fn find_node(&self, lookup: &Lookup) -> Result<Option<Node>, RequestError> {
        if let Some(uuid) = lookup.node_uuid {
            return self
                .db
                .get_node(&NodeKey::Uuid(uuid), &Scope::All)
                .await
                .map_err(|error| store_error(&error));
        }
        let filter = PortFilter { addresses: Some(lookup.addresses.clone()), ..PortFilter::default() };
        let limit = lookup.addresses.len();
        let query = PortQuery { filter, limit, ..PortQuery::new(Scope::All) };
        let ports = self.db.list_ports(&query).await.map_err(|error| store_error(&error))?;
        let mut owners: Vec<NodeUuid> = ports.iter().map(|port| port.node_uuid).collect();
        owners.dedup();
        match owners[..] {
            [] => self.see_strangers(&lookup.addresses),
            [owner] => {
                return self
                    .db
                    .get_node(&NodeKey::Uuid(owner), &Scope::All)
                    .await
                    .map_err(|error| store_error(&error));
            }
            [one, other, ..] => {
                let error = "its addresses are ports of several nodes.".to_owned();
                for node in [one, other] {
                    let (reason, error) = (LookupRefusal::Ambiguous, error.clone());
                    self.see(node, BootEventKind::LookupRefused { reason, error });
                }
            }
        }
        Ok(None)
    }

    /// Agents of machines that nobody has enrolled, or whose ports are others than those that the ramdisk sees.
    fn see_strangers(&self, addresses: &[MacAddr]) {
        let error = "none of the addresses that the ramdisk sees is enrolled.";
        for mac in addresses.iter().take(STRANGERS) {
            let kind =
                BootEventKind::LookupRefused { reason: LookupRefusal::Unknown, error: error.to_owned() };
            self.db.see_boot(None, Timestamp::now(), Told { mac: Some(*mac), kind });
        }
    }

    /// Makes the token of this boot of the agent, once; whoever asks again gets the mask.
    pub(crate) async fn token_for(&self, node: Node, wanted: bool) -> Result<(Node, Value), RequestError> {
        if node.driver_internal_info.get_str(AGENT_TOKEN).is_some() {
            return Ok((node, json!(MASK)));
        }
        if !wanted {
            return Ok((node, Value::Null));
        }
        let token = new_token();
        let uuid = node.uuid;
        // Two who ask at once: the first to be stored wins, the other gets the mask.
        let turn = self.turn(uuid, |node, flow, world| Ok(give_token(node, flow, &token, world))).await;
        let (node, _) = turn.map_err(|error| request_error(uuid, error))?;
        let ours = node.driver_internal_info.get_str(AGENT_TOKEN).as_deref() == Some(&token);
        Ok((node, if ours { json!(token) } else { json!(MASK) }))
    }

    pub(crate) fn lookup_config(&self, node: &Node, token: &Value) -> JsonObject {
        let redfish = node
            .interfaces
            .get(model::InterfaceKind::Management)
            .is_some_and(|name| name.contains("redfish"));
        let config = json!({
            "heartbeat_timeout": self.options.heartbeat_timeout.as_secs(),
            "agent_token": token,
            "agent_token_required": true,
            "metrics": {
                "backend": "noop", "prepend_host": false, "prepend_uuid": false,
                "prepend_host_reverse": true, "global_prefix": null,
            },
            "metrics_statsd": { "statsd_host": "localhost", "statsd_port": 8125 },
            "agent_containers": {
                "allow_arbitrary_containers": false, "allowed_containers": [], "container_steps_file": "",
                "runner": "podman", "pull_options": "", "run_options": "",
            },
            "agent_md5_checksum_enable": false,
            "disable_deep_image_inspection": false,
            "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
            "agent_skip_bmc_detect": redfish,
            "enable_bios_bootloader_install": false,
            "tls_min_version": "1.3",
            "tls_cipher_suites": null,
            "wrought": { "progress_path": format!("/v1/agent/{}/progress", node.uuid) },
        });
        match config {
            Value::Object(map) => JsonObject::from(map),
            _ => JsonObject::default(),
        }
    }
}

/// What the API says when the store fails.
pub(crate) fn store_error(error: &db::DbError) -> RequestError {
    if error.is_transient() {
        return RequestError::Unavailable(error.to_string());
    }
    tracing::error!(error = error as &dyn std::error::Error, "the store failed");
    RequestError::Internal(error.to_string())
}

/// As the API shows it.
pub(crate) fn request_error(node: NodeUuid, error: TurnError) -> RequestError {
    match error {
        TurnError::Gone(_) => RequestError::NotFound(node.to_string()),
        TurnError::Refused(error) => error,
        TurnError::Fenced => RequestError::Unavailable(
            "This conductor gave no sign of life in time and may not work on nodes until it has registered again; try again in a moment."
                .to_owned(),
        ),
        TurnError::Store(error) => store_error(&error),
        TurnError::Record(error) => {
            tracing::error!(node = %node, %error, "the record of the flow cannot be read");
            RequestError::Internal("the record of the node's flow cannot be read".to_owned())
        }
    }
}
