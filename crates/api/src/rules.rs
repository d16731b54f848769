//! What the state of a node allows callers to change (contract/errors.md, section 7; `contract/states_meta.tsv`).
//!
//! Pure judgements over a node as it is and as it is to be. Whether the caller may ask is not decided here.

use api_types::{Operation, Patch, PatchOp};
use microversion::{Version, since};
use model::{InterfaceKind, Node, Port, ProvisionState as S};

use crate::error::ApiError;

/// States in which something works on the node: patches wait until it is done.
const BUSY: [S; 13] = [
    S::Adopting,
    S::CleanHold,
    S::CleanWait,
    S::Cleaning,
    S::Deleting,
    S::DeployHold,
    S::Deploying,
    S::RescueWait,
    S::Rescuing,
    S::ServiceWait,
    S::Servicing,
    S::Unrescuing,
    S::DeployWait,
];

/// States in which the node is nobody's: its interfaces and its class may be changed.
const CONFIGURABLE: [S; 5] = [S::Enroll, S::Inspecting, S::InspectWait, S::Manageable, S::Available];
/// States in which the wiring of its ports may be changed.
const WIRABLE: [S; 4] = [S::Enroll, S::Inspecting, S::InspectWait, S::Manageable];
/// States in which it may be deleted.
const DELETABLE: [S; 4] = [S::AdoptFailed, S::Available, S::Enroll, S::Manageable];

pub(crate) fn conflict(node: &Node, what: &str) -> ApiError {
    ApiError::conflict(format!("Node {} is in state '{}': {what}.", node.uuid, node.provision_state))
}

/// Whether the node's state lets it be patched at all.
pub(crate) fn may_patch(node: &Node, patch: &Patch, version: Version) -> Result<(), ApiError> {
    if is_release_in_maintenance(node, patch) {
        return Ok(());
    }
    if node.target_provision_state.is_some() && BUSY.contains(&node.provision_state) {
        return Err(conflict(node, "it cannot be updated until that is over"));
    }
    may_patch_inspecting(node, version)
}

/// Whether an inspection under way lets objects of the node be patched.
pub(crate) fn may_patch_inspecting(node: &Node, version: Version) -> Result<(), ApiError> {
    if node.provision_state == S::Inspecting && version.at_least(const { since("inspect-wait") }) {
        return Err(conflict(node, "it cannot be updated until that is over"));
    }
    Ok(())
}

/// A lone removal of the instance of a node in maintenance, which is always let through.
fn is_release_in_maintenance(node: &Node, patch: &Patch) -> bool {
    let is_release = |operation: &Operation| {
        operation.op == PatchOp::Remove && operation.root == "instance_uuid" && operation.rest.is_empty()
    };
    node.maintenance && matches!(patch.operations(), [only] if is_release(only))
}

/// Whether a node may be changed from `before` to `after`.
pub(crate) fn may_change(before: &Node, after: &Node) -> Result<(), ApiError> {
    let configurable = CONFIGURABLE.contains(&before.provision_state);
    let interfaces = before.driver != after.driver || before.interfaces != after.interfaces;
    if interfaces && !configurable && !before.maintenance {
        return Err(conflict(before, "its driver and interfaces cannot be changed now"));
    }
    if before.driver != after.driver && before.console_enabled {
        return Err(ApiError::conflict("The driver cannot be changed while the console is enabled."));
    }
    if before.resource_class.is_some() && before.resource_class != after.resource_class && !configurable {
        return Err(conflict(before, "its resource class cannot be changed now"));
    }
    may_change_instance(before, after, configurable)?;
    if after.protected && !before.protected && !matches!(before.provision_state, S::Active | S::Rescue) {
        return Err(conflict(before, "only nodes in active or rescue can be protected"));
    }
    if after.retired && !before.retired && before.provision_state == S::Available {
        return Err(conflict(before, "it cannot be retired; take it to manageable first"));
    }
    reasons_have_causes(before, after)
}

