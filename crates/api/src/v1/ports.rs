//! Ports: lists, one port, creation.

use api_types::{Invalid, PORT, Shape, check_port, create as set_fields};
use db::{PortFilter, PortKey, PortQuery, PortSort};
use http::StatusCode;
use microversion::since;
use model::{MacAddr, Node, NodeUuid, Port, PortUuid, PortgroupUuid, Timestamp, validate_logical_name};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::portgroups::{check_portgroup, find_portgroup};
use crate::access::PORTS;
use crate::error::ApiError;
use crate::listing::Listing;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::{part_rules, store};

/// `GET /v1/ports`
pub(crate) async fn list(request: Request) -> Answer {
    answer(request, false, Holder::Nothing).await
}

/// `GET /v1/ports/detail`
pub(crate) async fn detail(request: Request) -> Answer {
    answer(request, true, Holder::Nothing).await
}

/// `GET /v1/nodes/{node_ident}/ports`
pub(crate) async fn list_of_node(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    answer(request, false, Holder::Node(node.uuid)).await
}

/// `GET /v1/nodes/{node_ident}/ports/detail`
pub(crate) async fn detail_of_node(request: Request) -> Answer {
    let node = request.node("baremetal:node:get").await?;
    answer(request, true, Holder::Node(node.uuid)).await
}

/// `GET /v1/portgroups/{portgroup_ident}/ports`
pub(crate) async fn list_of_portgroup(request: Request) -> Answer {
    of_portgroup(request, false).await
}

/// `GET /v1/portgroups/{portgroup_ident}/ports/detail`
pub(crate) async fn detail_of_portgroup(request: Request) -> Answer {
    of_portgroup(request, true).await
}

async fn of_portgroup(request: Request, detail: bool) -> Answer {
    let portgroup = find_portgroup(&request, request.param("portgroup_ident")).await?;
    answer(request, detail, Holder::Portgroup(portgroup.uuid)).await
}

/// Single ports are not found below their node.
pub(crate) async fn not_below_node(_: Request) -> Answer {
    Err(ApiError::bad_request("Ports are read below their node as a list only; use /v1/ports."))
}

/// What a list of ports stands below in the path.
enum Holder {
    Nothing,
    Node(NodeUuid),
    Portgroup(PortgroupUuid),
}

async fn answer(request: Request, detail: bool, below: Holder) -> Answer {
    let visible_to = request.listed(&PORTS, None)?;
    let page = Page::read(&request, &PORT, detail)?;
    let query = PortQuery {
        visible_to,
        filter: filter(&request, below).await?,
        sort_key: PortSort::from_field(&page.sort_key).ok_or_else(|| page.unsortable())?,
        descending: page.descending,
        marker: page.uuid_marker()?.map(PortUuid::from_uuid),
        limit: page.limit,
    };
    let db = request.state.db.clone();
    let listing = Listing::new(request, (&PORT, "ports"), page)?;
    let add = |listing: &mut Listing<Port>, ports: &mut Vec<Port>| {
        listing.pass(ports.len(), ports.last().map(|port| port.uuid.to_string()));
        listing.show(&*ports);
    };
    Ok(db.fold_ports(&query, listing, add).await?.finish(true))
}

async fn filter(request: &Request, below: Holder) -> Result<PortFilter, ApiError> {
    let query = &request.query;
    let named = query.text("node").or_else(|| query.text("node_uuid"));
    let holders = [
        named.is_some() || matches!(below, Holder::Node(_)),
        query.get("portgroup").is_some() || matches!(below, Holder::Portgroup(_)),
        query.get("shard").is_some(),
    ];
    if holders.into_iter().filter(|given| *given).count() > 1 {
        return Err(ApiError::forbidden(
            "Ports are listed by node, portgroup or shard, by one of them at a time.",
        ));
    }
    let groups = query.list("conductor_groups");
    let alone = named.is_none() && query.get("portgroup").is_none() && query.get("address").is_none();
    if groups.is_some() && !alone {
        return Err(ApiError::bad_request(
            "conductor_groups: it cannot be combined with node, portgroup or address",
        ));
    }
    let node = match (&below, named) {
        (Holder::Node(node), _) => Some(*node),
        (_, Some(ident)) => Some(request.find_node(&ident).await?.uuid),
        (_, None) => None,
    };
    let portgroup = match (&below, query.get("portgroup")) {
        (Holder::Portgroup(portgroup), _) => Some(*portgroup),
        (_, Some(ident)) => Some(find_portgroup(request, ident).await?.uuid),
        (_, None) => None,
    };
    Ok(PortFilter {
        nodes: node.map(|node| vec![node]),
        addresses: query
            .parsed("address", "an Ethernet address such as 52:54:00:12:34:56", |text| text.parse().ok())?
            .map(|address| vec![address]),
        portgroup_uuid: portgroup,
        shards: query.shards(),
        description_contains: query.text("description_contains"),
        conductor_groups: groups.map(|groups| groups.iter().map(|group| group.to_lowercase()).collect()),
    })
}

