//! Shards: how many nodes each has.

use serde_json::{Value, json};

use crate::reply::{Answer, Reply};
use crate::request::Request;

/// What nodes without a shard are counted under, as clients know it.
const NO_SHARD: &str = "None";

/// `GET /v1/shards`
pub(crate) async fn list(request: Request) -> Answer {
    request.authorise("baremetal:shards:get", None)?;
    let shards = request.state.db.shards().await?;
    let shards: Vec<Value> = shards
        .into_iter()
        .map(|(name, count)| json!({"name": name.as_deref().unwrap_or(NO_SHARD), "count": count}))
        .collect();
    Ok(Reply::json(json!({"shards": shards}).to_string()))
}