/// A reason is given beside its cause only.
fn reasons_have_causes(before: &Node, after: &Node) -> Result<(), ApiError> {
    for (name, old, reason, cause) in [
        ("protected", &before.protected_reason, &after.protected_reason, after.protected),
        ("retired", &before.retired_reason, &after.retired_reason, after.retired),
    ] {
        if reason != old && reason.is_some() && !cause {
            return Err(ApiError::bad_request(format!(
                "/{name}_reason: it can be set only together with {name}"
            )));
        }
    }
    Ok(())
}

fn may_change_instance(before: &Node, after: &Node, configurable: bool) -> Result<(), ApiError> {
    match (&before.instance_uuid, &after.instance_uuid) {
        (Some(old), Some(new)) if old != new => Err(ApiError::conflict(format!(
            "Node {} is associated with instance {old}; remove that first.",
            before.uuid
        ))),
        (Some(_), None) if before.allocation_uuid.is_some() && !configurable && !before.maintenance => {
            Err(conflict(before, "its instance has an allocation and cannot be removed now"))
        }
        _ => Ok(()),
    }
}

/// Whether the node may be deleted.
pub(crate) fn may_delete(node: &Node, available_too: bool) -> Result<(), ApiError> {
    if node.protected {
        return Err(protected(node, "deleted"));
    }
    if node.maintenance {
        return Ok(());
    }
    if let Some(instance) = &node.instance_uuid {
        return Err(ApiError::conflict(format!(
            "Node {} is associated with instance {instance}.",
            node.uuid
        )));
    }
    let is_kept = node.provision_state == S::Available && !available_too;
    if is_kept || !DELETABLE.contains(&node.provision_state) {
        return Err(conflict(node, "it cannot be deleted unless it is in maintenance"));
    }
    Ok(())
}

/// Whether a node may be taken from its allocation: not while it is used or worked on, unless it is out of service.
pub(crate) fn may_release(node: &Node) -> Result<(), ApiError> {
    let is_busy = node.target_provision_state.is_some() && BUSY.contains(&node.provision_state);
    if !node.maintenance && (is_busy || node.provision_state == S::Active) {
        return Err(conflict(node, "its allocation cannot be removed now, unless it is in maintenance"));
    }
    Ok(())
}

/// What is said of protected nodes.
pub(crate) fn protected(node: &Node, done: &str) -> ApiError {
    let reason = node.protected_reason.as_deref().unwrap_or("no reason was given");
    ApiError::forbidden(format!("Node {} is protected and cannot be {done}: {reason}.", node.uuid))
}

/// Whether the power may be changed by callers.
pub(crate) fn may_change_power(node: &Node, to_off: bool) -> Result<(), ApiError> {
    if matches!(node.provision_state, S::Cleaning | S::CleanWait) {
        return Err(ApiError::bad_request(format!(
            "Node {} is in state '{}': its power cannot be changed now.",
            node.uuid, node.provision_state
        )));
    }
    if to_off && node.disable_power_off {
        return Err(ApiError::conflict(format!(
            "Node {} must not be powered off (disable_power_off).",
            node.uuid
        )));
    }
    Ok(())
}

/// Whether boot mode and secure boot may be changed by callers.
pub(crate) fn may_change_boot_mode(node: &Node) -> Result<(), ApiError> {
    let state = node.provision_state;
    let is_hold = matches!(state, S::CleanHold | S::DeployHold | S::ServiceHold);
    let is_busy = BUSY.contains(&state) && !is_hold;
    if is_busy || matches!(state, S::Inspecting | S::InspectWait | S::Verifying) {
        return Err(conflict(node, "its boot mode cannot be changed now"));
    }
    Ok(())
}

/// Whether the wiring of the node may be changed: which ports and portgroups it has, and where they lead.
pub(crate) fn is_wirable(node: &Node) -> bool {
    WIRABLE.contains(&node.provision_state) || node.maintenance
}

/// Whether a port of `node` may be changed from `before` to `after`.
pub(crate) fn may_change_port(
    node: &Node,
    before: &Port,
    after: &Port,
    version: Version,
) -> Result<(), ApiError> {
    may_patch_inspecting(node, version)?;
    let rewired = before.portgroup_uuid != after.portgroup_uuid
        || before.pxe_enabled != after.pxe_enabled
        || before.local_link_connection != after.local_link_connection
        || before.physical_network != after.physical_network;
    if rewired && !is_wirable(node) {
        return Err(conflict(node, "the wiring of its ports cannot be changed now"));
    }
    let in_use = node.provision_state == S::Active || node.instance_uuid.is_some();
    if before.address != after.address && in_use && !node.maintenance {
        return Err(conflict(node, "the addresses of its ports cannot be changed now"));
    }
    Ok(())
}

