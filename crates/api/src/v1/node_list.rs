//! Lists of nodes.

use api_types::NODE;

use super::chassis::find_chassis;
use crate::node_filter;
use crate::reply::Answer;
use crate::request::Request;

/// `GET /v1/nodes`
pub(crate) async fn list(request: Request) -> Answer {
    answer(request, false).await
}

/// `GET /v1/nodes/detail`
pub(crate) async fn detail(request: Request) -> Answer {
    answer(request, true).await
}

async fn answer(request: Request, detail: bool) -> Answer {
    let (page, query) = node_filter::read(&request, detail)?;
    if let Some(chassis) = query.filter.chassis_uuid {
        find_chassis(&request, chassis).await?;
    }
    let mut nodes = request.state.db.list_nodes(&query).await?;
    // An instance has one node at most.
    let may_go_on = nodes.len() == page.limit && query.filter.instance_uuid.is_none();
    let marker = nodes.last().filter(|_| may_go_on).map(|node| node.uuid.to_string());
    if let Some(host) = request.query.get("conductor") {
        // Who is in charge is computed, not stored: the page may be short, the next one begins where it should.
        nodes.retain(|node| request.state.conductors.conductor_of(node).as_deref() == Some(host));
    }
    request.list((&NODE, "nodes"), &page, &nodes, marker)
}
