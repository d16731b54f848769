//! Portgroups: lists, one portgroup, creation, and which ports they may have.

use api_types::{PORTGROUP, Shape, create as set_fields};
use db::{PortFilter, PortQuery, PortgroupFilter, PortgroupKey, PortgroupQuery, Scope};
use http::StatusCode;
use model::{Node, Port, Portgroup, PortgroupUuid, Timestamp};
use serde_json::Value;

use crate::access::PORTGROUPS;
use crate::error::ApiError;
use crate::ident::{Ident, uuid_or_name};
use crate::node_part::{missing, node_of_body};
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{part_rules, store};

/// Parameters of portgroup lists beside those of paging; no two of them together.
const FILTERS: [&str; 4] = ["node", "address", "shard", "conductor_groups"];

/// `GET /v1/portgroups`
pub(crate) async fn list(request: Request) -> Answer {
    answer(request, false, None).await
}

/// `GET /v1/portgroups/detail`
pub(crate) async fn detail(request: Request) -> Answer {
    answer(request, true, None).await
}

/// `GET /v1/nodes/{node_ident}/portgroups`
pub(crate) async fn list_of_node(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    answer(request, false, Some(node)).await
}

/// `GET /v1/nodes/{node_ident}/portgroups/detail`
pub(crate) async fn detail_of_node(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    answer(request, true, Some(node)).await
}

async fn answer(request: Request, detail: bool, node: Option<Node>) -> Answer {
    let visible_to = request.listed(&PORTGROUPS, None)?;
    let page = Page::read(&request, &PORTGROUP, detail)?;
    let query = PortgroupQuery { visible_to, filter: filter(&request, node).await?, paging: page.paging()? };
    let portgroups = request.state.db.list_portgroups(&query).await?;
    let last = portgroups.last().filter(|_| portgroups.len() == page.limit);
    let marker = last.map(|portgroup| portgroup.uuid.to_string());
    request.list((&PORTGROUP, "portgroups"), &page, &portgroups, marker)
}

async fn filter(request: &Request, node: Option<Node>) -> Result<PortgroupFilter, ApiError> {
    let query = &request.query;
    let given = FILTERS.into_iter().filter(|name| query.get(name).is_some()).count();
    if given + usize::from(node.is_some()) > 1 {
        return Err(ApiError::bad_request(
            "Portgroups are listed by node, address, shard or conductor_groups, by one of them at a time.",
        ));
    }
    let node = match (node, query.get("node")) {
        (None, Some(ident)) => Some(request.find_node(ident).await?),
        (node, _) => node,
    };
    let groups = query.list("conductor_groups");
    Ok(PortgroupFilter {
        node: node.map(|node| node.uuid),
        address: query
            .parsed("address", "an Ethernet address such as 52:54:00:12:34:56", |text| text.parse().ok())?,
        shards: query.shards(),
        conductor_groups: groups.map(|groups| groups.iter().map(|group| group.to_lowercase()).collect()),
    })
}

/// `GET /v1/portgroups/{portgroup_ident}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let portgroup = find_portgroup(&request, request.param("portgroup_ident")).await?;
    request.authorise_part("baremetal:portgroup:get", portgroup.node_uuid).await?;
    Ok(Reply::json(request.object(&PORTGROUP, &shape, &portgroup)?))
}

/// The portgroup that `ident` names, by UUID or by name, if the caller may see it.
pub(super) async fn find_portgroup(request: &Request, ident: &str) -> Result<Portgroup, ApiError> {
    let key = match uuid_or_name("Portgroup", ident)? {
        Ident::Uuid(uuid) => PortgroupKey::Uuid(PortgroupUuid::from_uuid(uuid)),
        Ident::Name(name) => PortgroupKey::Name(name),
    };
    let found = request.state.db.get_portgroup(&key, request.scope()).await?;
    found.ok_or_else(|| missing("Portgroup", ident))
}

/// `POST /v1/portgroups`
pub(crate) async fn create(request: Request) -> Answer {
    let mut body = request.json_object()?;
    let node = node_of_body(&request, &body).await?;
    request.authorise_node("baremetal:portgroup:create", &node)?;
    // Only patches must not unset it; here, null means the default as in every other field.
    if body.get("mode").is_some_and(Value::is_null) {
        body.remove("mode");
    }
    let mut portgroup = Portgroup::new(node.uuid, Timestamp::now());
    set_fields(&PORTGROUP, &mut portgroup, body, request.version)?;
    store::wait_unlocked(&request.state, node).await?;
    let portgroup = request.state.db.create_portgroup(portgroup).await?;
    let body = request.object(&PORTGROUP, &Shape::Full, &portgroup)?;
    Ok(Reply::created(request.url(&format!("portgroups/{}", portgroup.uuid)), body))
}

/// The ports of a portgroup, whoever may see them.
pub(super) async fn members(request: &Request, portgroup: PortgroupUuid) -> Result<Vec<Port>, ApiError> {
    let filter = PortFilter { portgroup_uuid: Some(portgroup), ..PortFilter::default() };
    let query = PortQuery { filter, ..PortQuery::new(Scope::All) };
    Ok(request.state.db.list_ports(&query).await?)
}

/// The portgroup that `port` names has to be there, and the port to fit into it.
pub(super) async fn check_portgroup(request: &Request, port: &Port) -> Result<Option<Portgroup>, ApiError> {
    let Some(uuid) = port.portgroup_uuid else { return Ok(None) };
    let found = find_portgroup(request, &uuid.to_string()).await;
    let portgroup = found.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))?;
    part_rules::may_join(port, &portgroup, &members(request, uuid).await?)?;
    Ok(Some(portgroup))
}
