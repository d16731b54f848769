//! Which nodes a list request asks for.

use api_types::NODE;
use db::{NodeFilter, NodeQuery, NodeSort};
use model::{ChassisUuid, Fault, NodeUuid};

use crate::access::NODES;
use crate::error::ApiError;
use crate::page::Page;
use crate::request::Request;

/// Reads the query of a list of nodes; `detail` is the route that always shows everything.
pub(crate) fn read(request: &Request, detail: bool) -> Result<(Page, NodeQuery), ApiError> {
    let page = Page::read(request, &NODE, detail)?;
    let filter = filter(request)?;
    let query = NodeQuery {
        visible_to: request.listed(&NODES, filter.project.as_deref())?,
        filter,
        sort_key: NodeSort::from_field(&page.sort_key).ok_or_else(|| page.unsortable())?,
        descending: page.descending,
        marker: page.uuid_marker()?.map(NodeUuid::from_uuid),
        limit: page.limit,
    };
    Ok((page, query))
}

fn filter(request: &Request) -> Result<NodeFilter, ApiError> {
    let query = &request.query;
    let states = query.parsed("provision_state", "a provision state", |text| text.parse().ok())?;
    let fault = query.parsed("fault", "a fault such as 'power failure'", |text| {
        Fault::ALL.into_iter().find(|fault| fault.as_str().eq_ignore_ascii_case(text))
    })?;
    let parent = query.get("parent_node").map(str::parse::<NodeUuid>);
    Ok(NodeFilter {
        // What is no UUID is the parent of none.
        uuids: matches!(parent, Some(Err(_))).then(Vec::new),
        instance_uuid: query.uuid("instance_uuid")?.map(|uuid| uuid.to_string()),
        instance_name: query.text("instance_name"),
        chassis_uuid: query.uuid("chassis_uuid")?.map(ChassisUuid::from_uuid),
        associated: query.flag("associated")?,
        maintenance: query.flag("maintenance")?,
        console_enabled: None,
        retired: query.flag("retired")?,
        provision_states: states.into_iter().collect(),
        driver: query.text("driver"),
        resource_class: query.text("resource_class"),
        fault,
        conductor_group: query.text("conductor_group").map(|group| group.to_lowercase()),
        owner: query.text("owner"),
        lessee: query.text("lessee"),
        project: query.text("project"),
        description_contains: query.text("description_contains"),
        shards: query.shards(),
        sharded: query.flag("sharded")?,
        include_children: query.flag("include_children")?.unwrap_or(false),
        parent_node: parent.and_then(Result::ok),
        lease_holder: None,
        lease_expired_at: None,
    })
}