/// Whether a port of `node` may be deleted.
pub(crate) fn may_delete_port(node: &Node, port: &Port) -> Result<(), ApiError> {
    let in_use = node.provision_state == S::Active || node.instance_uuid.is_some();
    if in_use && !node.maintenance && port.internal_info.get_str("tenant_vif_port_id").is_some() {
        return Err(conflict(node, "the port has a network attached and cannot be deleted"));
    }
    Ok(())
}

/// What follows from a change: reasons and faults that lost their cause go, names follow.
pub(crate) fn settle(before: &Node, after: &mut Node) {
    if before.maintenance && !after.maintenance {
        after.maintenance_reason = None;
        after.fault = None;
    }
    if before.protected && !after.protected {
        after.protected_reason = None;
    }
    if before.retired && !after.retired {
        after.retired_reason = None;
    }
    if before.instance_uuid.is_some() && after.instance_uuid.is_none() {
        after.allocation_uuid = None;
    }
    if after.instance_name.is_none() && before.instance_info != after.instance_info {
        after.instance_name = display_name(after);
    }
}

/// The name that `instance_info` carries, where it fits.
pub(crate) fn display_name(node: &Node) -> Option<String> {
    let name = node.instance_info.get_str("display_name")?;
    (1..=255).contains(&name.chars().count()).then_some(name)
}

/// The policy rules that a patch of a node needs.
pub(crate) fn rules_of(patch: &Patch) -> Vec<&'static str> {
    let mut rules: Vec<&'static str> = patch.operations().iter().map(rule_of).collect();
    if rules.is_empty() {
        rules.push("baremetal:node:update");
    }
    rules.sort_unstable();
    rules.dedup();
    rules
}

