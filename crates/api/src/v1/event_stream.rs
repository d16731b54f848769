//! The events as they happen: an addition to the contract.

use std::time::Duration;

use axum::body::Body;
use db::EventQuery;
use model::NodeUuid;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::access::NODES;
use crate::error::ApiError;
use crate::event_feed::{Feed, PAGE};
use crate::query::Query;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// Readers of the whole process at a time.
static SLOTS: Semaphore = Semaphore::const_new(512);
/// Beginnings of types that one reader may ask for.
const MAX_TYPES: usize = 16;

/// `GET /v1/events/stream`
pub(crate) async fn stream(request: Request) -> Answer {
    let scope = request.listed(&NODES, None)?;
    let after = match cursor(&request)? {
        Some(after) => after,
        None => request.state.db.last_event().await?,
    };
    let query = EventQuery {
        kinds: kinds(&request.query)?,
        node: node(&request).await?,
        resource: request.query.uuid("resource")?.map(|uuid| uuid.to_string()),
        ..EventQuery::new(scope, after, PAGE)
    };
    let slot = SLOTS.try_acquire().map_err(|_| {
        ApiError::unavailable("Too many readers follow the events already, please retry later.")
    })?;
    let heartbeat: Duration = request.state.options.event_heartbeat;
    let feed = Feed::open(
        request.state.db.clone(),
        (query, request.shown().clone()),
        heartbeat,
        request.stopping,
        slot,
    )
    .await?;
    Ok(Reply::events(Body::from_stream(feed.into_stream())))
}

/// The last event that the reader saw: what a browser that comes back says in a header counts, not what it said at first.
fn cursor(request: &Request) -> Result<Option<i64>, ApiError> {
    let number = |name: &str, text: &str| {
        text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            ApiError::bad_request(format!("{name}: expected the number of an event, not '{shown}'"))
        })
    };
    match (&request.last_event_id, request.query.get("since")) {
        (Some(text), _) if !text.is_empty() => number("Last-Event-ID", text).map(Some),
        (_, Some(text)) => number("since", text).map(Some),
        _ => Ok(None),
    }
}

fn kinds(query: &Query) -> Result<Vec<String>, ApiError> {
    let joined = query.joined("type").unwrap_or_default();
    let kinds: Vec<String> =
        joined.split(',').map(str::trim).filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
    if kinds.len() > MAX_TYPES {
        return Err(ApiError::bad_request(format!("type: at most {MAX_TYPES} are allowed")));
    }
    Ok(kinds)
}

/// The node asked for. By UUID also one that is gone: it has left events.
async fn node(request: &Request) -> Result<Option<NodeUuid>, ApiError> {
    match request.query.get("node") {
        None => Ok(None),
        Some(ident) => match Uuid::parse_str(ident) {
            Ok(uuid) => Ok(Some(NodeUuid::from_uuid(uuid))),
            Err(_) => Ok(Some(request.find_node(ident).await?.uuid)),
        },
    }
}