/// `GET /v1/ports/{port_ident}`
pub(crate) async fn show(request: Request) -> Answer {
    let shape = page::shape(&request, Shape::Full)?;
    let port = find_port(&request, request.param("port_ident")).await?;
    request.authorise_part("baremetal:port:get", port.node_uuid).await?;
    Ok(Reply::json(request.object(&PORT, &shape, &port)?))
}

/// The port that `ident` names, by UUID or (in newer versions) by name, if the caller may see it.
pub(super) async fn find_port(request: &Request, ident: &str) -> Result<Port, ApiError> {
    let shown: String = ident.chars().take(300).collect();
    let missing = || ApiError::not_found(format!("Port {shown} could not be found."));
    let key = match Uuid::parse_str(ident) {
        Ok(uuid) if uuid.to_string() == ident => PortKey::Uuid(PortUuid::from_uuid(uuid)),
        Ok(_) => return Err(missing()),
        Err(_) if validate_logical_name(ident).is_err() => {
            return Err(ApiError::bad_request(format!(
                "Expected a logical name or UUID but received {shown}."
            )));
        }
        Err(_) if !request.version.at_least(const { since("port-name") }) => return Err(missing()),
        Err(_) => PortKey::Name(ident.to_owned()),
    };
    request.state.db.get_port(&key, request.scope()).await?.ok_or_else(missing)
}

/// `POST /v1/ports`
pub(crate) async fn create(request: Request) -> Answer {
    let mut body = request.json_object()?;
    let node = node_of(&request, &mut body).await?;
    request.authorise_node("baremetal:port:create", &node)?;
    if !body.contains_key("address") {
        return Err(Invalid::at("/address", "a value is required").into());
    }
    let mut port = Port::new(node.uuid, MacAddr::new([0; 6]), Timestamp::now());
    let is_to_boot = body.contains_key("pxe_enabled");
    set_fields(&PORT, &mut port, body, request.version)?;
    check_port(&port)?;
    if let Some(portgroup) = check_portgroup(&request, &port).await?
        && is_to_boot
        && port.pxe_enabled
    {
        part_rules::may_boot_in(&portgroup)?;
    }
    store::wait_unlocked(&request.state, node).await?;
    let port = request.state.db.create_port(port).await?;
    let body = request.object(&PORT, &Shape::Full, &port)?;
    Ok(Reply::created(request.url(&format!("ports/{}", port.uuid)), body))
}

/// The node that the body of a creation names, by `node_uuid` or (in newer versions) by `node_ident`, not both.
async fn node_of(request: &Request, body: &mut Map<String, Value>) -> Result<Node, ApiError> {
    let (name, value) = match (body.remove("node_ident"), body.get("node_uuid").cloned()) {
        (Some(_), None) if !request.version.at_least(const { since("port-by-node-name") }) => {
            return Err(ApiError::not_acceptable("/node_ident: this API version knows node_uuid alone"));
        }
        (Some(ident), None) => ("node_ident", ident),
        (None, Some(uuid)) => ("node_uuid", uuid),
        _ => return Err(ApiError::bad_request("Exactly one of node_uuid and node_ident is required.")),
    };
    let ident = value.as_str().ok_or_else(|| Invalid::at(format!("/{name}"), "expected a string"))?;
    if name == "node_uuid" && Uuid::parse_str(ident).is_err() {
        return Err(Invalid::at("/node_uuid", "expected a UUID").into());
    }
    request.find_node(ident).await.map_err(|error| error.with_status(StatusCode::BAD_REQUEST))
}