fn rule_of(operation: &Operation) -> &'static str {
    let root = operation.root.as_str();
    let is_interface =
        root.strip_suffix("_interface").is_some_and(|kind| kind.parse::<InterfaceKind>().is_ok());
    match root {
        "instance_info" | "instance_name" => "baremetal:node:update_instance_info",
        "extra" => "baremetal:node:update_extra",
        "driver_info" => "baremetal:node:update:driver_info",
        "properties" => "baremetal:node:update:properties",
        "chassis_uuid" => "baremetal:node:update:chassis_uuid",
        "instance_uuid" => "baremetal:node:update:instance_uuid",
        "lessee" => "baremetal:node:update:lessee",
        "owner" => "baremetal:node:update:owner",
        "network_data" => "baremetal:node:update:network_data",
        "conductor_group" => "baremetal:node:update:conductor_group",
        "name" => "baremetal:node:update:name",
        "retired" | "retired_reason" => "baremetal:node:update:retired",
        "shard" => "baremetal:node:update:shard",
        "parent_node" => "baremetal:node:update:parent_node",
        "disable_power_off" => "baremetal:node:update:disable_power_off",
        "driver" => "baremetal:node:update:driver_interfaces",
        _ if is_interface => "baremetal:node:update:driver_interfaces",
        "automated_clean" if api_types::flag(&operation.value) == Some(false) => {
            "baremetal:node:disable_cleaning"
        }
        _ => "baremetal:node:update",
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use serde_json::json;

    use super::*;

    fn node(state: S) -> Node {
        let mut node = Node::new("ipmi", Timestamp::from_micros(0));
        node.provision_state = state;
        node.target_provision_state = Some(S::Active);
        node
    }

    fn rows() -> impl Iterator<Item = (S, Vec<&'static str>)> {
        include_str!("../../../contract/states_meta.tsv").lines().skip(1).map(|row| {
            let cells: Vec<&str> = row.split('\t').collect();
            (cells[0].parse().unwrap(), cells)
        })
    }

    fn status(verdict: Result<(), ApiError>) -> u16 {
        verdict.map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    #[test]
    fn every_state_of_the_contract() {
        let patch = Patch::parse(json!([{"op": "add", "path": "/extra/a", "value": 1}])).unwrap();
        for (state, row) in rows() {
            let node = node(state);
            let expected = if row[4].starts_with("no (409)") { 409 } else { 200 };
            assert_eq!(status(may_patch(&node, &patch, Version::MAX)), expected, "{row:?}");
            let expected = if row[6].starts_with("yes") { 200 } else { 409 };
            assert_eq!(status(may_delete(&node, true)), expected, "{row:?}");
            let expected = if row[7].starts_with("yes") { 200 } else { 400 };
            assert_eq!(status(may_change_power(&node, true)), expected, "{row:?}");
            let expected = if row[8].starts_with("yes") { 200 } else { 409 };
            assert_eq!(status(may_change_boot_mode(&node)), expected, "{row:?}");
        }
        assert_eq!(status(may_patch(&node(S::Inspecting), &patch, Version::new(38).unwrap())), 200);
    }

    #[test]
    fn a_stuck_instance_can_be_released_in_maintenance() {
        let release = Patch::parse(json!([{"op": "remove", "path": "/instance_uuid"}])).unwrap();
        let mut stuck = node(S::Deploying);
        assert_eq!(status(may_patch(&stuck, &release, Version::MAX)), 409);
        stuck.maintenance = true;
        assert_eq!(status(may_patch(&stuck, &release, Version::MAX)), 200);
    }

    #[test]
    fn changes_that_states_forbid() {
        let changed = |state, maintenance, change: fn(&mut Node)| {
            let mut before = node(state);
            before.maintenance = maintenance;
            before.resource_class = Some("gold".to_owned());
            before.instance_uuid = Some("a".to_owned());
            let mut after = before.clone();
            change(&mut after);
            status(may_change(&before, &after))
        };
        let power: fn(&mut Node) = |n| n.interfaces.set(InterfaceKind::Power, Some("x".to_owned()));
        assert_eq!(changed(S::Active, false, power), 409);
        assert_eq!(changed(S::Active, true, power), 200);
        assert_eq!(changed(S::Available, false, power), 200);
        assert_eq!(changed(S::Active, true, |n| n.resource_class = None), 409);
        assert_eq!(changed(S::Enroll, false, |n| n.instance_uuid = Some("b".to_owned())), 409);
        assert_eq!(changed(S::Active, false, |n| n.instance_uuid = None), 200);
        assert_eq!(changed(S::Available, false, |n| n.protected = true), 409);
        assert_eq!(changed(S::Active, false, |n| n.protected = true), 200);
        assert_eq!(changed(S::Available, false, |n| n.retired = true), 409);
        assert_eq!(changed(S::Active, false, |n| n.retired = true), 200);
        assert_eq!(changed(S::Active, false, |n| n.retired_reason = Some("old".to_owned())), 400);
    }

    #[test]
    fn nodes_in_use_keep_their_allocation() {
        let verdict = |state, maintenance| {
            let mut node = node(state);
            node.maintenance = maintenance;
            status(may_release(&node))
        };
        assert_eq!(verdict(S::Available, false), 200);
        assert_eq!(verdict(S::DeployFailed, false), 200);
        assert_eq!(verdict(S::Active, false), 409);
        assert_eq!(verdict(S::Deploying, false), 409);
        assert_eq!(verdict(S::Active, true), 200);
    }

    #[test]
    fn reasons_go_with_their_causes() {
        let mut before = node(S::Active);
        (before.maintenance, before.protected, before.retired) = (true, true, true);
        before.maintenance_reason = Some("m".to_owned());
        before.protected_reason = Some("p".to_owned());
        before.retired_reason = Some("r".to_owned());
        before.fault = Some(model::Fault::Power);
        let mut after = before.clone();
        (after.maintenance, after.protected, after.retired) = (false, false, false);
        after.instance_info.set("display_name", json!("vm-1"));
        settle(&before, &mut after);
        assert_eq!(
            (after.maintenance_reason, after.protected_reason, after.retired_reason),
            (None, None, None)
        );
        assert_eq!((after.fault, after.instance_name.as_deref()), (None, Some("vm-1")));
    }
}
