//! Enrolling nodes.

use api_types::{Invalid, NODE, Shape, create as set_fields};
use http::StatusCode;
use microversion::since;
use model::{Node, ProvisionState, Timestamp};

use super::chassis::check_chassis;
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{interfaces, rules};

/// `POST /v1/nodes`
pub(crate) async fn create(request: Request) -> Answer {
    let mut node = Node::new("", Timestamp::now());
    let mut body = request.json_object()?;
    // The empty group is the one that nodes have anyway: versions that do not know groups may say so.
    body.retain(|name, value| name != "conductor_group" || value != "");
    set_fields(&NODE, &mut node, body, request.version)?;
    authorise(&request, &mut node)?;
    prepare(&request, &mut node)?;
    check_chassis(&request, &node).await?;
    check_parent(&request, &node).await?;
    request.conductor_of(&node, StatusCode::BAD_REQUEST)?;
    let node = request.state.db.create_node(node).await?;
    let body = request.object(&NODE, &Shape::Full, &node)?;
    Ok(Reply::created(request.url(&format!("nodes/{}", node.uuid)), body))
}

/// Who may enrol anything may name any owner; administrators of a project enrol what their project then owns.
fn authorise(request: &Request, node: &mut Node) -> Result<(), ApiError> {
    let own_only = request.state.options.project_admin_can_manage_own_nodes
        && request.may("baremetal:node:create:self_owned_node", None);
    if !own_only {
        return request.authorise("baremetal:node:create", None);
    }
    if request.caller().system {
        return Ok(());
    }
    if node.owner.is_some() && node.owner != request.caller().project {
        let text =
            "Cannot create a node as a project scoped admin with an owner other than your own project.";
        return Err(ApiError::bad_request(text));
    }
    node.owner.clone_from(&request.caller().project);
    Ok(())
}

/// Fills in what the caller left open, and judges the whole.
fn prepare(request: &Request, node: &mut Node) -> Result<(), ApiError> {
    if node.driver.is_empty() {
        return Err(Invalid::at("/driver", "a value is required").into());
    }
    if !request.version.at_least(const { since("enroll-first") }) {
        node.provision_state = ProvisionState::Available;
    }
    if node.resource_class.is_none() {
        node.resource_class.clone_from(&request.state.options.default_resource_class);
    }
    if node.instance_name.is_none() {
        node.instance_name = rules::display_name(node);
    }
    let hardware = interfaces::hardware_type(&*request.state.conductors, &node.driver)?;
    interfaces::complete(node, &hardware)
}

/// The node that `node` is part of has to be there, visible, another one, and of the same owner.
pub(crate) async fn check_parent(request: &Request, node: &Node) -> Result<(), ApiError> {
    let Some(parent) = node.parent_node else { return Ok(()) };
    if parent == node.uuid {
        return Err(Invalid::at("/parent_node", "a node cannot be part of itself").into());
    }
    let found = request.find_node(&parent.to_string()).await;
    let found = found.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))?;
    if found.owner == node.owner {
        return Ok(());
    }
    Err(Invalid::at("/parent_node", "the node and the one it is part of need the same owner").into())
}
