//! In-band inspection: whose machine a report is about, what is kept of it, and what it changes.
//!
//! A report is stored before anybody is told that it was taken. The flow then works on it as one of its actions; what
//! comes of it is recorded in one transaction, which also forgets the report, so that working on it twice changes
//! nothing. A machine that nobody knows is enrolled, where the site wants that, with all that was found in one
//! transaction. What the data mean is for `inspection` to say.

mod call;
mod fields;

use std::collections::BTreeSet;
use std::sync::Arc;

use conductor_api::{InspectionReport, LookupReply, RequestError};
use db::{DbError, Inspected, NodeFilter, NodeKey, NodeQuery, Paging, PortFilter, PortQuery, Scope};
use inspection::hooks::{self, Hook, Machine};
use inspection::rules::{self, Masking, Rule, Severity};
use model::{InspectionRule, MacAddr, Node, NodeInventory, NodeUuid, Port, ProvisionState as S, Timestamp};
use provision::{ErrorCode, Input, StepError, decide};
use serde_json::{Map, Value, json};

use crate::agent::{request_error, store_error};
use crate::engine::Engine;

/// How often it is decided anew because somebody else wrote the node or a port in between.
const MAX_CONFLICTS: usize = 8;
/// The most nodes that are inspected at once and looked through for the address of a BMC.
const MAX_WAITING: usize = 10_000;
/// States in which a machine reports.
const REPORTING: [S; 2] = [S::InspectWait, S::Inspecting];

/// Settings of in-band inspection.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// What is made of the data.
    pub hooks: hooks::Options,
    /// From which rules secrets are hidden.
    pub masking: Masking,
    /// The hardware type with which unknown machines are enrolled; without one they are refused.
    pub discovery: Option<String>,
    /// Rules beside those that are stored.
    pub built_in: Vec<Rule>,
}

impl Engine {
    /// Takes a report: stores it and wakes the flow that waits for it, or enrolls the machine.
    pub(crate) async fn take_inspection(
        self: &Arc<Self>,
        report: InspectionReport,
    ) -> Result<LookupReply, RequestError> {
        // Of two reports of an unknown machine the second finds what the first enrolled.
        let discovering = self.discovering.lock().await;
        let Some(node) = self.node_of_report(&report).await? else {
            let node = self.discover(&report).await?;
            return self.told(node, report.wants_token).await;
        };
        drop(discovering);
        let uuid = node.uuid;
        let reply = self.told(node, report.wants_token).await?;
        self.db.keep_inspection_report(uuid, report.data).await.map_err(|error| store_error(&error))?;
        let turn = self
            .turn_on(uuid, None, |node, flow, world| match flow {
                Some(flow) if REPORTING.contains(&node.provision_state) => {
                    Ok(decide(node, flow, Input::Inspected, world))
                }
                _ => Err(RequestError::LookupNotFound),
            })
            .await;
        let (standing, effect) = turn.map_err(|error| request_error(uuid, error))?;
        tracing::info!(node = %uuid, "inspection data came");
        self.follow(standing, effect);
        Ok(reply)
    }

    /// What a ramdisk is told of its node.
    async fn told(&self, node: Node, wants_token: bool) -> Result<LookupReply, RequestError> {
        let (node, token) = self.token_for(node, wants_token).await?;
        let config = self.lookup_config(&node, &token);
        Ok(LookupReply { node: Arc::new(node), config })
    }

    /// The node whose machine reports: by identifier, by the addresses of its ports, by that of its BMC. All that is
    /// known has to agree; the answer to every disagreement is the same, so that it tells nothing.
    async fn node_of_report(&self, report: &InspectionReport) -> Result<Option<Node>, RequestError> {
        let mut found = match report.node_uuid {
            None => None,
            Some(uuid) => Some(self.node_if_any(uuid).await?.ok_or(RequestError::LookupNotFound)?),
        };
        let owners: BTreeSet<NodeUuid> =
            self.ports_at(&report.addresses).await?.iter().map(|port| port.node_uuid).collect();
        if owners.len() > 1 || found.as_ref().is_some_and(|node| owners.iter().any(|uuid| *uuid != node.uuid))
        {
            tracing::error!(?owners, "the addresses of an inspected machine belong to different nodes");
            return Err(RequestError::LookupNotFound);
        }
        if let (None, Some(uuid)) = (&found, owners.first()) {
            found = self.node_if_any(*uuid).await?;
        }
        if let Some(node) = found.as_ref().filter(|node| !REPORTING.contains(&node.provision_state)) {
            tracing::error!(node = %node.uuid, state = %node.provision_state, "it is not being inspected");
            return Err(RequestError::LookupNotFound);
        }
        if report.bmc_addresses.is_empty() {
            return Ok(found);
        }
        let mut same = self.nodes_with_bmc(&report.bmc_addresses).await?;
        match found {
            Some(node) if same.is_empty() || same.iter().any(|other| other.uuid == node.uuid) => {
                Ok(Some(node))
            }
            None if same.len() < 2 => Ok(same.pop()),
            _ => {
                tracing::error!(nodes = same.len(), "the BMC of an inspected machine is that of other nodes");
                Err(RequestError::LookupNotFound)
            }
        }
    }

