//! What a handler is given: the request, decoded, with who sent it.

use std::sync::{Arc, OnceLock};

use api_types::{Context, Resource, Selection, Shape, Shown, Writer};
use bytes::Bytes;
use db::NodeKey;
use http::StatusCode;
use microversion::{Version, since};
use model::{Node, NodeUuid, Timestamp, validate_logical_name};
use policy::{Caller, Decisions};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::ApiError;
use crate::event_feed::Stopping;
use crate::page::Page;
use crate::query::Query;
use crate::reply::Reply;
use crate::routes::Route;
use crate::{ApiState, listing, store};

/// A request on its way to a handler.
pub(crate) struct Request {
    /// The row of its route; its query was checked by it.
    pub(crate) row: &'static Route,
    /// What handlers work with.
    pub(crate) state: Arc<ApiState>,
    /// What the rules in force when it came allow who sent it.
    pub(crate) decisions: Arc<Decisions>,
    /// What of nodes these show: made once.
    pub(crate) shown: OnceLock<Shown>,
    /// The version it asks for.
    pub(crate) version: Version,
    /// Start of links.
    pub(crate) base: String,
    /// Its path under `/v1`.
    pub(crate) path: String,
    /// The parts of the path that the route leaves open.
    pub(crate) params: Vec<(String, String)>,
    /// The query string.
    pub(crate) query: Query,
    /// The body.
    pub(crate) body: Bytes,
    /// The header `Last-Event-ID`.
    pub(crate) last_event_id: Option<String>,
    /// Tells answers without end that the service stops.
    pub(crate) stopping: Option<Stopping>,
}

impl Request {
    /// Who sent it.
    pub(crate) fn caller(&self) -> &Caller {
        self.decisions.caller()
    }

