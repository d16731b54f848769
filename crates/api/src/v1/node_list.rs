//! Lists of nodes.

use std::sync::Arc;

use api_types::NODE;
use model::Node;

use super::chassis::find_chassis;
use crate::listing::Listing;
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
    let state = Arc::clone(&request.state);
    let listing = Listing::new(request, (&NODE, "nodes"), page)?;
    let listing = state.db.fold_nodes(&query, listing, add).await?;
    // An instance has one node at most.
    Ok(listing.finish(query.filter.instance_uuid.is_none()))
}

fn add(listing: &mut Listing<Node>, nodes: &mut Vec<Node>) {
    listing.pass(nodes.len(), nodes.last().map(|node| node.uuid.to_string()));
    let request = listing.request();
    if let Some(host) = request.query.get("conductor") {
        // Who is in charge is computed, not stored: the page may be short, the next one begins where it should.
        nodes.retain(|node| request.state.conductors.conductor_of(node).as_deref() == Some(host));
    }
    listing.show(&*nodes);
}