    async fn node_if_any(&self, uuid: NodeUuid) -> Result<Option<Node>, RequestError> {
        self.db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await.map_err(|error| store_error(&error))
    }

    async fn ports_at(&self, addresses: &[MacAddr]) -> Result<Vec<Port>, RequestError> {
        let filter = PortFilter { addresses: Some(addresses.to_vec()), ..PortFilter::default() };
        self.db
            .list_ports(&PortQuery { filter, ..PortQuery::new(Scope::All) })
            .await
            .map_err(|error| store_error(&error))
    }

    async fn nodes_with_bmc(&self, addresses: &[String]) -> Result<Vec<Node>, RequestError> {
        let filter = NodeFilter {
            provision_states: REPORTING.to_vec(),
            include_children: true,
            ..NodeFilter::default()
        };
        let query = NodeQuery { filter, limit: MAX_WAITING, ..NodeQuery::new(Scope::All) };
        let mut nodes = self.db.list_nodes(&query).await.map_err(|error| store_error(&error))?;
        nodes.retain(|node| bmc_hosts(node).any(|host| addresses.contains(&host)));
        Ok(nodes)
    }

    /// Enrolls a machine that nobody knows, with its ports and inventory.
    async fn discover(&self, report: &InspectionReport) -> Result<Node, RequestError> {
        let driver = self.options.inspection.discovery.as_ref().ok_or(RequestError::LookupNotFound)?;
        let hardware = self.registry.hardware_types.iter().find(|hardware| hardware.name == *driver);
        let hardware = hardware.ok_or_else(|| {
            RequestError::Internal(format!("there is no hardware type '{driver}' to enroll machines with"))
        })?;
        let mut node = Node::new(driver, Timestamp::now());
        node.conductor_group.clone_from(&self.options.conductor_group);
        for (kind, implementations) in &hardware.interfaces {
            node.interfaces.set(*kind, implementations.first().cloned());
        }
        let mut data = report.data.clone();
        data.plugin_data.set("auto_discovered", json!(true));
        let refused = |text: String| RequestError::Invalid(format!("Cannot enroll the machine: {text}."));
        let taken = self.ports_at(&report.addresses).await?;
        let rules = self.rules().await.map_err(|error| store_error(&error))?;
        let worked = self.work_on(node, Vec::new(), taken, (data, rules)).await.map_err(refused)?;
        let node = self
            .db
            .finish_inspection(Inspected { before: None, ..worked })
            .await
            .map_err(|error| store_error(&error))?;
        tracing::info!(node = %node.uuid, driver, "enrolled a machine that nobody knew");
        Ok(node)
    }

    /// Works on what the node's ramdisk reported, if that was not done before.
    pub(crate) async fn work_on_report(&self, uuid: NodeUuid) -> Result<(), StepError> {
        let store = |error: DbError| {
            let text = format!("the inspection cannot be recorded: {error}.");
            StepError::new(ErrorCode::Internal, text)
        };
        for _ in 0..MAX_CONFLICTS {
            let Some(report) = self.db.inspection_report(uuid).await.map_err(store)? else { return Ok(()) };
            let Some(node) = self.db.get_node(&NodeKey::Uuid(uuid), &Scope::All).await.map_err(store)? else {
                return Ok(());
            };
            let filter = PortFilter { nodes: Some(vec![uuid]), ..PortFilter::default() };
            let query = PortQuery { filter, ..PortQuery::new(Scope::All) };
            let ports = self.db.list_ports(&query).await.map_err(store)?;
            let taken = self.ports_at(&addresses_in(&report)).await;
            let taken = taken.map_err(|error| StepError::new(ErrorCode::Internal, format!("{error}.")))?;
            let rules = self.rules().await.map_err(store)?;
            let worked = match self.work_on(node.clone(), ports, taken, (report, rules)).await {
                Ok(worked) => worked,
                Err(text) => {
                    self.db.drop_inspection_report(uuid).await.map_err(store)?;
                    return Err(StepError::new(ErrorCode::InspectionFailed, format!("{text}.")));
                }
            };
            let _gate = self.gates.pass(uuid).await;
            match self.db.finish_inspection(Inspected { before: Some(node), ..worked }).await {
                Ok(_) => return Ok(()),
                Err(DbError::Conflict { .. } | DbError::Duplicate { .. }) => {}
                Err(error) => return Err(store(error)),
            }
        }
        let text = "others changed the node all the time while its inspection was being recorded.";
        Err(StepError::new(ErrorCode::Internal, text))
    }

    /// What the inspection before found, where a hook compares the two.
    async fn previous_inventory(&self, node: &Node) -> Result<Option<Map<String, Value>>, DbError> {
        if !self.options.inspection.hooks.hooks.contains(&Hook::RaidDevice) {
            return Ok(None);
        }
        Ok(self.db.inventory(node.uuid).await?.map(|kept| kept.inventory.to_map()))
    }