    /// The part `name` of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::bad_request(format!("The body is not JSON: {error}")))
    }

    /// The body as a JSON object.
    pub(crate) fn json_object(&self) -> Result<Map<String, Value>, ApiError> {
        match self.json()? {
            Value::Object(map) => Ok(map),
            _ => Err(ApiError::bad_request("The body has to be a JSON object.")),
        }
    }

    /// The body as a JSON object of the shape that the route's row says; no body at all is an empty one.
    pub(crate) fn shaped(&self) -> Result<Map<String, Value>, ApiError> {
        let body = if self.body.is_empty() { Value::Object(Map::new()) } else { self.json()? };
        if let Some(shape) = self.row.operation.as_ref().and_then(|operation| operation.body) {
            shape.check(&body, "")?;
        }
        match body {
            Value::Object(map) => Ok(map),
            _ => Err(ApiError::bad_request("The body has to be a JSON object.")),
        }
    }

    /// Refuses a body where there must be none; an empty object or null counts as none.
    pub(crate) fn no_body(&self) -> Result<(), ApiError> {
        match self.body.trim_ascii() {
            b"" | b"{}" | b"null" => Ok(()),
            _ => Err(ApiError::bad_request("No body is expected.")),
        }
    }

    /// Refuses parameters in the query string, for routes whose row does not say what they take; the others' are checked
    /// before their handler is called.
    pub(crate) fn no_query(&self) -> Result<(), ApiError> {
        self.query.check("", &[], self.version)
    }

    /// The node that the path names, if the caller may see it and `rule` allows.
    pub(crate) async fn node(&self, rule: &'static str) -> Result<Node, ApiError> {
        let node = self.find_node(self.param("node_ident")).await?;
        self.authorise_node(rule, &node)?;
        Ok(node)
    }

    /// The node that `ident` names, by UUID or (from 1.5) by name, if the caller may see it.
    pub(crate) async fn find_node(&self, ident: &str) -> Result<Node, ApiError> {
        let key = node_key(ident, self.version)?;
        let found = self.state.db.get_node(&key, self.scope()).await?;
        let node = found.ok_or_else(|| no_node(ident))?;
        // Lines of the log that belong to the request say so.
        tracing::Span::current().record("node", tracing::field::display(node.uuid));
        Ok(node)
    }

    /// The host of the conductor in charge of `node`; `otherwise` is the status when there is none.
    pub(crate) fn conductor_of(&self, node: &Node, otherwise: StatusCode) -> Result<String, ApiError> {
        self.state.conductors.conductor_of(node).ok_or_else(|| {
            let text = format!(
                "No valid host was found. Reason: no conductor is in charge of driver '{}' in conductor group '{}'.",
                node.driver, node.conductor_group
            );
            ApiError::new(otherwise, text)
        })
    }

    /// Changes `node`: see [`store::change_node`].
    pub(crate) async fn change_node(
        &self,
        node: Node,
        change: impl Fn(&Node) -> Result<Node, ApiError> + Send,
    ) -> Result<Node, ApiError> {
        store::change_node(&self.state, node, change).await
    }

    /// The URL of `path` under the version.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.base)
    }

    /// Calls `write` with what serialisation needs, and returns what was written.
    pub(crate) fn written(&self, write: impl FnOnce(&Context<'_>, &mut Writer)) -> Vec<u8> {
        let mut out = Writer::with_capacity(4096);
        self.with_context(false, |cx| write(cx, &mut out));
        out.into_bytes()
    }

    /// Calls `work` with what serialisation needs; `reveal` shows everything, for patches alone.
    pub(crate) fn with_context<R>(&self, reveal: bool, work: impl FnOnce(&Context<'_>) -> R) -> R {
        let now = Timestamp::now();
        let timeout = i64::try_from(self.state.options.conductor_timeout.as_micros()).unwrap_or(i64::MAX);
        work(&Context {
            base: &self.base,
            version: self.version,
            now,
            reveal,
            shown: self.shown(),
            conductor_of: &|node| self.state.conductors.conductor_of(node),
            alive_since: Timestamp::from_micros(now.as_micros().saturating_sub(timeout)),
        })
    }

    /// One object as JSON.
    pub(crate) fn object<T>(
        &self,
        resource: &Resource<T>,
        shape: &Shape,
        item: &T,
    ) -> Result<Vec<u8>, ApiError> {
        let selection = Selection::new(resource, shape, self.version)?;
        Ok(self.written(|cx, out| selection.write(item, cx, out)))
    }

    /// A page of a list; `key` names the list in the reply. With a `marker` (the last item of a full page) there may
    /// be more, and the reply says where.
    pub(crate) fn list<T>(
        &self,
        (resource, key): (&Resource<T>, &'static str),
        page: &Page,
        items: &[T],
        marker: Option<String>,
    ) -> Result<Reply, ApiError> {
        let selection = Selection::new(resource, &page.shape, self.version)?;
        Ok(Reply::json(self.written(|cx, out| {
            listing::open(out, key);
            selection.write_items(0, items, cx, out);
            listing::close(out, self, page, marker);
        })))
    }
}

/// What `ident` may name: a canonical UUID, or from 1.5 on a logical name.
fn node_key(ident: &str, version: Version) -> Result<NodeKey, ApiError> {
    if let Ok(uuid) = Uuid::parse_str(ident) {
        // Other spellings of a UUID are well formed and name nothing.
        let canonical = uuid.to_string() == ident;
        return if canonical { Ok(NodeKey::Uuid(NodeUuid::from_uuid(uuid))) } else { Err(no_node(ident)) };
    }
    if !version.at_least(const { since("node-names") }) {
        return Err(no_node(ident));
    }
    match validate_logical_name(ident) {
        Ok(()) => Ok(NodeKey::Name(ident.to_owned())),
        Err(_) => Err(ApiError::bad_request(format!(
            "Expected a logical name or UUID but received {}.",
            ident.chars().take(64).collect::<String>()
        ))),
    }
}

/// 404 for a node.
pub(crate) fn no_node(ident: &str) -> ApiError {
    ApiError::not_found(format!("Node {} could not be found.", ident.chars().take(300).collect::<String>()))
}
