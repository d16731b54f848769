//! What the state of a node allows callers to change about its portgroups and volumes (contract/errors.md, section 7).
//!
//! Pure judgements. Whether the caller may ask is not decided here.

use microversion::{Version, since};
use model::{Node, Port, Portgroup, PowerState, ProvisionState as S};

use crate::error::ApiError;
use crate::rules::{conflict, is_wirable, may_patch_inspecting};

/// Whether a portgroup of `node` may be changed from `before` to `after`; `members` are its ports.
pub(crate) fn may_change_portgroup(
    node: &Node,
    before: &Portgroup,
    after: &Portgroup,
    members: &[Port],
    version: Version,
) -> Result<(), ApiError> {
    may_patch_inspecting(node, version)?;
    if before.node_uuid == after.node_uuid {
        return Ok(());
    }
    if !members.is_empty() {
        return Err(ApiError::bad_request(format!(
            "Portgroup {} has ports and cannot be moved to another node.",
            before.uuid
        )));
    }
    if !is_wirable(node) {
        return Err(conflict(node, "its portgroups cannot be moved to another node now"));
    }
    Ok(())
}

/// Whether `port`, if it is to be one of the ports of `portgroup`, fits: same node, and the same physical network as
/// the other `members`.
pub(crate) fn may_join(port: &Port, portgroup: &Portgroup, members: &[Port]) -> Result<(), ApiError> {
    if port.node_uuid != portgroup.node_uuid {
        return Err(ApiError::bad_request(format!(
            "/portgroup_uuid: portgroup {} belongs to another node than the port",
            portgroup.uuid
        )));
    }
    let other = members
        .iter()
        .find(|member| member.uuid != port.uuid && member.physical_network != port.physical_network);
    match other {
        Some(member) => Err(ApiError::conflict(format!(
            "/portgroup_uuid: the ports of portgroup {} are in physical network '{}', not in '{}'",
            portgroup.uuid,
            member.physical_network.as_deref().unwrap_or_default(),
            port.physical_network.as_deref().unwrap_or_default()
        ))),
        None => Ok(()),
    }
}

/// Whether a new port for which booting over the network is asked for may be one of the ports of `portgroup`: it boots
/// alone, before there is a bond.
pub(crate) fn may_boot_in(portgroup: &Portgroup) -> Result<(), ApiError> {
    if portgroup.standalone_ports_supported {
        return Ok(());
    }
    Err(ApiError::conflict(format!(
        "/pxe_enabled: the ports of portgroup {} are not used alone (standalone_ports_supported)",
        portgroup.uuid
    )))
}

/// Whether the physical network of a port may be changed: within a portgroup, from the version on in which portgroups
/// have one, it is theirs.
pub(crate) fn may_change_network(before: &Port, after: &Port, version: Version) -> Result<(), ApiError> {
    let is_member = before.portgroup_uuid.is_some() && after.portgroup_uuid.is_some();
    if before.physical_network == after.physical_network
        || !is_member
        || !version.at_least(const { since("portgroup-physical-network") })
    {
        return Ok(());
    }
    Err(ApiError::bad_request("/physical_network: the port is in a portgroup; change that of the portgroup"))
}

/// Whether volumes and connectors of `node` may be changed: it must not be using them.
pub(crate) fn may_change_volumes(node: &Node) -> Result<(), ApiError> {
    if node.power_state == Some(PowerState::Off) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "Node {} has to be powered off before its volumes and connectors can be changed.",
        node.uuid
    )))
}

/// Whether volumes and connectors of `node` may be deleted: off, or in a state in which nobody uses it.
pub(crate) fn may_delete_volumes(node: &Node) -> Result<(), ApiError> {
    if matches!(node.provision_state, S::Enroll | S::Manageable | S::AdoptFailed) {
        return Ok(());
    }
    may_change_volumes(node)
}
