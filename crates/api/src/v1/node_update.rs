//! Patching nodes.

use api_types::{NODE, Patch, Shape};
use db::{AllocationKey, Scope};
use http::StatusCode;
use microversion::since;
use model::{InterfaceKind, Node};

use super::chassis::check_chassis;
use super::node_create::check_parent;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{interfaces, rules};

/// `PATCH /v1/nodes/{node_ident}`
pub(crate) async fn update(request: Request) -> Answer {
    let reset = request.query.flag("reset_interfaces")?.unwrap_or(false);
    let patch = Patch::parse(request.json()?)?;
    patch.check(&NODE, request.version)?;
    if reset && !patch.touches("driver") {
        return Err(ApiError::bad_request(
            "reset_interfaces: it can be used only together with a change of driver",
        ));
    }
    let node = request.find_node(request.param("node_ident")).await?;
    authorise(&request, &patch, &node)?;
    if patch.touches("owner") {
        may_change_owner(&request, &node).await?;
    }
    if patch.touches("chassis_uuid") {
        check_chassis(&request, &plan(&request, &patch, reset, &node)?).await?;
    }
    if patch.touches("parent_node") {
        check_parent(&request, &plan(&request, &patch, reset, &node)?).await?;
    }
    let node = request.change_node(node, |before| plan(&request, &patch, reset, before)).await?;
    Ok(Reply::json(request.object(&NODE, &Shape::Full, &node)?))
}

fn authorise(request: &Request, patch: &Patch, node: &Node) -> Result<(), ApiError> {
    for rule in rules::rules_of(patch) {
        request.authorise_node(rule, node)?;
    }
    if patch.touches("owner") && node.provision_state == model::ProvisionState::Active {
        let rule = "baremetal:node:update_owner_provisioned";
        return request.authorise(rule, Some(node)).map_err(|error| error.with_status(StatusCode::CONFLICT));
    }
    Ok(())
}

/// The owner of a node stays while an allocation of some owner has the node.
async fn may_change_owner(request: &Request, node: &Node) -> Result<(), ApiError> {
    if node.allocation_uuid.is_none() {
        return Ok(());
    }
    let key = AllocationKey::Node(node.uuid);
    match request.state.db.get_allocation(&key, &Scope::All).await? {
        Some(allocation) if allocation.owner.is_some() => Err(ApiError::conflict(format!(
            "The owner of node {} cannot be changed while it is allocated to an allocation with an owner.",
            node.uuid
        ))),
        _ => Ok(()),
    }
}

/// What `before` becomes, if everything about it allows.
fn plan(request: &Request, patch: &Patch, reset: bool, before: &Node) -> Result<Node, ApiError> {
    rules::may_patch(before, patch, request.version)?;
    let mut after = request.with_context(true, |cx| patch.apply(&NODE, before, cx))?;
    choose_interfaces(request, patch, reset, before, &mut after)?;
    rules::settle(before, &mut after);
    rules::may_change(before, &after)?;
    if after.chassis_uuid != before.chassis_uuid {
        may_unset_chassis(request, &after)?;
    }
    if after.driver != before.driver || after.conductor_group != before.conductor_group {
        request.conductor_of(&after, StatusCode::BAD_REQUEST)?;
    }
    Ok(after)
}

/// Interfaces that the patch unset, or that belong to the driver left, get the default of the driver.
fn choose_interfaces(
    request: &Request,
    patch: &Patch,
    reset: bool,
    before: &Node,
    after: &mut Node,
) -> Result<(), ApiError> {
    if after.driver == before.driver && after.interfaces == before.interfaces {
        return Ok(());
    }
    if reset {
        for kind in InterfaceKind::ALL.into_iter().filter(|kind| !patch.touches(&format!("{kind}_interface")))
        {
            after.interfaces.set(kind, None);
        }
    }
    let hardware = interfaces::hardware_type(&*request.state.conductors, &after.driver)?;
    interfaces::complete(after, &hardware)
}

fn may_unset_chassis(request: &Request, after: &Node) -> Result<(), ApiError> {
    if after.chassis_uuid.is_none() && !request.version.at_least(const { since("unset-chassis") }) {
        return Err(ApiError::not_acceptable("/chassis_uuid: it cannot be removed in this API version"));
    }
    Ok(())
}