    async fn rules(&self) -> Result<Vec<InspectionRule>, DbError> {
        self.db.list_inspection_rules(&Paging::default()).await
    }

    /// What node, ports and data become by hooks and rules.
    async fn work_on(
        &self,
        node: Node,
        ports: Vec<Port>,
        known: Vec<Port>,
        (data, stored): (NodeInventory, Vec<InspectionRule>),
    ) -> Result<Inspected, String> {
        let options = &self.options.inspection;
        let others = known.iter().filter(|port| port.node_uuid != node.uuid);
        let previous = self.previous_inventory(&node).await.map_err(|error| error.to_string())?;
        let mut machine = Machine {
            taken: others.map(|port| port.address).collect(),
            node,
            ports: ports.clone(),
            inventory: data.inventory.to_map(),
            plugin_data: data.plugin_data.to_map(),
            previous,
            now: Timestamp::now(),
        };
        hooks::run(&options.hooks, &mut machine).map_err(|error| error.to_string())?;
        let built_in = options.built_in.iter().cloned().map(Ok);
        let rules: Vec<Rule> = stored.iter().map(readable).chain(built_in).collect::<Result<_, _>>()?;
        if !rules.is_empty() {
            let mut subject = fields::subject(&machine);
            let before = subject.clone();
            let report = rules::run(&rules, options.masking, &mut subject).map_err(|e| e.to_string())?;
            fields::take_over(&mut machine, &before, subject)?;
            tell(machine.node.uuid, &report);
            for call in &report.calls {
                call::send(call).await?;
            }
        }
        // They can be huge, and are no data.
        machine.plugin_data.remove("logs");
        Ok(Inspected {
            before: None,
            after: machine.node,
            ports_before: ports,
            ports_after: machine.ports,
            data: NodeInventory {
                inventory: machine.inventory.into(),
                plugin_data: machine.plugin_data.into(),
            },
        })
    }
}

fn readable(rule: &InspectionRule) -> Result<Rule, String> {
    let (conditions, actions) = (rule.conditions.to_vec(), rule.actions.to_vec());
    Rule::parse(rule.uuid.to_string(), (rule.priority, rule.sensitive), &conditions, &actions)
        .map_err(|error| format!("inspection rule {} cannot be read: {error}", rule.uuid))
}

fn tell(node: NodeUuid, report: &rules::Report) {
    tracing::info!(%node, rules = report.applied.len(), "inspection rules applied");
    for line in &report.log {
        match line.severity {
            Severity::Debug => tracing::debug!(%node, text = line.text, "an inspection rule says"),
            Severity::Info => tracing::info!(%node, text = line.text, "an inspection rule says"),
            Severity::Warning => tracing::warn!(%node, text = line.text, "an inspection rule says"),
            Severity::Error => tracing::error!(%node, text = line.text, "an inspection rule says"),
        }
    }
}

/// The Ethernet addresses of a report.
fn addresses_in(report: &NodeInventory) -> Vec<MacAddr> {
    let interfaces = report.inventory.get("interfaces").unwrap_or_default();
    let address = |interface: &Value| interface.get("mac_address")?.as_str()?.parse().ok();
    interfaces.as_array().into_iter().flatten().filter_map(address).collect()
}

/// The hosts that the node's `…_address` options name: without scheme, port and path.
fn bmc_hosts(node: &Node) -> impl Iterator<Item = String> {
    let host = |text: &str| {
        let rest = text.split_once("//").map_or(text, |(_, rest)| rest);
        let rest = rest.split('/').next().unwrap_or_default();
        match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, _)) => host.to_owned(),
            // More than one colon is an address of its own, not a port.
            None if rest.matches(':').count() == 1 => rest.split(':').next().unwrap_or_default().to_owned(),
            None => rest.to_owned(),
        }
    };
    node.driver_info
        .to_map()
        .into_iter()
        .filter(|(key, _)| key.ends_with("_address"))
        .filter_map(move |(_, value)| value.as_str().map(host))
        .filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_bmcs() {
        let hosts = |address: &str| {
            let mut node = Node::new("x", Timestamp::from_micros(0));
            node.driver_info.set("redfish_address", json!(address));
            node.driver_info.set("other", json!("10.9.9.9"));
            bmc_hosts(&node).collect::<Vec<_>>()
        };
        for (address, host) in [
            ("10.0.0.5", "10.0.0.5"),
            ("10.0.0.5:623", "10.0.0.5"),
            ("https://10.0.0.5:8000/redfish/v1", "10.0.0.5"),
            ("https://[fd00::5]:8000/", "fd00::5"),
            ("fd00::5", "fd00::5"),
            ("bmc-1.site", "bmc-1.site"),
        ] {
            assert_eq!(hosts(address), [host], "{address}");
        }
        assert!(hosts("").is_empty());
    }
}
