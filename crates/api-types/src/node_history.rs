//! Entries of a node's history: the table of their fields.

use model::{HistoryUuid, NodeUuid, Timestamp};

use crate::{Context, Field, Json, Resource, Writer, write_links};

/// Entries of a node's history.
pub const HISTORY: Resource<HistoryRow> =
    Resource { name: "node_history", collection: "history", fields: FIELDS };

/// An entry as replies show it.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// Identifier.
    pub uuid: HistoryUuid,
    /// The node.
    pub node: NodeUuid,
    /// What kind of thing happened, as `provisioning`.
    pub event_type: String,
    /// `INFO` or `ERROR`.
    pub severity: String,
    /// What happened.
    pub event: String,
    /// Which conductor saw it.
    pub conductor: Option<String>,
    /// Who asked for it.
    pub user: Option<String>,
    /// For which project.
    pub project: Option<String>,
    /// The provision state then.
    pub state: Option<String>,
    /// The state aimed at then.
    pub target: Option<String>,
    /// How long it took.
    pub duration_seconds: Option<i64>,
    /// When.
    pub created_at: Timestamp,
}

impl HistoryRow {
    /// Cuts a long event as short lists do: 251 characters and three dots.
    pub fn cut(&mut self) {
        if self.event.chars().count() > 255 {
            self.event = self.event.chars().take(251).chain("...".chars()).collect();
        }
    }
}

type Row = Field<HistoryRow>;

const FIELDS: &[Row] = &[
    Row::new("conductor", Json::Text.only(), 78, "-", |h, _, w| w.opt_text(h.conductor.as_deref())),
    Row::new("created_at", Json::Time.only(), 78, "now", |h, _, w| w.time(h.created_at)).short(),
    Row::new("duration_seconds", Json::Integer.or_null(), 115, "null", |h, _, w| {
        w.opt_int(h.duration_seconds);
    }),
    Row::new("event", Json::Text.only(), 78, "-", |h, _, w| w.text(&h.event)).short(),
    Row::new("event_type", Json::Text.only(), 78, "-", |h, _, w| w.text(&h.event_type)),
    Row::new("links", Json::Links.only(), 78, "links", links).short(),
    Row::new("project", Json::Text.or_null(), 113, "null", |h, _, w| w.opt_text(h.project.as_deref())),
    Row::new("severity", Json::Text.only(), 78, "INFO", |h, _, w| w.text(&h.severity)).short(),
    Row::new("state", Json::Text.or_null(), 115, "null", |h, _, w| w.opt_text(h.state.as_deref())),
    Row::new("target_provision_state", Json::Text.or_null(), 115, "null", |h, _, w| {
        w.opt_text(h.target.as_deref());
    }),
    Row::new("user", Json::Text.or_null(), 78, "null", |h, _, w| w.opt_text(h.user.as_deref())),
    Row::new("uuid", Json::Uuid.only(), 78, "generated", |h, _, w| w.uuid(h.uuid.as_uuid())).short(),
];

fn links(row: &HistoryRow, cx: &Context<'_>, out: &mut Writer) {
    write_links(out, cx.base, &["nodes", &row.node.to_string(), "history", &row.uuid.to_string()]);
}
