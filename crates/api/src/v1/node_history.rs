//! What happened to nodes.

use api_types::{HISTORY, HistoryRow, Shape};
use db::{HistoryEntry, HistoryQuery};
use model::{HistoryUuid, NodeUuid};
use uuid::Uuid;

use crate::error::ApiError;
use crate::page::Page;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/history`
pub(crate) async fn list(request: Request) -> Answer {
    let page = Page::read(&request, &HISTORY, false)?;
    if !["id", "created_at"].contains(&page.sort_key.as_str()) {
        return Err(page.unsortable());
    }
    let node = request.node("baremetal:node:history:get").await?;
    let query = HistoryQuery {
        node: node.uuid,
        descending: page.descending,
        marker: page.uuid_marker()?.map(HistoryUuid::from_uuid),
        limit: page.limit,
    };
    let entries = request.state.db.history(&query).await?;
    let mut rows: Vec<HistoryRow> = entries.into_iter().map(|entry| row(node.uuid, entry)).collect();
    if page.shape == Shape::Short {
        rows.iter_mut().for_each(HistoryRow::cut);
    }
    let marker = rows.last().filter(|_| rows.len() == page.limit).map(|row| row.uuid.to_string());
    request.list((&HISTORY, "history"), &page, &rows, marker)
}

/// `GET /v1/nodes/{node_ident}/history/{event_uuid}`
pub(crate) async fn show(request: Request) -> Answer {
    let node = request.node("baremetal:node:history:get").await?;
    let ident = request.param("event_uuid");
    let missing = || {
        let shown: String = ident.chars().take(64).collect();
        ApiError::not_found(format!("Node history record {shown} could not be found."))
    };
    let uuid = Uuid::parse_str(ident).map_err(|_| missing())?;
    let entry = request.state.db.history_entry(node.uuid, HistoryUuid::from_uuid(uuid)).await?;
    let entry = entry.ok_or_else(missing)?;
    Ok(Reply::json(request.object(&HISTORY, &Shape::Full, &row(node.uuid, entry))?))
}

fn row(node: NodeUuid, entry: HistoryEntry) -> HistoryRow {
    HistoryRow {
        uuid: entry.uuid,
        node,
        event_type: entry.event_type,
        severity: entry.severity,
        event: entry.event,
        conductor: entry.conductor,
        user: entry.user,
        project: entry.project,
        state: entry.state,
        target: entry.target,
        duration_seconds: entry.duration_seconds,
        created_at: entry.created_at,
    }
}
